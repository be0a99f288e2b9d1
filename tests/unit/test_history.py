"""The commands of history over a catalog in a file: what they say of images, their content and their lineage."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from imagesmith.allowances import Allowance
from imagesmith.catalog.records import NewTarget
from imagesmith.catalog.recovery import FoundImage
from imagesmith.catalog.store import Catalog
from imagesmith.cli import main
from imagesmith.core import TargetState
from imagesmith.inventory import Inventory, Package
from imagesmith.plan import Plan, PlannedScript, PlannedSource, PlannedTarget
from imagesmith.steps.publish import publish

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def inventory(*packages: str, **changes: Any) -> Inventory:
    found = [dict(zip(("name", "version"), words.split("="), strict=True)) for words in packages]
    wanted: dict[str, Any] = {
        "os": {"PRETTY_NAME": "Debian GNU/Linux 12 (bookworm)"},
        "kernel": "6.1.0-18",
        "architecture": "x86_64",
        "packages": tuple(Package.model_validate({"manager": "dpkg", **each}) for each in found),
    }
    return Inventory(**{**wanted, **changes})


class Past:
    """Builds as they have been, one after the other an hour apart."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.now = NOON
        catalog._now = lambda: self.now

    def build(
        self,
        generator: str,
        images: dict[str, tuple[str, str, Inventory | None]],
        *,
        script: str = "#!/bin/sh\ntrue\n",
        **changes: Any,
    ) -> str:
        """A build whose images, by cloud, have that id, that source image and that content."""
        self.now += timedelta(hours=1)
        build_id = f"{self.now:%Y%m%d-%H%M%S}-a1b2c3"
        plan = self.plan(build_id, generator, list(images), script=script, **changes)
        self.catalog.begin_build(
            build_id=build_id,
            generator=generator,
            version=plan.version,
            content={"scripts": [script]},
            dag_id=generator,
            run_id=f"manual__{build_id}",
            requested_by="anna",
            requested_how="manual",
            plan=plan.model_dump(mode="json"),
            deadline=self.now + timedelta(hours=2),
            targets=[NewTarget(cloud, image_name=f"{generator}-{cloud}") for cloud in images],
        )
        for cloud, (image_id, source, inside) in images.items():
            digest = self.catalog.record_inventory(inside) if inside else ""
            self.catalog.update_target(
                *(build_id, cloud), source_image_id=source, source_image_name="base", inventory_digest=digest
            )
            self.catalog.record_image(build_id, cloud, image_id=image_id, name=f"{generator}-{cloud}")
            self.catalog.image_available(cloud, image_id)
            self.catalog.advance_target(build_id, cloud, TargetState.SUCCESSFUL)
        publish(build_id, catalog=self.catalog, secret=b"0" * 32)
        return build_id

    def plan(self, build_id: str, generator: str, clouds: list[str], *, script: str, **changes: Any) -> Plan:
        targets = {
            cloud: PlannedTarget(
                cloud=cloud,
                cloud_type="memory",
                settings={},
                source_image=PlannedSource(name="base-*"),
                ssh_username="admin",
                instance_type="small",
                image_name=f"{generator}-{build_id}",
                image_name_template="{generator}-{build_id}",
                public=False,
                tags={},
                required=True,
                disk_gib=None,
                time_limits_s={"terminate": 60},
            )
            for cloud in clouds
        }
        wanted: dict[str, Any] = {
            "version": hashlib.sha256(script.encode()).hexdigest()[:12],
            "description": "",
            "script_sha256": "",
            "files": (),
            "parameters": {},
            "created": self.now,
            "time_limit_s": 3600,
        }
        scripts = (PlannedScript(name="setup.sh", text=script, sha256="5" * 64),)
        return Plan(build_id=build_id, generator=generator, targets=targets, scripts=scripts, **{**wanted, **changes})


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("history") / "catalog.db"
    catalog = Catalog(f"sqlite:///{path}")
    catalog.upgrade()
    catalog.close()
    return path


