"""What the catalog promises about history: lineage, searches and what is read back, on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from imagesmith.catalog.records import READ_BACK, BuildState, ImageRecord, NewTarget
from imagesmith.catalog.recovery import FoundImage
from imagesmith.catalog.store import Catalog
from imagesmith.core import ImageState, TargetState
from imagesmith.inventory import Inventory
from imagesmith.search import search
from imagesmith.versions import question

from .databases import NOON, Clock, an_inventory, begin


def save(
    catalog: Catalog,
    image_id: str,
    source: str,
    *,
    cloud: str = "ec2",
    name: str = "",
    inventory: Inventory | None = None,
) -> ImageRecord:
    """An image of a build of its own, made from `source`."""
    build = begin(
        catalog, build_id=f"build-of-{cloud}-{image_id}", run_id=f"{cloud}-{image_id}", targets=[NewTarget(cloud)]
    )
    digest = catalog.record_inventory(inventory) if inventory else ""
    catalog.update_target(build.build_id, cloud, source_image_id=source, inventory_digest=digest)
    catalog.record_image(build.build_id, cloud, image_id=image_id, name=name or f"name-{image_id}")
    return catalog.image_available(cloud, image_id)


def ids(images: list[ImageRecord]) -> list[str]:
    return [image.image_id for image in images]


def test_the_family_is_all_ancestors_and_all_descendants_on_that_cloud(catalog: Catalog, clock: Clock) -> None:
    for image_id, source in {"a": "vendor", "b": "a", "c": "b", "d": "b", "x": "vendor", "y": "a"}.items():
        save(catalog, image_id, source)
        clock.pass_s(1)
    save(catalog, "e", "b", cloud="hotel")
    assert ids(catalog.family("ec2", "b")) == ["a", "b", "c", "d"]
    assert ids(catalog.family("ec2", "d")) == ["a", "b", "d"]
    assert ids(catalog.family("ec2", "a")) == ["a", "b", "c", "d", "y"]
    assert ids(catalog.family("hotel", "e")) == ["e"]
    assert catalog.family("ec2", "unknown") == []


def test_the_family_of_images_that_are_made_from_each_other_ends(catalog: Catalog) -> None:
    save(catalog, "a", "b")
    save(catalog, "b", "a")
    assert sorted(ids(catalog.family("ec2", "a"))) == ["a", "b"]


def test_deleted_images_stay_in_the_family(catalog: Catalog, clock: Clock) -> None:
    save(catalog, "a", "vendor")
    clock.pass_s(1)
    save(catalog, "b", "a")
    catalog.image_deleted("ec2", "a")
    assert [image.state for image in catalog.family("ec2", "b")] == [ImageState.GONE, ImageState.AVAILABLE]


def test_an_image_is_found_by_its_id_by_its_cloud_and_by_its_name(catalog: Catalog) -> None:
    save(catalog, "VMS/me/one.gz", "vendor", name="one.gz")
    save(catalog, "two", "vendor", name="twin")
    save(catalog, "three", "vendor", cloud="hotel", name="twin")
    assert ids(catalog.find_images("VMS/me/one.gz")) == ["VMS/me/one.gz"]
    assert ids(catalog.find_images("ec2/VMS/me/one.gz")) == ["VMS/me/one.gz"]
    assert ids(catalog.find_images("one.gz")) == ["VMS/me/one.gz"]
    assert sorted(ids(catalog.find_images("twin"))) == ["three", "two"]
    assert catalog.find_images("hotel/two") == []


def test_a_search_compares_versions_as_the_package_manager_does(catalog: Catalog) -> None:
    versions = {"old": "3.0.9-1", "tilde": "3.0.15~rc1", "same": "3.0.15", "epoch": "1:2.0"}
    for image_id, version in versions.items():
        save(catalog, image_id, "vendor", inventory=an_inventory(("openssl", version), ("bash", "5.2")))
    save(catalog, "without", "vendor", inventory=an_inventory(("bash", "5.2")))
    for words, expected in {
        "openssl<3.0.15": ["old", "tilde"],
        "openssl<=3.0.15": ["old", "same", "tilde"],
        "openssl=3.0.15": ["same"],
        "openssl>=3.0.15": ["epoch", "same"],
        "openssl>3.0.15": ["epoch"],
        "openssl": ["epoch", "old", "same", "tilde"],
        "dpkg:openssl": ["epoch", "old", "same", "tilde"],
        "rpm:openssl": [],
        "opens": [],
    }.items():
        held = search(catalog, question(words)).held
        assert sorted(each.image.image_id for each in held) == expected, words
        assert all(each.package.version == versions[each.image.image_id] for each in held)


def found(image_id: str = "ami-1", **changes: Any) -> FoundImage:
    plan = {"targets": {changes.get("cloud", "ec2"): {"of": image_id}}}
    wanted = {
        "cloud": "ec2",
        "image_id": image_id,
        "name": f"name-{image_id}",
        "build_id": "20260301-120000-a1b2c3",
        "generator": "dstat",
        "version": "0123456789ab",
        "source_image_id": "vendor",
        "inventory_digest": "d" * 64,
        "created_at": NOON - timedelta(days=9),
        "plan": plan,
    }
    return FoundImage(**{**wanted, **changes})


def test_what_is_read_back_from_the_clouds_is_a_build_with_its_images(catalog: Catalog) -> None:
    assert catalog.recover_image(found())
    assert catalog.recover_image(found("h-1", cloud="hotel", source_image_id="other"))
    assert not catalog.recover_image(found())
    build = catalog.builds()[0]
    assert (build.generator, build.state, build.requested_how) == ("dstat", BuildState.SUCCESSFUL, READ_BACK)
    assert set(build.plan["targets"]) == {"ec2", "hotel"}
    targets = catalog.targets(build.build_id)
    assert [(each.cloud, each.state, each.source_image_id) for each in targets] == [
        ("ec2", TargetState.SUCCESSFUL, "vendor"),
        ("hotel", TargetState.SUCCESSFUL, "other"),
    ]
    image = catalog.find_images("ami-1")[0]
    assert (image.state, image.inventory_digest, image.created_at) == (
        ImageState.AVAILABLE,
        "d" * 64,
        NOON - timedelta(days=9),
    )
    version = catalog.generator_version("dstat", "0123456789ab")
    assert version is not None and version.content == {}


def test_what_the_catalog_has_is_never_overwritten_by_what_is_read_back(catalog: Catalog) -> None:
    known = begin(catalog)
    catalog.update_target(known.build_id, "ec2", source_image_id="true-source")
    image = catalog.record_image(known.build_id, "ec2", image_id="ami-1", name="true-name")
    assert not catalog.recover_image(found(name="other-name", source_image_id="other"))
    assert catalog.build(known.build_id) == known
    assert catalog.find_images("ami-1") == [image]
    assert catalog.target(known.build_id, "ec2").source_image_id == "true-source"
    assert catalog.generator_version("dstat", "0123456789ab").content != {}  # type: ignore[union-attr]


def test_a_version_that_was_read_back_is_known_once_it_is_built(catalog: Catalog) -> None:
    catalog.recover_image(found())
    begun = begin(catalog, build_id="20260303-120000-a1b2c3")
    version = catalog.generator_version("dstat", begun.version)
    assert version is not None
    assert (version.content["name"], version.created_at) == ("dstat", NOON - timedelta(days=9))
    begin(catalog, build_id="20260304-120000-a1b2c3", run_id="manual__2", content={"name": "other"})
    assert catalog.generator_version("dstat", begun.version) == version, "the first content stays"


def test_a_comparison_is_kept_with_the_build_and_replaced_by_a_later_one(catalog: Catalog) -> None:
    build = begin(catalog)
    catalog.record_comparison(build.build_id, verdict="different", comparison={"differences": []})
    assert catalog.build(build.build_id).verdict == "different"
    catalog.record_comparison(build.build_id, verdict="", comparison=None)
    again = catalog.build(build.build_id)
    assert (again.verdict, again.comparison) == ("", None)
