"""Clients that are not ours complete a build on real virtual machines: boto3, the `aws` command, Packer.

Each launches Debian, runs a small script over SSH, saves an image and boots a machine from it.
"""

import base64
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest

from imagesmith.processes import started_at
from imagesmith.sandbox import config

from .conftest import Sandbox

pytestmark = pytest.mark.system

SSH_LIMIT_S = 240.0  # a cold boot takes 16 s on a quiet machine, minutes on a busy one
MARK = "/var/made-by-a-test"


def ec2_of(sandbox: Sandbox) -> Any:
    session = boto3.session.Session(config.ACCESS_KEY_ID, config.SECRET_ACCESS_KEY, region_name=config.REGION)
    return session.client("ec2", endpoint_url=sandbox.endpoint)


def ssh_port(sandbox: Sandbox) -> int:
    return int(json.loads(sandbox.run("status", "--json"))["ssh_port"])


def eventually(look: Callable[[], Any], wanted: Any, *, limit_s: float = 120.0) -> None:
    deadline = time.monotonic() + limit_s
    while (seen := look()) != wanted:
        assert time.monotonic() < deadline, f"still {seen} instead of {wanted}"
        time.sleep(0.3)


def key_pair(directory: Path) -> Path:
    path = directory / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


class Shell:
    """SSH to one machine with its host key pinned."""

    def __init__(self, address: str, port: int, *, key: Path, known_hosts: Path) -> None:
        self._argv = ["ssh", "-i", str(key), "-p", str(port), "-o", "BatchMode=yes", "-o", "ConnectTimeout=20"]
        self._argv += ["-o", f"UserKnownHostsFile={known_hosts}", "-o", "StrictHostKeyChecking=yes"]
        self._argv.append(f"{config.DEFAULT_USER}@{address}")

    def run(self, command: str) -> str:
        """The command's output; tries until the machine answers."""
        deadline = time.monotonic() + SSH_LIMIT_S
        while True:
            done = subprocess.run([*self._argv, command], capture_output=True, text=True, check=False)
            if done.returncode != 255:
                assert done.returncode == 0, done.stdout + done.stderr
                return done.stdout
            assert time.monotonic() < deadline, done.stderr
            time.sleep(0.5)

    def power_off(self) -> None:
        """Asks the guest; the connection may break before it answers."""
        subprocess.run([*self._argv, "sudo systemctl poweroff"], capture_output=True, check=False)


def known_hosts(directory: Path, address: str, port: int, public_key: str) -> Path:
    path = directory / f"known_hosts-{address}"
    name = address if port == 22 else f"[{address}]:{port}"
    path.write_text(f"{name} {public_key}\n")
    return path


def host_key_on_console(read: Callable[[], str]) -> str:
    """The machine's Ed25519 host key from its console, as a careful user would take it."""
    deadline = time.monotonic() + SSH_LIMIT_S
    while time.monotonic() < deadline:
        console = read()
        if "-----END SSH HOST KEY KEYS-----" in console:
            keys = [line for line in console.splitlines() if line.startswith("ssh-ed25519 ")]
            return " ".join(keys[-1].split()[:2])
        time.sleep(0.5)
    raise AssertionError(f"no host key on the console:\n{read()[-2000:]}")


@contextmanager
def booted(sandbox: Sandbox, image_id: str, directory: Path) -> Iterator[tuple[Shell, str]]:
    """A machine of the image with a shell on it, gone afterwards."""
    ec2, directory = ec2_of(sandbox), directory / image_id
    directory.mkdir()
    key = key_pair(directory)
    name = f"boot-{image_id}"
    ec2.import_key_pair(KeyName=name, PublicKeyMaterial=Path(f"{key}.pub").read_bytes())
    launched = ec2.run_instances(ImageId=image_id, InstanceType="t3.small", MinCount=1, MaxCount=1, KeyName=name)
    instance_id = launched["Instances"][0]["InstanceId"]
    try:
        yield shell_on(sandbox, instance_id, key, directory), instance_id
    finally:
        ec2.terminate_instances(InstanceIds=[instance_id])
        eventually(lambda: state_of(ec2, instance_id), "terminated")
        ec2.delete_key_pair(KeyName=name)


def shell_on(sandbox: Sandbox, instance_id: str, key: Path, directory: Path) -> Shell:
    ec2, port = ec2_of(sandbox), ssh_port(sandbox)
    eventually(lambda: state_of(ec2, instance_id), "running")
    address = describe(ec2, instance_id)["PublicIpAddress"]
    host_key = host_key_on_console(lambda: ec2.get_console_output(InstanceId=instance_id).get("Output", ""))
    return Shell(address, port, key=key, known_hosts=known_hosts(directory, address, port, host_key))


