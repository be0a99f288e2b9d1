"""What a bill of materials is about: one image, and names derived from its content so that each writing is the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid5

from imagesmith.catalog.records import ImageRecord
from imagesmith.inventory import Inventory, Package

# Of Imagesmith's bills: random, and for ever the same.
_SPACE = UUID("b8a2d5f4-6b0f-4f0e-9a57-3c1a0a5b7e21")


@dataclass(frozen=True)
class Subject:
    """An image and what is inside."""

    image: ImageRecord
    inventory: Inventory

    @property
    def name(self) -> str:
        """The image's name, else its id."""
        return self.image.name or self.image.image_id

    @property
    def moment(self) -> datetime:
        """When the image was saved, in whole seconds: the time that the bill bears."""
        return self.image.created_at.replace(microsecond=0)

    @property
    def os_name(self) -> str:
        """The operating system's id, `debian`; "linux" where the image does not tell."""
        return self.inventory.os.get("ID") or "linux"

    @property
    def os_version(self) -> str | None:
        """Its release, where it has one."""
        return self.inventory.os.get("VERSION_ID") or None

    @property
    def os_description(self) -> str:
        """What it calls itself, and its kernel."""
        pretty = self.inventory.os.get("PRETTY_NAME") or self.os_name
        return f"{pretty}, kernel {self.inventory.kernel}, {self.inventory.architecture}"

    @property
    def facts(self) -> Mapping[str, str]:
        """What Imagesmith knows of the image beside its content, by names with our prefix."""
        image = self.image
        known = {
            "cloud": image.cloud,
            "image-id": image.image_id,
            "source-image-id": image.source_image_id,
            "generator": image.generator,
            "version": image.version,
            "build": image.build_id,
            "inventory-sha256": self.inventory.digest,
        }
        return {f"imagesmith:{key}": value for key, value in known.items() if value}

    def uuid(self, purpose: str) -> UUID:
        """The same for the same image, content and purpose, and another for any other."""
        image = self.image
        return uuid5(_SPACE, "\0".join((purpose, image.cloud, image.image_id, self.inventory.digest)))

    def packages(self) -> list[Package]:
        """Each package once, in the inventory's order."""
        return list(dict.fromkeys(self.inventory.packages))
