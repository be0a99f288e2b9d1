"""What every driver promises, on every implementation: a driver is done when it passes.

To add one, write its `Site` in conftest.py; nothing here knows which cloud it is on.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from imagesmith.core import (
    TAG_BUILD,
    TAG_CLOUD,
    TAG_DIGEST,
    TAG_GENERATOR,
    TAG_SOURCE,
    Budget,
    ImageQuery,
    ImageState,
    InstanceState,
    Resource,
    ResourceKind,
)
from imagesmith.errors import (
    CloudBusy,
    CredentialsRefused,
    DefinitionError,
    InstanceLost,
    NameTaken,
    SaveFailed,
    SourceImageNotFound,
    Transient,
)


def kinds(resources: list[Resource]) -> set[ResourceKind]:
    return {resource.kind for resource in resources}


def instances(resources: list[Resource]) -> list[str]:
    return [resource.id for resource in resources if resource.kind is ResourceKind.INSTANCE]


# Looking


def test_identity_names_somebody(site):
    assert site.cloud().identity()


@pytest.mark.parametrize(
    "call",
    [
        lambda cloud, site: cloud.identity(),
        lambda cloud, site: cloud.find_source_image(site.source),
        lambda cloud, site: cloud.find_image_named("any"),
        lambda cloud, site: cloud.find_resources(),
        lambda cloud, site: cloud.launch(site.launch_request(), site.ledger),
    ],
    ids=["identity", "source", "name", "find", "launch"],
)
def test_wrong_credentials_name_the_connection(site, call):
    with pytest.raises(CredentialsRefused, match=f"check the Airflow connection {site.name}"):
        call(site.stranger(), site)


def test_source_image_is_found_by_id(site):
    assert site.cloud().find_source_image(site.source).id == site.source.id


def test_newest_of_the_owner_is_found_by_name(site):
    found = site.cloud().find_source_image(site.by_name)
    assert found.id == site.newest_id
    assert found.name


def test_newest_of_several_is_found(site):
    instance_id = site.stopped()
    prefix = site.fresh("series")
    ids: list[str] = []
    for number in (2, 1):  # not in the order of their names
        if ids and site.only_a_save_stops:
            instance_id = site.stopped()
        ids.append(site.cloud().save(site.save_request(instance_id, name=f"{prefix}-{number}"), site.ledger))
        site.until_image(ids[-1], ImageState.AVAILABLE)
        site.pass_a_second()
    assert site.cloud().find_source_image(ImageQuery(name=f"{prefix}-*", owner="self")).id == ids[-1]


def test_images_are_listed_to_choose_from(site):
    name = site.cloud().find_source_image(site.source).name
    offers = site.cloud().list_images(name, limit=50)
    assert [each for each in offers if each.name == name]
    for each in offers:
        assert name.lower() in each.name.lower()
        assert site.cloud().find_source_image(ImageQuery(id=each.id)).name == each.name
    assert len(site.cloud().list_images(name, limit=1)) == 1
    assert site.cloud().list_images(site.fresh("nothing"), limit=50) == []


def test_own_images_are_listed_before_those_of_others(site):
    image_id = site.cloud().save(site.save_request(site.stopped(), name=site.fresh("mine")), site.ledger)
    site.until_image(image_id, ImageState.AVAILABLE)
    offers = site.cloud().list_images("", limit=50)
    assert offers[0].own
    assert image_id in [each.id for each in offers if each.own]


def test_an_instance_type_of_the_list_can_be_launched(site):
    kinds = site.cloud().list_instance_types()
    assert kinds == [] or site.launch_request().instance_type in kinds


@pytest.mark.parametrize("query", ["unknown_id", "unknown_name", "other_owner"])
def test_unknown_source_image_is_told_with_its_name(site, query):
    wanted: ImageQuery = getattr(site, query)
    with pytest.raises(SourceImageNotFound) as told:
        site.cloud().find_source_image(wanted)
    assert (wanted.id or wanted.name) in str(told.value)
    assert site.name in str(told.value)


def test_a_name_without_owner_finds_no_strangers_image(site):
    """Anybody can publish an image of any name."""
    with pytest.raises(SourceImageNotFound):
        site.cloud().find_source_image(site.strangers)


def test_free_name_is_free(site):
    assert site.cloud().find_image_named(site.fresh("free")) is None


def test_unknown_things_are_gone(site):
    cloud = site.cloud()
    seen = cloud.observe_instances([site.unknown_instance])
    assert seen[site.unknown_instance].state is InstanceState.GONE
    assert cloud.observe_images([site.unknown_id.id])[site.unknown_id.id].state is ImageState.GONE


def test_no_ids_need_no_look(site):
    assert site.cloud().observe_instances([]) == {}
    assert site.cloud().observe_images([]) == {}


# Launching


def test_a_launched_instance_comes_to_run_at_an_address(site):
    instance_id = site.cloud().launch(site.launch_request(), site.ledger)
    instance = site.until_instance(instance_id, InstanceState.RUNNING)
    assert instance.address


def test_one_unknown_id_hides_no_other(site):
    instance_id = site.cloud().launch(site.launch_request(), site.ledger)
    seen = site.cloud().observe_instances([instance_id, site.unknown_instance])
    assert seen[instance_id].state in (InstanceState.PENDING, InstanceState.RUNNING)
    assert seen[site.unknown_instance].state is InstanceState.GONE


def test_launch_writes_each_thing_down_before_and_after(site):
    request = site.launch_request()
    instance_id = site.cloud().launch(request, site.ledger)
    assert ("made", ResourceKind.INSTANCE, request.name, instance_id) in site.ledger.lines
    for position, (what, kind, name, _) in enumerate(site.ledger.lines):
        assert name == request.name or kind in site.kinds_shared
        if what == "made":
            assert ("intend", kind, name, "") in site.ledger.lines[:position]


def test_launching_twice_makes_one_instance(site):
    request = site.launch_request()
    cloud = site.cloud()
    first = cloud.launch(request, site.ledger)
    assert cloud.launch(request, site.ledger) == first
    assert site.cloud().launch(request, site.ledger) == first, "another process must adopt it too"
    assert instances(cloud.find_resources(request.build_id)) == [first]
    assert len(cloud.find_resources(request.build_id)) == len(site.kinds_of_a_launch)


def test_launch_whose_answer_was_lost_is_adopted(site):
    request = site.launch_request()
    with pytest.raises(Transient):
        site.losing("launch").launch(request, site.ledger)
    made_before = instances(site.cloud().find_resources(request.build_id))
    assert len(made_before) == 1, "the effect happened although nobody heard of it"
    assert site.cloud().launch(request, site.ledger) == made_before[0]
    assert instances(site.cloud().find_resources(request.build_id)) == made_before


def test_two_attempts_are_two_instances(site):
    build = site.fresh("build")
    first = site.cloud().launch(site.launch_request(build_id=build, attempt=1), site.ledger)
    second = site.cloud().launch(site.launch_request(build_id=build, attempt=2), site.ledger)
    assert sorted(instances(site.cloud().find_resources(build))) == sorted([first, second])


def test_an_ended_instance_is_not_adopted(site):
    request = site.launch_request()
    cloud = site.cloud()
    instance_id = cloud.launch(request, site.ledger)
    cloud.delete([Resource(ResourceKind.INSTANCE, instance_id)])
    if site.remembers_the_ended:
        with pytest.raises(InstanceLost, match=instance_id):
            site.cloud().launch(request, site.ledger)
    else:
        site.until_instance(instance_id, InstanceState.GONE)
        assert site.cloud().launch(request, site.ledger) != instance_id


def test_launching_from_an_unknown_image_leaves_nothing(site):
    request = site.launch_request(source_image_id=site.unknown_id.id)
    with pytest.raises(SourceImageNotFound):
        site.cloud().launch(request, site.ledger)
    assert site.cloud().find_resources(request.build_id) == []


def test_everything_of_a_launch_bears_the_tags(site):
    request = site.launch_request()
    site.cloud().launch(request, site.ledger)
    found = site.cloud().find_resources(request.build_id)
    assert kinds(found) == site.kinds_of_a_launch
    for resource in found:
        assert resource.build_id == request.build_id
        assert resource.tags[TAG_CLOUD] == site.name
        assert resource.tags[TAG_GENERATOR] == request.tags[TAG_GENERATOR]


def test_an_instance_that_nobody_asked_to_end_has_its_reason(site):
    reason = site.doom_next_instance()
    instance_id = site.cloud().launch(site.launch_request(), site.ledger)
    instance = site.until_instance(instance_id, InstanceState.FAILED)
    assert reason in instance.reason


def test_console_of_an_unknown_instance_is_empty(site):
    assert site.cloud().console_output(site.unknown_instance) == ""


# Stopping and saving


def test_stopping_is_repeatable(site):
    if site.only_a_save_stops:
        pytest.skip("needs a cloud that stops instances")
    instance_id = site.running()
    site.cloud().stop(instance_id)
    site.cloud().stop(instance_id)
    site.until_instance(instance_id, InstanceState.STOPPED)
    site.cloud().stop(instance_id)
    assert site.cloud().observe_instances([instance_id])[instance_id].state is InstanceState.STOPPED


def test_stopping_an_unknown_instance_is_told(site):
    with pytest.raises(InstanceLost, match=site.unknown_instance):
        site.cloud().stop(site.unknown_instance)


def test_a_saved_image_becomes_available_with_its_snapshot(site):
    request = site.save_request(site.stopped())
    image_id = site.cloud().save(request, site.ledger)
    image = site.until_image(image_id, ImageState.AVAILABLE)
    assert image.name == request.name
    assert bool(image.snapshot_ids) is (ResourceKind.SNAPSHOT in site.kinds_of_an_image)
    named = site.cloud().find_image_named(request.name)
    assert named is not None
    assert named.id == image_id
    assert named.build_id == request.build_id
    assert ("intend", ResourceKind.IMAGE, request.name, "") in site.ledger.lines
    assert ("made", ResourceKind.IMAGE, request.name, image_id) in site.ledger.lines


def test_saving_twice_makes_one_image(site):
    request = site.save_request(site.stopped())
    first = site.cloud().save(request, site.ledger)
    assert site.cloud().save(request, site.ledger) == first
    site.until_image(first, ImageState.AVAILABLE)
    assert site.cloud().save(request, site.ledger) == first


def test_save_whose_answer_was_lost_is_adopted(site):
    request = site.save_request(site.stopped())
    if site.only_a_save_stops:
        site.cloud().save(request, site.ledger)  # begun by a process that nobody hears of again
    else:
        with pytest.raises(Transient):
            site.losing("save").save(request, site.ledger)
    image_id = site.cloud().save(request, site.ledger)
    named = site.cloud().find_image_named(request.name)
    assert named is not None
    assert named.id == image_id


def test_a_name_of_another_build_is_taken(site):
    instance_id = site.stopped()
    theirs = site.save_request(instance_id)
    image_id = site.cloud().save(theirs, site.ledger)
    ours = site.save_request(instance_id, name=theirs.name, build_id=site.fresh("other"))
    with pytest.raises(NameTaken, match=theirs.name):
        site.cloud().save(ours, site.ledger)
    named = site.cloud().find_image_named(theirs.name)
    assert named is not None
    assert (named.id, named.build_id) == (image_id, theirs.build_id), "nothing may be overwritten"


def test_saving_an_unknown_instance_is_told(site):
    with pytest.raises(InstanceLost, match=site.unknown_instance):
        site.cloud().save(site.save_request(site.unknown_instance), site.ledger)


def test_an_image_and_its_snapshot_bear_the_tags(site):
    request = site.save_request(site.stopped())
    image_id = site.cloud().save(request, site.ledger)
    site.until_image(image_id, ImageState.AVAILABLE)
    site.cloud().finish_image(image_id, tags={"later": "on"}, public=False)
    found = site.cloud().find_resources(request.build_id)
    parts = [resource for resource in found if resource.kind in site.kinds_of_an_image]
    assert kinds(parts) == site.kinds_of_an_image
    for part in parts:
        assert part.tags[TAG_BUILD] == request.build_id
        assert part.tags[TAG_GENERATOR] == request.tags[TAG_GENERATOR]
        assert part.tags["later"] == "on"


def test_what_an_image_is_can_be_read_from_its_cloud_alone(site):
    request = site.save_request(site.stopped())
    image_id = site.cloud().save(request, site.ledger)
    site.until_image(image_id, ImageState.AVAILABLE)
    told = {**request.tags, TAG_DIGEST: "d" * 64, TAG_SOURCE: "the-parent"}
    site.cloud().finish_image(image_id, tags=told, public=False)
    found = {each.id: each for each in site.cloud().find_images()}
    assert found[image_id].kind is ResourceKind.IMAGE
    assert found[image_id].build_id == request.build_id
    assert told.items() <= found[image_id].tags.items()


@pytest.mark.parametrize("public", [True, False])
def test_only_a_public_image_is_for_everybody(site, public):
    image_id = site.cloud().save(site.save_request(site.stopped()), site.ledger)
    site.until_image(image_id, ImageState.AVAILABLE)
    for _ in range(2):
        site.publisher().finish_image(image_id, tags={}, public=public)
    assert site.is_public(image_id) is public


def test_finishing_an_unknown_image_is_told(site):
    with pytest.raises(SaveFailed, match=site.unknown_id.id):
        site.cloud().finish_image(site.unknown_id.id, tags={}, public=False)


def test_a_saved_image_can_be_launched(site):
    image_id = site.cloud().save(site.save_request(site.stopped()), site.ledger)
    site.until_image(image_id, ImageState.AVAILABLE)
    assert site.cloud().find_source_image(ImageQuery(id=image_id)).id == image_id
    again = site.cloud().launch(site.launch_request(source_image_id=image_id), site.ledger)
    site.until_instance(again, InstanceState.RUNNING)


# Ending


def test_builds_are_told_apart(site):
    one, other = site.launch_request(), site.launch_request()
    site.cloud().launch(one, site.ledger)
    site.cloud().launch(other, site.ledger)
    assert {resource.build_id for resource in site.cloud().find_resources(one.build_id)} == {one.build_id}
    everyone = {resource.build_id for resource in site.cloud().find_resources()}
    assert {one.build_id, other.build_id} <= everyone


def test_all_and_one_build_tell_the_same(site):
    build = site.fresh("build")
    image_id = site.cloud().save(site.save_request(site.stopped(build_id=build), build_id=build), site.ledger)
    site.until_image(image_id, ImageState.AVAILABLE)

    def of(resources: list[Resource]) -> set[tuple[ResourceKind, str]]:
        return {(resource.kind, resource.id) for resource in resources if resource.build_id == build}

    assert of(site.cloud().find_resources()) == of(site.cloud().find_resources(build))
    left = frozenset() if site.only_a_save_stops else site.kinds_of_a_launch
    assert kinds(site.cloud().find_resources(build)) == left | site.kinds_of_an_image


def test_deletion_leaves_nothing(site):
    build = site.fresh("build")
    instance_id = site.stopped(build_id=build)
    image_id = site.cloud().save(site.save_request(instance_id, build_id=build), site.ledger)
    site.until_image(image_id, ImageState.AVAILABLE)
    site.delete_all(build)
    assert site.cloud().find_resources(build) == []
    assert build not in {resource.build_id for resource in site.cloud().find_resources()}
    assert site.cloud().observe_instances([instance_id])[instance_id].state is InstanceState.GONE
    assert site.cloud().observe_images([image_id])[image_id].state is ImageState.GONE


def test_what_builds_use_together_is_one_and_is_found_by_its_name(site):
    if not site.kinds_shared:
        pytest.skip("needs a cloud on which builds share something")
    for _ in range(2):
        site.cloud().launch(site.launch_request(), site.ledger)
    made = {(kind, name, id_) for what, kind, name, id_ in site.ledger.lines if what == "made"}
    [(kind, name, id_)] = [each for each in made if each[0] in site.kinds_shared]
    [shared] = site.cloud().find_shared([name])
    assert (shared.kind, shared.id, shared.build_id) == (kind, id_, "")
    assert site.cloud().delete([shared]) == [shared], "an instance uses it"
    assert id_ in {each.id for each in site.cloud().find_resources()}, "a janitor without a catalog has to find it"


def test_nothing_is_shared_under_an_unknown_name(site):
    assert site.cloud().find_shared([site.fresh("group")]) == []


def test_what_several_builds_have_left_is_found_at_once(site):
    one, other, third = (site.launch_request() for _ in range(3))
    ids = [site.cloud().launch(request, site.ledger) for request in (one, other, third)]
    found = site.cloud().find_left([one.build_id, other.build_id])
    assert sorted(instances(found)) == sorted(ids[:2])
    assert {each.build_id for each in found} == {one.build_id, other.build_id}
    assert instances(site.cloud().find_left([third.build_id])) == [ids[2]]


def test_names_are_looked_up_together(site):
    request = site.save_request(site.stopped())
    image_id = site.cloud().save(request, site.ledger)
    free = site.fresh("free")
    found = site.cloud().find_images_named([free, request.name])
    assert found[free] is None
    taken = found[request.name]
    assert taken is not None
    assert (taken.id, taken.build_id) == (image_id, request.build_id)


def test_what_hangs_on_an_instance_stays_until_it_has_ended(site):
    request = site.launch_request()
    instance_id = site.cloud().launch(request, site.ledger)
    site.until_instance(instance_id, InstanceState.RUNNING)
    if ResourceKind.SECURITY_GROUP not in site.kinds_of_a_launch:
        pytest.skip("needs a cloud with security groups")
    group = [r for r in site.cloud().find_resources(request.build_id) if r.kind is ResourceKind.SECURITY_GROUP]
    assert site.cloud().delete(group) == group
    assert group[0].id in {resource.id for resource in site.cloud().find_resources(request.build_id)}


def test_deletion_takes_the_things_in_any_order(site):
    request = site.launch_request()
    site.cloud().launch(request, site.ledger)
    site.delete_all(request.build_id, order=lambda resources: list(reversed(resources)))
    assert site.cloud().find_resources(request.build_id) == []


def test_deletion_is_repeatable(site):
    request = site.launch_request()
    site.cloud().launch(request, site.ledger)
    found = site.cloud().find_resources(request.build_id)
    site.delete_all(request.build_id)
    assert site.cloud().delete(found) == []


def test_deletion_whose_answer_was_lost_goes_on(site):
    request = site.launch_request()
    site.cloud().launch(request, site.ledger)
    with pytest.raises(Transient):
        site.losing("delete").delete(site.cloud().find_resources(request.build_id))
    site.delete_all(request.build_id)
    assert site.cloud().find_resources(request.build_id) == []


def test_deleting_an_image_takes_its_snapshots_along(site):
    request = site.save_request(site.stopped())
    image_id = site.cloud().save(request, site.ledger)
    site.until_image(image_id, ImageState.AVAILABLE)
    assert site.cloud().delete([Resource(ResourceKind.IMAGE, image_id)]) == []
    assert not site.kinds_of_an_image & kinds(site.cloud().find_resources(request.build_id))


def test_deleting_one_build_leaves_the_other(site):
    one, other = site.launch_request(), site.launch_request()
    site.cloud().launch(one, site.ledger)
    survivor = site.cloud().launch(other, site.ledger)
    site.delete_all(one.build_id)
    assert instances(site.cloud().find_resources(other.build_id)) == [survivor]
    assert kinds(site.cloud().find_resources(other.build_id)) == site.kinds_of_a_launch


# Trouble


@pytest.mark.parametrize(
    "call",
    [
        lambda cloud, site: cloud.identity(),
        lambda cloud, site: cloud.observe_instances([site.unknown_instance]),
        lambda cloud, site: cloud.find_resources(),
    ],
    ids=["identity", "observe", "find"],
)
def test_a_busy_cloud_is_worth_another_try(site, call: Callable[..., object]):
    site.be_busy()
    with pytest.raises(Transient, match=site.name):
        call(site.cloud(), site)
    call(site.cloud(), site)


class Kept(Budget):
    """A budget that notes what it is asked and told."""

    def __init__(self) -> None:
        self.spent: list[str] = []
        self.overspent_times = 0

    def spend(self, tried: str) -> None:
        self.spent.append(tried)

    def overspent(self) -> None:
        self.overspent_times += 1


class UsedUp(Budget):
    """A budget that has nothing left."""

    def spend(self, tried: str) -> None:
        raise CloudBusy(f"{tried}: not now")


@pytest.mark.parametrize(
    "call",
    [
        lambda cloud, site: cloud.identity(),
        lambda cloud, site: cloud.observe_instances([site.unknown_instance]),
        lambda cloud, site: cloud.find_resources(),
    ],
    ids=["identity", "observe", "find"],
)
def test_the_budget_is_asked_before_the_cloud_is(site, call: Callable[..., object]):
    cloud = site.cloud()
    cloud.budget = kept = Kept()
    call(cloud, site)
    assert kept.spent
    assert kept.overspent_times == 0


def test_nothing_is_launched_when_the_budget_has_nothing_left(site):
    cloud, request = site.cloud(), site.launch_request()
    cloud.budget = UsedUp()
    with pytest.raises(CloudBusy, match="not now"):
        cloud.launch(request, site.ledger)
    assert site.cloud().find_resources(request.build_id) == []


def test_the_budget_is_told_of_too_many_calls(site):
    if not site.says_too_many:
        pytest.skip("Nimbus has no word for too many calls")
    cloud = site.cloud()
    cloud.budget = kept = Kept()
    site.be_busy()
    with pytest.raises(Transient, match=site.name):
        cloud.observe_instances([site.unknown_instance])
    assert kept.overspent_times == 1


def test_an_unknown_instance_type_is_the_authors_mistake(site):
    with pytest.raises(DefinitionError, match=r"no\.such\.type.*instance_type"):
        site.cloud().launch(site.launch_request(instance_type="no.such.type"), site.ledger)


# On a real machine: that the rest holds there too is the driver's and the sandbox's business, above.


def test_a_whole_life_on_a_real_machine(vm_site):
    build = vm_site.fresh("build")
    instance_id = vm_site.running(build_id=build)
    vm_site.until_console(instance_id, vm_site.console_words)
    vm_site.cloud().stop(instance_id)
    vm_site.until_instance(instance_id, InstanceState.STOPPED)
    image_id = vm_site.cloud().save(vm_site.save_request(instance_id, build_id=build), vm_site.ledger)
    vm_site.until_image(image_id, ImageState.AVAILABLE)
    vm_site.publisher().finish_image(image_id, tags={}, public=True)
    again = vm_site.launch_request(build_id=build, attempt=2, source_image_id=image_id)
    vm_site.until_instance(vm_site.cloud().launch(again, vm_site.ledger), InstanceState.RUNNING)
    assert kinds(vm_site.cloud().find_resources(build)) == vm_site.kinds_of_a_launch | vm_site.kinds_of_an_image
    vm_site.delete_all(build)
    assert vm_site.cloud().find_resources(build) == []
