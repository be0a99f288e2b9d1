"""What the OpenStack driver chooses where the user leaves it the choice, and what it says where it can't."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from imagesmith.clouds.openstack import OpenStackCloud
from imagesmith.clouds.openstack_login import Credentials, connect
from imagesmith.clouds.openstack_words import OpenStackSettings
from imagesmith.core import AddressRequest, ImageQuery, ImageState, InstanceState
from imagesmith.errors import DefinitionError, SourceImageNotFound
from imagesmith.sandbox.openstack import sites

from .conftest import OpenStackSite


@pytest.fixture(params=["openstack-hotel", "openstack-india"])
def place(request, sandbox_endpoint):
    site = OpenStackSite(sandbox_endpoint, sites.SITES[request.param])
    yield Place(site, sandbox_endpoint)
    site.close()


class Place:
    """A site, and drivers with settings of a test's own."""

    def __init__(self, site: OpenStackSite, endpoint: str) -> None:
        self.site = site
        self._endpoint = endpoint
        self.facts = sites.SITES[site.name]

    def cloud(self, **changes: Any) -> OpenStackCloud:
        settings = OpenStackSettings(
            auth_url=self.facts.auth_url(self._endpoint),
            identity_version=2 if self.facts.havana else 3,
            region=sites.REGION,
            **changes,
        )
        login = Credentials(username=sites.USER, password=sites.PASSWORD, project=sites.PROJECT)
        return OpenStackCloud(self.site.name, partial(connect, self.site.name, settings, login), settings)

    def launch(self, cloud: OpenStackCloud, **changes: Any) -> tuple[Any, str]:
        request = self.site.launch_request(**changes)
        return request, cloud.launch(request, self.site.ledger)


def test_without_a_network_the_only_one_is_taken(place):
    _, instance_id = place.launch(place.cloud())
    assert place.site.until_instance(instance_id, InstanceState.RUNNING).address


@pytest.mark.parametrize(
    ("changes", "request_changes", "words"),
    [
        ({"network": "nowhere"}, {}, ("no network nowhere", "include/clouds.yaml", "private")),
        ({}, {"instance_type": "m9.huge"}, ("no flavor m9.huge", "instance_type", "m1.small", "m1.tiny")),
    ],
    ids=["network", "flavor"],
)
def test_what_is_not_there_is_told_with_what_is_before_anything_is_made(place, changes, request_changes, words):
    request = place.site.launch_request(**request_changes)
    with pytest.raises(DefinitionError) as told:
        place.cloud(**changes).launch(request, place.site.ledger)
    for word in words:
        assert word in str(told.value)
    assert place.site.cloud().find_resources(request.build_id) == []


def test_a_network_or_flavor_may_be_named_by_its_id(place):
    flavors = place.cloud()._api.get("look", "/flavors/detail").document["flavors"]
    small = next(each["id"] for each in flavors if each["name"] == "m1.small")
    _, instance_id = place.launch(place.cloud(), instance_type=str(small))
    assert place.site.until_instance(instance_id, InstanceState.RUNNING).address


def test_a_floating_ip_network_that_is_not_there(place):
    cloud = place.cloud(floating_ip_network="nowhere")
    request, instance_id = place.launch(cloud)
    place.site.until_instance(instance_id, InstanceState.RUNNING)
    wanted = AddressRequest(request.name, request.build_id, instance_id=instance_id, tags={})
    with pytest.raises(DefinitionError, match="nowhere"):
        cloud.give_address(wanted, place.site.ledger)


def test_two_images_of_one_name_are_told_apart_by_their_ids(place):
    instance_id = place.site.stopped()
    name = place.site.fresh("twice")
    ids = []
    for number in (1, 2):
        saved = place.site.save_request(instance_id, name=f"{name}-{number}")
        ids.append(place.site.cloud().save(saved, place.site.ledger))
        place.site.until_image(ids[-1], ImageState.AVAILABLE)
        change = [{"op": "replace", "path": "/name", "value": name}]
        place.cloud()._patch(ids[-1], change)
    with pytest.raises(SourceImageNotFound) as told:
        place.cloud().find_source_image(ImageQuery(id=name))
    assert all(each in str(told.value) for each in ids)


def test_the_newest_with_the_properties_is_found(place):
    found = place.cloud().find_source_image(ImageQuery(name="simulated-*"))
    assert found.name.startswith("simulated-")
    with pytest.raises(SourceImageNotFound, match="os_distro=plan9"):
        place.cloud().find_source_image(ImageQuery(name="simulated-*", properties={"os_distro": "plan9"}))
