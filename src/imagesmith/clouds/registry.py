"""The table of cloud types. A new type is one line here."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from imagesmith.core import Cloud
from imagesmith.errors import DefinitionError

# Text, not classes: a driver, and with it the cloud's SDK, is imported when its first cloud is used.
DRIVERS = {
    "ec2": "imagesmith.clouds.ec2:Ec2Cloud",
    "memory": "imagesmith.clouds.memory:MemoryCloud",
    "nimbus": "imagesmith.clouds.nimbus:NimbusCloud",
    "openstack": "imagesmith.clouds.openstack:OpenStackCloud",
}


def driver_class(cloud_type: str) -> Callable[..., Cloud]:
    """The driver of a cloud type; raises DefinitionError for a type nobody wrote a driver for."""
    if cloud_type not in DRIVERS:
        known = ", ".join(sorted(DRIVERS))
        raise DefinitionError(
            f"there is no cloud type {cloud_type}; use one of {known} as `type` in include/clouds.yaml"
        )
    module_name, _, class_name = DRIVERS[cloud_type].partition(":")
    driver: Callable[..., Cloud] = getattr(import_module(module_name), class_name)
    return driver
