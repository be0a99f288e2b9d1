"""Files to download: what is in them, of which type, under which name."""

import re
from dataclasses import dataclass

from fastapi import Response

from imagesmith.catalog.records import BuildRecord, ImageRecord
from imagesmith.catalog.store import Catalog
from imagesmith.sbom.bills import bill, inventory_of
from imagesmith.web.problems import Problem

DSSE = "application/vnd.dsse.envelope.v1+json"
SBOM_TYPES = {
    "spdx": "application/spdx+json",
    "cyclonedx": "application/vnd.cyclonedx+json",
    "inventory": "application/json",
}
_NO_FILE_NAME = re.compile(r"[^A-Za-z0-9._-]+")
LONGEST_NAME = 100


@dataclass(frozen=True)
class Download:
    """One file; what of its name no file system or header would take is replaced."""

    name: str
    ending: str
    media_type: str
    content: str

    def response(self) -> Response:
        """The file as an answer that a browser saves and never shows."""
        name = _NO_FILE_NAME.sub("-", self.name).strip(".-")[:LONGEST_NAME] or "image"
        headers = {"Content-Disposition": f'attachment; filename="{name}.{self.ending}"'}
        return Response(self.content, media_type=self.media_type, headers=headers)


def sbom(catalog: Catalog, image: ImageRecord, form: str) -> Download:
    """The image's bill of materials; raises BuildStateError where nobody looked into it."""
    content = bill(form, image, inventory_of(catalog, image))
    return Download(image.name or image.image_id, f"{form}.json", SBOM_TYPES[form], content)


def provenance(build: BuildRecord) -> Download:
    """The signed statement about the build's images; a Problem where it has none."""
    if not build.provenance:
        why = "none of its new images has an inventory" if build.state.ended else "it has not ended; wait for its end"
        raise Problem(409, f"build {build.build_id} has no statement: {why}")
    return Download(build.build_id, "dsse.json", DSSE, build.provenance)
