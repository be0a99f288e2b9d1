"""An image's bill of materials as SPDX 2.3 JSON."""

from __future__ import annotations

from io import StringIO

from spdx_tools.spdx.model import (
    Actor,
    ActorType,
    Checksum,
    ChecksumAlgorithm,
    CreationInfo,
    Document,
    ExternalPackageRef,
    ExternalPackageRefCategory,
    Package,
    PackagePurpose,
    Relationship,
    RelationshipType,
    SpdxNoAssertion,
)
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
from spdx_tools.spdx.writer.json.json_writer import write_document_to_stream

from imagesmith import __version__, inventory
from imagesmith.errors import ImagesmithError
from imagesmith.sbom.purls import purl
from imagesmith.sbom.subject import Subject

_DOCUMENT, _IMAGE, _SYSTEM = "SPDXRef-DOCUMENT", "SPDXRef-Image", "SPDXRef-OperatingSystem"


def spdx(subject: Subject) -> str:
    """The bill, valid by the format's own library; the same image gives the same text."""
    inside = [_system(subject)]
    inside += [_package(package, subject, number) for number, package in enumerate(subject.packages(), 1)]
    document = Document(
        creation_info=CreationInfo(
            spdx_version="SPDX-2.3",
            spdx_id=_DOCUMENT,
            name=subject.name,
            document_namespace=subject.uuid("spdx").urn,
            creators=[Actor(ActorType.TOOL, f"imagesmith-{__version__}")],
            created=subject.moment.replace(tzinfo=None),  # SPDX's times are UTC, and its library writes them so
        ),
        packages=[_image(subject), *inside],
        relationships=[
            Relationship(_DOCUMENT, RelationshipType.DESCRIBES, _IMAGE),
            *(Relationship(_IMAGE, RelationshipType.CONTAINS, each.spdx_id) for each in inside),
        ],
    )
    if wrong := validate_full_spdx_document(document):
        raise ImagesmithError(f"{subject.name}: the bill is no SPDX 2.3: {wrong[0].validation_message}")
    text = StringIO()
    write_document_to_stream(document, text, validate=False)
    return text.getvalue() + "\n"


def _image(subject: Subject) -> Package:
    return Package(
        spdx_id=_IMAGE,
        name=subject.name,
        version=subject.image.version,
        download_location=SpdxNoAssertion(),
        files_analyzed=False,
        checksums=[Checksum(ChecksumAlgorithm.SHA256, subject.inventory.digest)],
        comment="The checksum is that of the image's inventory: of what is inside.\n"
        + "\n".join(f"{name}: {value}" for name, value in subject.facts.items()),
        primary_package_purpose=PackagePurpose.OTHER,
    )


def _system(subject: Subject) -> Package:
    return Package(
        spdx_id=_SYSTEM,
        name=subject.os_name,
        version=subject.os_version,
        download_location=SpdxNoAssertion(),
        files_analyzed=False,
        description=subject.os_description,
        primary_package_purpose=PackagePurpose.OPERATING_SYSTEM,
    )


def _package(package: inventory.Package, subject: Subject, number: int) -> Package:
    url = purl(package, subject.inventory.os).to_string()
    return Package(
        spdx_id=f"SPDXRef-Package-{number}",
        name=package.name,
        version=package.version or None,
        download_location=SpdxNoAssertion(),
        files_analyzed=False,
        source_info=f"installed by {package.manager}" + (f" from {package.origin}" if package.origin else ""),
        external_references=[ExternalPackageRef(ExternalPackageRefCategory.PACKAGE_MANAGER, "purl", url)],
        primary_package_purpose=PackagePurpose.LIBRARY,
    )