@pytest.fixture
def past(tmp_path: Path, empty_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Past]:
    shutil.copy(empty_file, tmp_path / "catalog.db")
    url = f"sqlite:///{tmp_path / 'catalog.db'}"
    monkeypatch.setenv("IMAGESMITH_CATALOG_URL", url)
    monkeypatch.setenv("IMAGESMITH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("IMAGESMITH_INCLUDE", str(tmp_path / "include"))
    catalog = Catalog(url)
    yield Past(catalog)
    catalog.close()


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    return json.loads(said(capsys, *arguments, "--json"))


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 1
    return capsys.readouterr().err


def test_show_tells_what_is_in_an_image_from_what_and_by_whom(past: Past, capsys: Any) -> None:
    past.build("base", {"ec2": ("ami-1", "vendor-1", inventory("bash=5"))})
    script = "#!/bin/sh\napt-get install dstat\n"
    inside = inventory("bash=5", "dstat=0.7", services=("ssh",))
    build_id = past.build("tools", {"ec2": ("ami-2", "ami-1", inside)}, script=script, parameters={"extra": "x"})
    text = said(capsys, "show", "ami-2", "--script", "--inside")
    for words in (
        "ec2/ami-2\n",
        "state      available, saved ",
        "not verified",
        "script     setup.sh  2 lines, sha256 5555",
        "parameter  extra = 'x'",
        "made from  ami-1 base",
        "parent     ec2/ami-1, base ",
        f"build      {build_id}, successful",
        "requested  manual anna",
        f"content    sha256 {inside.digest}",
        "Debian GNU/Linux 12 (bookworm), kernel 6.1.0-18, x86_64",
        "2 packages, 1 services",
        f"/dags/tools/runs/manual__{build_id}/tasks/ec2.customize",
        "--- setup.sh\n#!/bin/sh\napt-get install dstat\n",
        "package dstat  0.7\n",
    ):
        assert re.sub(" +", " ", words) in re.sub(" +", " ", text), words


def test_show_as_json_holds_the_whole_script_and_inventory(past: Past, capsys: Any) -> None:
    inside = inventory("bash=5")
    past.build("base", {"ec2": ("ami-1", "vendor-1", inside)}, script="#!/bin/sh\necho hi\n")
    document = told(capsys, "show", "ec2/ami-1")
    assert document["scripts"][0]["text"] == "#!/bin/sh\necho hi\n"
    assert (
        Inventory.model_validate(document["inventory"]).digest == inside.digest == document["image"]["inventory_digest"]
    )
    assert re.fullmatch("[0-9a-f]{64}", document["build"]["inputs_sha256"])
    assert document["parent"] is None


def test_an_image_that_was_read_back_from_its_cloud_is_shown_as_such(past: Past, capsys: Any) -> None:
    plan = past.plan("20260101-000000-abcdef", "lost", ["ec2"], script="x").model_copy(update={"scripts": ()})
    found = FoundImage(
        **{"cloud": "ec2", "image_id": "ami-9", "name": "lost-1", "build_id": plan.build_id, "generator": "lost"},
        **{"version": plan.version, "source_image_id": "v", "inventory_digest": "", "created_at": NOON},
        plan=plan.model_dump(mode="json"),
    )
    past.catalog.recover_image(found)
    text = said(capsys, "show", "lost-1")
    assert "unknown: the build was read back from its images' tags" in text
    assert "nobody looked into it" in text
    assert "its script is not known; build lost from its file instead" in refused(capsys, "rebuild", plan.build_id)


def test_of_what_was_read_back_it_is_said_what_went_with_the_catalog(past: Past, capsys: Any) -> None:
    digests = {"ami-1": "a" * 64, "ami-2": "a" * 64, "ami-3": "b" * 64}
    for day, (image_id, digest) in enumerate(digests.items(), start=1):
        plan = past.plan(f"2026010{day}-000000-abcdef", "lost", ["ec2"], script="x").model_copy(update={"scripts": ()})
        found = FoundImage(
            **{"cloud": "ec2", "image_id": image_id, "name": image_id, "build_id": plan.build_id, "generator": "lost"},
            **{"version": plan.version, "source_image_id": "v", "inventory_digest": digest, "created_at": NOON},
            plan=plan.model_dump(mode="json"),
        )
        past.catalog.recover_image(found)
    text = said(capsys, "show", "ami-1")
    assert "whether it was verified is not known" in text
    assert "read-back__" not in text, "there is no such run, and no log"
    assert told(capsys, "show", "ami-1")["build"]["log"] == ""
    assert "read-back__" not in said(capsys, "status", "20260101-000000-abcdef")
    assert f"what is inside is the same: both have the digest {'a' * 64}" in said(capsys, "diff", "ami-1", "ami-2")
    assert f"what is inside differs: digest {'a' * 64} → {'b' * 64}; the list of it went with a catalog" in said(
        capsys, "diff", "ami-1", "ami-3"
    )
    past.build("lost", {"ec2": ("ami-9", "v", None)}, script="x", parameters={"extra": "vim"})
    lines = said(capsys, "diff", "ami-1", "ami-9").splitlines()
    assert lines[-1].startswith("scripts, files and parameters are not known of ec2/ami-1: ")
    assert not [line for line in lines if "vim" in line or line.startswith(("script ", "parameters"))]
    document = told(capsys, "diff", "ami-9", "ami-1")
    assert (document["scripts"], document["files"], document["parameters"]) == (None, None, None)
    assert told(capsys, "status", "20260101-000000-abcdef")["url"] == ""
    assert "ec2/ami-1: the list of what is inside went with a catalog" in refused(capsys, "sbom", "ami-1")
    assert "its statement went with a catalog that was lost; take the file that" in refused(
        capsys, "provenance", "20260101-000000-abcdef"
    )


def test_a_name_that_two_clouds_have_is_asked_back_for(past: Past, capsys: Any) -> None:
    past.build("tools", {"ec2": ("ami-1", "v", None), "hotel": ("uuid-1", "w", None)})
    past.build("tools", {"ec2": ("ami-2", "v", None)})
    assert "tools-ec2: is 2 images; name one of ec2/ami-2, ec2/ami-1" in refused(capsys, "show", "tools-ec2")
    past.catalog.image_deleted("ec2", "ami-1")
    assert "ec2/ami-2" in said(capsys, "show", "tools-ec2")
    assert "deleted" in said(capsys, "show", "ami-1")
    assert "no image of that id or name was saved" in refused(capsys, "show", "nothing")


def test_diff_shows_packages_files_parameters_sources_and_the_script(past: Past, capsys: Any) -> None:
    one = inventory("bash=5", "gone=1", configuration={"/etc/motd": "a" * 64})
    two = inventory("bash=6", "new=1", configuration={"/etc/motd": "b" * 64})
    past.build("tools", {"ec2": ("ami-1", "v1", one)}, script="#!/bin/sh\necho one\n", parameters={"extra": "a"})
    past.build("tools", {"hotel": ("ami-2", "v2", two)}, script="#!/bin/sh\necho two\n", parameters={"extra": "b"})
    lines = said(capsys, "diff", "ami-1", "ami-2").splitlines()
    for line in (
        "source image",
        "  ~ v1 → v2",
        "package: 1 added, 1 removed, 1 changed",
        "  ~ bash 5 → 6",
        "  - gone 1",
        "  + new 1",
        "file: 1 changed",
        f"  ~ /etc/motd {'a' * 12} → {'b' * 12}",
        "parameters",
        "  ~ extra 'a' → 'b'",
        "script setup.sh",
        "  -echo one",
        "  +echo two",
    ):
        assert line in lines
    document = told(capsys, "diff", "ami-1", "ami-2")
    assert [(each["name"], each["how"]) for each in document["inside"]][:3] == [
        ("bash", "changed"),
        ("gone", "removed"),
        ("new", "added"),
    ]
    assert document["parameters"] == {"extra": ["a", "b"]}


def test_diff_says_when_nothing_differs_and_when_nobody_looked(past: Past, capsys: Any) -> None:
    past.build("tools", {"ec2": ("ami-1", "v", inventory("a=1")), "hotel": ("ami-2", "v", inventory("a=1"))})
    past.build("tools", {"ec2": ("ami-3", "v", None)})
    assert said(capsys, "diff", "ami-1", "ami-2").endswith("nothing differs\n")
    assert "what is inside cannot be compared: nobody looked into ec2/ami-3" in said(capsys, "diff", "ami-1", "ami-3")


def three_generations(past: Past) -> None:
    past.build("base", {"ec2": ("ami-1", "vendor-1", None), "hotel": ("uuid-1", "vendor-2", None)})
    past.build("web", {"ec2": ("ami-2", "ami-1", None), "hotel": ("uuid-2", "uuid-1", None)})
    past.build("shop", {"ec2": ("ami-3", "ami-2", None), "hotel": ("uuid-3", "uuid-2", None)})
    past.build("blog", {"ec2": ("ami-4", "ami-1", None)})
    past.build("other", {"ec2": ("ami-5", "vendor-1", None)})


def test_lineage_is_a_tree_of_each_cloud(past: Past, capsys: Any) -> None:
    three_generations(past)
    text = re.sub(r" \((\w+) [0-9a-f]{12}\)", r" (\1)", said(capsys, "lineage", "ami-2"))
    assert text == (
        "ec2\n"
        "  vendor-1 base\n"
        "  └── ami-1  base-ec2  (base)\n"
        "      └── ami-2  web-ec2  (web)  ◄\n"
        "          └── ami-3  shop-ec2  (shop)\n"
        "hotel\n"
        "  vendor-2 base\n"
        "  └── uuid-1  base-hotel  (base)\n"
        "      └── uuid-2  web-hotel  (web)\n"
        "          └── uuid-3  shop-hotel  (shop)\n"
    )
    branches = said(capsys, "lineage", "ami-1")
    assert "  ├── ami-2" in branches.replace("    ├", "  ├") and "└── ami-4" in branches
    assert "ami-5" not in branches


def test_lineage_as_json_and_for_graphviz_holds_every_edge(past: Past, capsys: Any) -> None:
    three_generations(past)
    document = told(capsys, "lineage", "ami-3")
    edges = [(each["source_image_id"], each["image_id"]) for each in document["clouds"]["ec2"]]
    assert edges == [("vendor-1", "ami-1"), ("ami-1", "ami-2"), ("ami-2", "ami-3")]
    dot = said(capsys, "lineage", "ami-3", "--dot")
    assert dot.startswith("digraph lineage {") and dot.count("subgraph") == 2
    for source, image in edges:
        assert f'"ec2/{source}" -> "ec2/{image}";' in dot


def test_search_finds_images_by_a_package_and_its_version(past: Past, capsys: Any) -> None:
    past.build("tools", {"ec2": ("ami-1", "v", inventory("openssl=3.0.9"))})
    past.build("tools", {"ec2": ("ami-2", "v", inventory("openssl=3.0.15"))})
    past.build("tools", {"ec2": ("ami-3", "v", inventory("openssl=3.0.9"))})
    past.catalog.image_deleted("ec2", "ami-3")
    assert [each["image_id"] for each in told(capsys, "search", "openssl<3.0.15")] == ["ami-1"]
    assert [each["image_id"] for each in told(capsys, "search", "openssl<3.0.15", "--all")] == ["ami-3", "ami-1"]
    assert "3.0.15" in said(capsys, "search", "openssl>3.0.9")
    assert "no image with openssl>4 is known" in said(capsys, "search", "openssl>4")
    assert "cannot be compared by the rules of dpkg" in refused(capsys, "search", "openssl<no_version")


def test_status_and_images_show_the_verdict_and_the_digests(past: Past, capsys: Any) -> None:
    inside = inventory("bash=5")
    build_id = past.build("tools", {"ec2": ("ami-1", "v", inside), "hotel": ("uuid-1", "w", inventory("bash=6"))})
    text = said(capsys, "status", build_id)
    assert "images are different: 1 difference that nothing allows; clouds that agree: ec2 | hotel" in text
    assert "package  bash  5    6" in text
    document = told(capsys, "status", build_id)
    assert (document["verdict"], document["state"]) == ("different", "successful")
    assert document["comparison"]["differences"][0]["values"] == {"ec2": "5", "hotel": "6"}
    assert inside.digest[:12] in said(capsys, "images")
    assert "different" in said(capsys, "show", "ami-1")


def test_a_generator_that_requires_the_same_fails_for_what_it_does_not_allow(past: Past, capsys: Any) -> None:
    images = {"ec2": ("ami-1", "v", inventory("bash=5")), "hotel": ("uuid-1", "w", inventory("bash=6"))}
    build = past.catalog.build(past.build("tools", images, consistency="require"))
    assert (build.state, build.verdict) == ("failed", "different")
    assert "(package bash); mend the script, or allow it under `allow_differences:`" in build.error
    allowed = (Allowance(package="bash", reason="hotel is behind"),)
    images = {cloud: (f"{image_id}b", source, inside) for cloud, (image_id, source, inside) in images.items()}
    build = past.catalog.build(past.build("tools", images, consistency="require", allow_differences=allowed))
    assert (build.state, build.verdict) == ("successful", "equal")
    blind = {"ec2": ("ami-8", "v", None), "hotel": ("uuid-8", "w", inventory("bash=5"))}
    build = past.catalog.build(past.build("tools", blind, consistency="require"))
    assert (build.state, build.verdict) == ("failed", "unknown")
    assert "nobody looked into the image of ec2; let inventories be taken there" in build.error
