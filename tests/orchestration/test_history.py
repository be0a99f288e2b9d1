"""Builds with their proof: the verdict, the same inputs once more, and a catalog read back from the clouds' tags."""

from __future__ import annotations

import shutil
from typing import Any

import yaml

from imagesmith import settings
from imagesmith.catalog.records import READ_BACK, BuildState
from imagesmith.generator import load_all
from imagesmith.lineage import drawn, lineage_of
from imagesmith.plan import Plan
from imagesmith.rebuilding import conf_of, inputs_sha256
from imagesmith.story import story_of

from .conftest import on_both
from .nimbus_sites import KVM, XEN, NimbusSites
from .openstack_sites import INDIA, SIERRA, Sites

BOTH = {"first": {}, "second": {"image_name": "second-{build_id}"}}


KEYS = ("cloud", "image_id", "name", "build_id", "generator", "version", "source_image_id", "inventory_digest")
SAME = "#!/bin/sh\n# sandbox: install dstat 0.7.4-6.1\n"
ALONE = SAME + "# sandbox: on second install cowsay 3.03+dfsg2-8\n"


def test_the_verdict_names_exactly_the_package_that_one_cloud_has_alone(deployment):
    deployment.clouds("second")
    deployment.generator(clouds=BOTH, script=ALONE)
    run = deployment.run()
    build = deployment.build(run)
    assert (run.state, build.state, build.verdict) == ("success", BuildState.SUCCESSFUL, "different")
    differences = build.comparison["differences"]
    assert [(each["kind"], each["name"], each["values"]) for each in differences] == [
        ("package", "cowsay", {"first": "", "second": "3.03+dfsg2-8"})
    ]


def test_the_same_script_gives_identical_images(deployment):
    deployment.clouds("second")
    deployment.generator(clouds=BOTH, script=SAME, consistency="require")
    build = deployment.build(deployment.run())
    assert (build.state, build.verdict, build.comparison["differences"]) == (BuildState.SUCCESSFUL, "identical", [])


def test_a_difference_fails_a_build_that_requires_the_same_and_leaves_its_images(deployment):
    deployment.clouds("second")
    deployment.generator(clouds=BOTH, script=ALONE, consistency="require")
    run = deployment.run()
    build = deployment.build(run)
    assert (run.state, build.state) == ("failed", BuildState.FAILED)
    assert "different: 1 difference that nothing allows; clouds that agree: first | second" in build.error
    assert "(package cowsay)" in build.error
    assert len(deployment.site.images()) == 2
    assert deployment.site.left() == []


def test_what_the_generator_allows_fails_nothing(deployment):
    deployment.clouds("second")
    allowed = [{"package": "cow*", "reason": "second greets with a cow"}]
    deployment.generator(clouds=BOTH, script=ALONE, consistency="require", allow_differences=allowed)
    run = deployment.run()
    build = deployment.build(run)
    assert (run.state, build.verdict) == ("success", "equal")
    assert build.comparison["differences"][0]["allowed"] == "second greets with a cow"


@on_both
def test_a_rebuild_has_the_same_inputs_though_all_files_have_changed(deployment):
    parameters = {"extra": {"type": "string", "default": "plain"}}
    (deployment.include / "files").mkdir()
    (deployment.include / "files" / "motd").write_text("hello\n")
    deployment.generator(parameters=parameters, files={"motd": "/etc/motd"})
    old = deployment.build(deployment.run(conf={"extra": "special"}))
    source = deployment.catalog.target(old.build_id, "first").source_image_id
    (deployment.include / "files" / "motd").write_text("changed\n")
    deployment.site.save_an_image("simulated-newest")
    script = "#!/bin/sh\n# sandbox: print changed\necho changed\n"
    deployment.clouds("second")
    deployment.generator(script=script, clouds=BOTH, parameters={"other": {"type": "integer", "default": 1}})
    run = deployment.run(conf={"rebuild": old.build_id})
    new = deployment.build(run)
    assert run.state == "success"
    assert run.tasks["second.launch_vm"] == "skipped"
    stories = [
        story_of(deployment.catalog, deployment.catalog.images(build_id=each.build_id)[0]) for each in (old, new)
    ]
    assert stories[0].inputs_sha256 == stories[1].inputs_sha256 != ""
    plan = Plan.model_validate(new.plan)
    assert inputs_sha256(plan) == stories[1].inputs_sha256
    assert (new.version, plan.rebuild_of, plan.parameters) == (old.version, old.build_id, {"extra": "special"})
    assert [file.content for file in plan.files] == [b"hello\n"]
    target = deployment.target(run)
    assert (target.source_image_id, target.output_tail) == (source, "hello\n")
    assert target.image_name == f"tools-{new.build_id}"
    assert deployment.site.left() == []


