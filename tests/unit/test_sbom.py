"""Bills of materials: accepted by the formats' own libraries, the same each time, and with the right package URLs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings
from hypothesis import strategies as st
from packageurl import PackageURL
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from imagesmith.catalog.records import ImageRecord
from imagesmith.core import ImageState
from imagesmith.inventory import Inventory, Package
from imagesmith.sbom.cyclonedx import cyclonedx
from imagesmith.sbom.purls import purl
from imagesmith.sbom.spdx import spdx
from imagesmith.sbom.subject import Subject

from .built import an_inventory

NOW = datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC)
DEBIAN = {"ID": "debian", "VERSION_ID": "12"}
PACKAGES = (
    Package(manager="dpkg", name="libstdc++6", version="12.2.0-14", architecture="amd64", origin="Debian"),
    Package(manager="dpkg", name="bash", version="5.2.15-2+b2", architecture="amd64"),
    Package(manager="pip", name="Foo_Bar", version="1.0"),
    Package(manager="npm", name="@angular/cli", version="17.0.1"),
    Package(manager="gem", name="rake", version="13.0.6"),
)


def an_image(**changes: Any) -> ImageRecord:
    words: dict[str, Any] = {
        "build_id": "20260102-030405-abcdef",
        "cloud": "ec2",
        "image_id": "ami-1",
        "name": "dstat-1",
        "generator": "dstat",
        "version": "0123456789ab",
        "source_image_id": "ami-0",
        "public": False,
        "state": ImageState.AVAILABLE,
        "created_at": NOW,
        "available_at": NOW,
        "deleted_at": None,
        "inventory_digest": "",
        "verified_at": None,
    }
    return ImageRecord(**{**words, **changes})


def read_spdx(text: str) -> Any:
    return JsonLikeDictParser().parse(json.loads(text))


SUBJECT = Subject(an_image(), an_inventory(*PACKAGES))


@pytest.mark.parametrize(
    ("package", "os", "expected"),
    [
        (PACKAGES[0], DEBIAN, "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14?arch=amd64&distro=debian-12"),
        (
            Package(manager="dpkg", name="vim", version="2:9.1-1", architecture="arm64"),
            {"ID": "ubuntu", "VERSION_ID": "24.04"},
            "pkg:deb/ubuntu/vim@2:9.1-1?arch=arm64&distro=ubuntu-24.04",
        ),
        (
            Package(manager="rpm", name="vim-minimal", version="2:9.1-1.fc40", architecture="x86_64"),
            {"ID": "fedora", "VERSION_ID": "40"},
            "pkg:rpm/fedora/vim-minimal@9.1-1.fc40?arch=x86_64&distro=fedora-40&epoch=2",
        ),
        (
            Package(manager="apk", name="musl", version="1.2.5-r0", architecture="x86_64"),
            {"ID": "alpine", "VERSION_ID": "3.20.1"},
            "pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64&distro=alpine-3.20.1",
        ),
        (
            Package(manager="pacman", name="glibc", version="2.39-1", architecture="x86_64"),
            {"ID": "arch"},
            "pkg:alpm/arch/glibc@2.39-1?arch=x86_64&distro=arch",
        ),
        (Package(manager="dpkg", name="a", version="1"), {}, "pkg:deb/debian/a@1"),
        (PACKAGES[2], DEBIAN, "pkg:pypi/foo-bar@1.0"),
        (PACKAGES[3], DEBIAN, "pkg:npm/%40angular/cli@17.0.1"),
        (PACKAGES[4], DEBIAN, "pkg:gem/rake@13.0.6"),
    ],
)
def test_the_url_of_a_package(package: Package, os: dict[str, str], expected: str) -> None:
    assert purl(package, os).to_string() == expected
    assert PackageURL.from_string(expected) == purl(package, os)


@pytest.mark.parametrize("bill", [cyclonedx, spdx])
def test_the_same_image_gives_the_same_text(bill: Any) -> None:
    assert bill(SUBJECT) == bill(Subject(an_image(), an_inventory(*PACKAGES)))


def test_another_image_or_another_content_is_another_document() -> None:
    others = [
        Subject(an_image(image_id="ami-2"), SUBJECT.inventory),
        Subject(an_image(cloud="hotel"), SUBJECT.inventory),
        Subject(SUBJECT.image, an_inventory(*PACKAGES[1:])),
    ]
    serials = [json.loads(cyclonedx(each))["serialNumber"] for each in (SUBJECT, *others)]
    spaces = [json.loads(spdx(each))["documentNamespace"] for each in (SUBJECT, *others)]
    assert len({*serials, *spaces}) == 8


def test_cyclonedx_says_what_the_image_is_and_holds() -> None:
    text = cyclonedx(SUBJECT)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    root = bill["metadata"]["component"]
    assert bill["metadata"]["timestamp"].startswith("2026-01-02T03:04:05")
    assert root["hashes"] == [{"alg": "SHA-256", "content": SUBJECT.inventory.digest}]
    known = {each["name"]: each["value"] for each in root["properties"]}
    assert (known["imagesmith:cloud"], known["imagesmith:image-id"]) == ("ec2", "ami-1")
    systems = [each for each in bill["components"] if each["type"] == "operating-system"]
    assert [(each["name"], each["version"]) for each in systems] == [("debian", "12")]
    urls = {each["purl"] for each in bill["components"] if "purl" in each}
    assert urls == {purl(package, DEBIAN).to_string() for package in PACKAGES}
    (held,) = [each["dependsOn"] for each in bill["dependencies"] if each["ref"] == "image"]
    assert len(held) == len(PACKAGES) + 1


def test_spdx_says_what_the_image_is_and_holds() -> None:
    text = spdx(SUBJECT)
    document = read_spdx(text)
    assert validate_full_spdx_document(document) == []
    packages = {package.spdx_id: package for package in document.packages}
    assert document.creation_info.spdx_version == "SPDX-2.3"
    assert json.loads(text)["creationInfo"]["created"] == "2026-01-02T03:04:05Z"
    image = packages["SPDXRef-Image"]
    assert [sum_.value for sum_ in image.checksums] == [SUBJECT.inventory.digest]
    assert "imagesmith:image-id: ami-1" in image.comment
    assert (packages["SPDXRef-OperatingSystem"].name, packages["SPDXRef-OperatingSystem"].version) == ("debian", "12")
    urls = {reference.locator for package in document.packages for reference in package.external_references}
    assert urls == {purl(package, DEBIAN).to_string() for package in PACKAGES}
    kinds = [str(each.relationship_type.name) for each in document.relationships]
    assert (kinds.count("DESCRIBES"), kinds.count("CONTAINS")) == (1, len(PACKAGES) + 1)


def test_an_image_of_which_little_is_known() -> None:
    bare = Subject(an_image(name=""), Inventory(os={}, kernel="", architecture=""))
    assert json.loads(cyclonedx(bare))["metadata"]["component"]["name"] == "ami-1"
    assert validate_full_spdx_document(read_spdx(spdx(bare))) == []


WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
ANY_PACKAGE = st.builds(
    Package,
    manager=st.sampled_from(["dpkg", "rpm", "apk", "pacman", "pip", "npm", "gem"]),
    name=WORDS,
    version=WORDS,
    architecture=st.text(max_size=5),
    origin=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20),
)


@settings(max_examples=10, deadline=None)
@given(st.lists(ANY_PACKAGE, max_size=5))
def test_whatever_packages_are_called_the_bills_are_valid(packages: list[Package]) -> None:
    subject = Subject(an_image(), an_inventory(*packages))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(cyclonedx(subject)) is None
    assert validate_full_spdx_document(read_spdx(spdx(subject))) == []
