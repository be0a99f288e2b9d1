"""Verification on real virtual machines: a good image with its tests, and one whose script wrote a secret down."""

from __future__ import annotations

from typing import Any

import pytest

from imagesmith.sandbox import config

from .test_build import _left

pytestmark = pytest.mark.system

VALUE = "Pl4nted-on-a-real-machine"
TAIL = f"""
clouds:
  ec2:
    source_image: {{name: "debian-12-amd64-*", owner: "{config.BASE_OWNER_ID}"}}
    ssh_username: admin
    instance_type: t3.small
"""
GOOD = """
script: |
  #!/bin/sh
  set -e
  sudo useradd --create-home zoe
  echo hello | sudo tee /etc/motd
tests:
  - |
    #!/bin/sh
    id zoe && grep hello /etc/motd
"""
LEAKS = """
parameters:
  token: {type: string, secret: true}
script: |
  #!/bin/sh
  printf 'token=%s\\n' "$token" | sudo tee /root/notes >/dev/null
"""


def _add(deployment: Any, name: str, document: str) -> None:
    (deployment.include / "generators" / f"{name}.yaml").write_text(f"name: {name}{document}{TAIL}")


@pytest.mark.long
def test_an_image_that_is_what_was_customized_is_good(deployment):
    _add(deployment, "verified", GOOD)
    printed = deployment.imagesmith("build", "verified", "--wait")
    build = deployment.catalog.builds(generator="verified", limit=1)[0]
    assert build.state == "successful", printed
    image = deployment.catalog.images(build_id=build.build_id)[0]
    assert image.verified_at is not None
    inventory = deployment.catalog.inventory(image.inventory_digest)
    assert "zoe" in {user.name for user in inventory.users}
    assert "hello" in deployment.catalog.target(build.build_id, "ec2").test_output_tail
    assert _left(deployment, build.build_id) == []


def test_a_secret_that_the_script_wrote_down_fails_the_target(deployment):
    _add(deployment, "leaks", LEAKS)
    code, printed = deployment.typed("build", "leaks", "--wait", answer=VALUE, question="Value for token")
    build = deployment.catalog.builds(generator="leaks", limit=1)[0]
    target = deployment.catalog.target(build.build_id, "ec2")
    assert (code != 0, target.state) == (True, "failed"), printed
    assert "/root/notes holds the value of the secret parameter token" in target.error
    assert VALUE not in printed + target.error
    assert deployment.catalog.images(build_id=build.build_id) == []
    assert _left(deployment, build.build_id) == []