def test_a_rebuild_passes_airflows_check_of_parameters_that_were_added_since(deployment):
    deployment.generator(parameters={"size": {"type": "integer"}, "kind": {"type": "string"}})
    old = deployment.build(deployment.run(conf={"size": 3, "kind": "small"}))
    added = {
        "token": {"type": "string", "secret": True},
        "mirror": {"type": "string"},
        "size": {"type": "integer", "choices": [4, 8]},
        "kind": {"type": "boolean"},
        "share": {"type": "number"},
    }
    deployment.generator(parameters=added)
    conf = conf_of(Plan.model_validate(old.plan), load_all(deployment.include).generators["tools"])
    run = deployment.run(conf=conf)
    plan = Plan.model_validate(deployment.build(run).plan)
    assert (run.state, plan.rebuild_of) == ("success", old.build_id)
    assert (plan.parameters, plan.secrets) == ({"size": 3, "kind": "small"}, ())


def test_a_rebuild_that_cannot_be_the_same_says_why_before_anything_is_launched(deployment, capsys):
    deployment.clouds("second")
    deployment.generator(clouds={"first": {"image_name": "fixed"}, "second": {}})
    old = deployment.build(deployment.run(conf={"clouds": ["first"]}))
    other = deployment.build(deployment.run(conf={"clouds": ["second"]}))
    before = deployment.site.instances()
    for conf, clouds, words in (
        ({"rebuild": old.build_id}, BOTH, "an image named fixed is there already"),
        (
            {"rebuild": other.build_id},
            {"first": {}},
            "which the generator tools no longer names; add second to its clouds",
        ),
        ({"rebuild": "nothing"}, BOTH, "nothing: no such build in the catalog"),
        ({"rebuild": 5}, BOTH, "5 is no build; give a build's id"),
    ):
        deployment.generator(clouds=clouds)
        run = deployment.run(conf=conf)
        assert run.tasks["begin"] == "failed"
        assert words in capsys.readouterr().out
    assert deployment.site.instances() == before


@on_both
def test_images_parents_and_digests_come_back_from_the_clouds_tags(deployment):
    deployment.clouds("second")
    deployment.generator("base", clouds=BOTH)
    deployment.run("base")
    parents = {each.cloud: each.image_id for each in deployment.catalog.images(generator="base")}
    entries = {cloud: {**BOTH[cloud], "source_image": parents[cloud]} for cloud in BOTH}
    deployment.generator("web", clouds=entries, script=SAME)
    deployment.run("web")

    def tree() -> list[str]:
        image = next(each for each in deployment.catalog.images(generator="web") if each.cloud == "first")
        # Names of other people's images are in no tag.
        return [line.removesuffix(" simulated-1") for line in drawn(lineage_of(deployment.catalog, image))]

    before, drawing = facts(deployment), tree()
    assert len(before) == 4 and all(row[-1] for row in before)
    deployment.lose_catalog()
    hotel = {"type": "openstack", "auth_url": "https://hotel.example:5000/v3", "password": "ask"}
    path = deployment.include / "clouds.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "hotel": hotel}))
    run = deployment.run("imagesmith_catalog_rebuild")
    assert run.state == "success"
    assert facts(deployment) == before
    assert tree() == drawing
    build = deployment.catalog.build(before[0][3])
    assert (build.state, build.requested_how) == (BuildState.SUCCESSFUL, READ_BACK)
    assert deployment.run("imagesmith_catalog_rebuild").state == "success"
    assert facts(deployment) == before
    assert deployment.run("imagesmith_janitor").state == "success"
    assert len(deployment.site.images()) == 4


def facts(deployment: Any) -> list[tuple[Any, ...]]:
    """All that a catalog must know of its images again."""
    return sorted(tuple(getattr(each, key) for key in KEYS) for each in deployment.catalog.images())


def test_images_come_back_from_nimbus_whose_store_knows_no_tags(deployment):
    nimbus = NimbusSites(deployment)
    nimbus.generator(XEN, KVM)
    assert deployment.run().state == "success"
    before = facts(deployment)
    assert len(before) == 2 and all(all(row) for row in before)
    deployment.lose_catalog()
    shutil.rmtree(settings.home() / "nimbus")
    assert deployment.run("imagesmith_catalog_rebuild").state == "success"
    assert facts(deployment) == before


def test_images_come_back_from_openstacks_of_today_and_of_2013(deployment):
    sites = Sites(deployment)
    sites.generator(SIERRA, INDIA)
    assert deployment.run().state == "success"
    before = facts(deployment)
    assert len(before) == 2 and all(all(row) for row in before)
    deployment.lose_catalog()
    assert deployment.run("imagesmith_catalog_rebuild").state == "success"
    assert facts(deployment) == before
