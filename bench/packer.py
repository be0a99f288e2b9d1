"""Packer: its template, and the two ways it is run."""

import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

AS_SHIPPED: dict[str, str] = {}
# On EC2 Packer waits 15 s before its first look at an instance or image, and between looks, unless told otherwise. Its
# openstack builder looks every 2 s, and nothing changes that.
TUNED = {"AWS_POLL_DELAY_SECONDS": "1"}


def version() -> str:
    """As `packer version` says it, "" where there is no Packer."""
    if shutil.which("packer") is None:
        return ""
    done = subprocess.run(["packer", "version"], capture_output=True, text=True, check=False)
    return done.stdout.split("\n")[0].strip()


def template(builder: Mapping[str, Any], *, script: str) -> dict[str, Any]:
    """A template in JSON's terms that builds one image."""
    return {"builders": [builder], "provisioners": [{"type": "shell", "script": script}]}
