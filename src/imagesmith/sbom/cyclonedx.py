"""An image's bill of materials as CycloneDX 1.6 JSON."""

from __future__ import annotations

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from imagesmith import __version__
from imagesmith.errors import ImagesmithError
from imagesmith.inventory import Package
from imagesmith.sbom.purls import purl
from imagesmith.sbom.subject import Subject


def cyclonedx(subject: Subject) -> str:
    """The bill, valid by the format's own schema; the same image gives the same text."""
    root = _image(subject)
    system = Component(
        type=ComponentType.OPERATING_SYSTEM,
        name=subject.os_name,
        version=subject.os_version,
        description=subject.os_description,
        bom_ref="operating-system",
    )
    packages = [_package(package, subject, number) for number, package in enumerate(subject.packages(), 1)]
    bom = Bom(
        serial_number=subject.uuid("cyclonedx"),
        metadata=BomMetaData(
            timestamp=subject.moment,
            component=root,
            tools=ToolRepository(
                components=[Component(type=ComponentType.APPLICATION, name="imagesmith", version=__version__)]
            ),
        ),
        components=[system, *packages],
    )
    bom.register_dependency(root, [system, *packages])
    text = str(JsonV1Dot6(bom).output_as_string(indent=2)) + "\n"
    if (wrong := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)) is not None:
        raise ImagesmithError(f"{subject.name}: the bill is no CycloneDX 1.6: {wrong}")
    return text


def _image(subject: Subject) -> Component:
    """A VM image is, in CycloneDX's words, a container: what is isolated by virtualization."""
    return Component(
        type=ComponentType.CONTAINER,
        name=subject.name,
        version=subject.image.version,
        description="The hash is that of the image's inventory: of what is inside.",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=subject.inventory.digest)],
        properties=[Property(name=name, value=value) for name, value in subject.facts.items()],
        bom_ref="image",
    )


def _package(package: Package, subject: Subject, number: int) -> Component:
    url = purl(package, subject.inventory.os)
    known = {"imagesmith:manager": package.manager, "imagesmith:origin": package.origin}
    return Component(
        type=ComponentType.LIBRARY,
        name=package.name,
        version=package.version,
        purl=url,
        properties=[Property(name=name, value=value) for name, value in known.items() if value],
        bom_ref=f"package-{number}",
    )