def describe(ec2: Any, instance_id: str) -> Any:
    return ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]


def state_of(ec2: Any, instance_id: str) -> str:
    return str(describe(ec2, instance_id)["State"]["Name"])


def newest_debian(ec2: Any) -> str:
    by_name = [{"Name": "name", "Values": ["debian-12-amd64-*"]}]
    found = ec2.describe_images(Owners=[config.BASE_OWNER_ID], Filters=by_name)["Images"]
    return str(max(found, key=lambda image: image["CreationDate"])["ImageId"])


def remove(ec2: Any, image_id: str) -> None:
    image = ec2.describe_images(ImageIds=[image_id])["Images"][0]
    ec2.deregister_image(ImageId=image_id)
    for mapping in image["BlockDeviceMappings"]:
        ec2.delete_snapshot(SnapshotId=mapping["Ebs"]["SnapshotId"])


def test_boto3(sandbox: Sandbox, tmp_path: Path) -> None:
    ec2 = ec2_of(sandbox)
    host_key = tmp_path / "host_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", host_key], check=True)
    key = key_pair(tmp_path)
    ec2.import_key_pair(KeyName="boto3", PublicKeyMaterial=Path(f"{key}.pub").read_bytes())
    public = Path(f"{host_key}.pub").read_text().strip()
    keys = {"ed25519_private": host_key.read_text(), "ed25519_public": public}
    launched = ec2.run_instances(
        ImageId=newest_debian(ec2),
        InstanceType="t3.small",
        MinCount=1,
        MaxCount=1,
        KeyName="boto3",
        UserData="#cloud-config\n" + json.dumps({"ssh_keys": keys}),
    )
    instance_id = launched["Instances"][0]["InstanceId"]
    eventually(lambda: state_of(ec2, instance_id), "running")
    address, port = describe(ec2, instance_id)["PublicIpAddress"], ssh_port(sandbox)
    shell = Shell(
        address, port, key=key, known_hosts=known_hosts(tmp_path, address, port, " ".join(public.split()[:2]))
    )
    shell.run(f"cloud-init status --wait && sudo touch {MARK} && sudo truncate -s 0 /etc/machine-id && sync")
    before = shell.run("cat /proc/sys/kernel/random/boot_id")
    ec2.reboot_instances(InstanceIds=[instance_id])
    eventually(lambda: shell.run("cat /proc/sys/kernel/random/boot_id") != before, wanted=True)
    shell.power_off()
    eventually(lambda: state_of(ec2, instance_id), "stopped")
    image_id = ec2.create_image(InstanceId=instance_id, Name="by boto3")["ImageId"]
    eventually(lambda: ec2.describe_images(ImageIds=[image_id])["Images"][0]["State"], "available")
    ec2.terminate_instances(InstanceIds=[instance_id])
    ec2.delete_key_pair(KeyName="boto3")
    with booted(sandbox, image_id, tmp_path) as (second, _):
        assert second.run(f"ls {MARK} && wc -l < /etc/machine-id").split() == [MARK, "1"]
    remove(ec2, image_id)


