"""Packer's amazon-ebs builder for the sandbox: its template, and the two ways it is run."""

import shutil
import subprocess
from typing import Any

from imagesmith.sandbox import config

AS_SHIPPED: dict[str, str] = {}
# Packer waits 15 s before its first look at an instance or image, and between looks, unless told otherwise.
TUNED = {"AWS_POLL_DELAY_SECONDS": "1"}


def version() -> str:
    """As `packer version` says it, "" where there is no Packer."""
    if shutil.which("packer") is None:
        return ""
    done = subprocess.run(["packer", "version"], capture_output=True, text=True, check=False)
    return done.stdout.split("\n")[0].strip()


def template(name: str, *, endpoint: str, source_name: str, script: str, ssh_port: int) -> dict[str, Any]:
    """A template in JSON's terms that builds one image of that name."""
    builder = {
        "type": "amazon-ebs",
        "access_key": config.ACCESS_KEY_ID,
        "secret_key": config.SECRET_ACCESS_KEY,
        "region": config.REGION,
        "custom_endpoint_ec2": endpoint,
        "skip_region_validation": True,
        "skip_metadata_api_check": True,
        "skip_credential_validation": True,
        "source_ami_filter": {
            "filters": {"name": source_name},
            "owners": [config.BASE_OWNER_ID],
            "most_recent": True,
        },
        "instance_type": "t3.small",
        "ssh_username": config.DEFAULT_USER,
        "ssh_port": ssh_port,
        "ami_name": name,
    }
    return {"builders": [builder], "provisioners": [{"type": "shell", "script": script}]}