@pytest.mark.long  # the library under it is the same as boto3's
def test_the_aws_command(sandbox: Sandbox, tmp_path: Path) -> None:
    if shutil.which("aws") is None:
        pytest.skip("needs the aws command (package awscli)")

    def aws(*arguments: str) -> Any:
        argv = ["aws", "--output", "json", *arguments]
        done = subprocess.run(argv, env=sandbox.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    assert aws("sts", "get-caller-identity")["Account"] == config.OWNER_ID
    key = key_pair(tmp_path)
    aws("ec2", "import-key-pair", "--key-name", "aws", "--public-key-material", f"fileb://{key}.pub")
    newest = "reverse(sort_by(Images,&CreationDate))[0].ImageId"
    found = ("--owners", config.BASE_OWNER_ID, "--filters", "Name=name,Values=debian-12-amd64-*")
    source = aws("ec2", "describe-images", *found, "--query", newest)
    script = tmp_path / "user-data"
    script.write_text(f"#!/bin/sh\ntouch {MARK}\n")
    launch = ("--image-id", source, "--instance-type", "t3.small", "--key-name", "aws")
    launched = aws("ec2", "run-instances", *launch, "--user-data", f"file://{script}")
    instance_id = launched["Instances"][0]["InstanceId"]
    aws("ec2", "wait", "instance-running", "--instance-ids", instance_id)
    shell = shell_on(sandbox, instance_id, key, tmp_path)
    shell.run(f"cloud-init status --wait && ls {MARK}")
    aws("ec2", "stop-instances", "--instance-ids", instance_id)
    ec2 = ec2_of(sandbox)
    eventually(lambda: state_of(ec2, instance_id), "stopped")
    image_id = aws("ec2", "create-image", "--instance-id", instance_id, "--name", "by-aws")["ImageId"]
    aws("ec2", "wait", "image-available", "--image-ids", image_id)
    aws("ec2", "terminate-instances", "--instance-ids", instance_id)
    aws("ec2", "delete-key-pair", "--key-name", "aws")
    with booted(sandbox, image_id, tmp_path) as (second, _):
        assert second.run(f"ls {MARK}").strip() == MARK
    remove(ec2, image_id)


def test_packer(sandbox: Sandbox, tmp_path: Path) -> None:
    if shutil.which("packer") is None:
        pytest.skip("needs packer (Debian's package packer)")
    template = tmp_path / "template.json"
    template.write_text(json.dumps(packer_template(sandbox)))
    environment = {**sandbox.environment, "AWS_POLL_DELAY_SECONDS": "1", "CHECKPOINT_DISABLE": "1"}
    argv = ["packer", "build", "-color=false", "-machine-readable", str(template)]
    done = subprocess.run(argv, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    ec2 = ec2_of(sandbox)
    image = ec2.describe_images(Owners=["self"], Filters=[{"Name": "name", "Values": ["by-packer"]}])["Images"][0]
    assert f"{config.REGION}:{image['ImageId']}" in done.stdout
    assert {"Key": "team", "Value": "tests"} in image["Tags"]
    assert [each["GroupName"] for each in ec2.describe_security_groups()["SecurityGroups"]] == ["default"]
    assert ec2.describe_key_pairs()["KeyPairs"] == []
    with booted(sandbox, image["ImageId"], tmp_path) as (shell, _):
        assert shell.run(f"ls {MARK}").strip() == MARK
    remove(ec2, image["ImageId"])


def packer_template(sandbox: Sandbox) -> dict[str, Any]:
    builder = {
        "type": "amazon-ebs",
        "access_key": config.ACCESS_KEY_ID,
        "secret_key": config.SECRET_ACCESS_KEY,
        "region": config.REGION,
        "custom_endpoint_ec2": sandbox.endpoint,
        "skip_region_validation": True,
        "skip_metadata_api_check": True,
        "skip_credential_validation": True,
        "source_ami_filter": {
            "filters": {"name": "debian-12-amd64-*"},
            "owners": [config.BASE_OWNER_ID],
            "most_recent": True,
        },
        "instance_type": "t3.small",
        "ssh_username": config.DEFAULT_USER,
        "ssh_port": ssh_port(sandbox),
        "ami_name": "by-packer",
        "tags": {"team": "tests"},
    }
    return {
        "builders": [builder],
        "provisioners": [{"type": "shell", "inline": [f"sudo touch {MARK}", "sync"]}],
    }


def test_machines_outlive_a_killed_server(sandbox: Sandbox, tmp_path: Path) -> None:
    ec2 = ec2_of(sandbox)
    with booted(sandbox, newest_debian(ec2), tmp_path) as (shell, instance_id):
        boot = shell.run("cat /proc/sys/kernel/random/boot_id")
        os.kill(int((sandbox.home / "sandbox" / "server.pid").read_text().split()[0]), signal.SIGKILL)
        assert shell.run("cat /proc/sys/kernel/random/boot_id") == boot
        sandbox.run("up")
        assert state_of(ec2, instance_id) == "running"
        assert shell.run("cat /proc/sys/kernel/random/boot_id") == boot
        started = time.monotonic()
        ec2.stop_instances(InstanceIds=[instance_id])
        assert state_of(ec2, instance_id) == "stopping"
        eventually(lambda: state_of(ec2, instance_id), "stopped")
        assert time.monotonic() - started < config.STOP_LIMIT_S, "the guest did not hear the power button"


def test_down_ends_the_machines_and_up_finds_their_disks(sandbox: Sandbox, tmp_path: Path) -> None:
    ec2 = ec2_of(sandbox)
    with booted(sandbox, newest_debian(ec2), tmp_path) as (shell, instance_id):
        shell.run(f"sudo touch {MARK} && sync")
        pid_file = sandbox.home / "sandbox" / "machines" / instance_id / "qemu.pid"
        pid = int(pid_file.read_text().split()[0])
        sandbox.run("down")
        assert started_at(pid) is None
        sandbox.run("up")
        assert state_of(ec2, instance_id) == "stopped"
        user_data = ec2.describe_instance_attribute(InstanceId=instance_id, Attribute="userData")
        assert base64.b64decode(user_data["UserData"].get("Value", "")) == b""
        ec2.start_instances(InstanceIds=[instance_id])
        eventually(lambda: state_of(ec2, instance_id), "running")
        assert shell.run(f"ls {MARK}").strip() == MARK
