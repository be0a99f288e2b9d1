"""One image built the way a person with a script would: boto3, ssh and scp, and tight polling, without any care.

It is what the others are measured against: no retry, no catalog, no check of the host key, no clean-up of the image.
Prints one JSON object with the seconds at which each part was over.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

LOOK_S = 0.3
SSH_LOOK_S = 0.5
STARTED = time.monotonic()


def main() -> None:
    """Builds one image of the name given and removes everything else."""
    arguments = _arguments()
    ec2 = boto3.client("ec2")
    reached: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as directory:
        key = _key_pair(ec2, arguments.name, Path(directory))
        group_id = _group(ec2, arguments.name)
        instance_id = _launch(ec2, arguments, group_id=group_id)
        address = _when(lambda: _address(ec2, instance_id))
        options = _ssh_options(key, arguments.ssh_port)
        _when(lambda: _answers(options, f"{arguments.user}@{address}"), every_s=SSH_LOOK_S)
        reached["ssh"] = _elapsed()
        _run_script(options, f"{arguments.user}@{address}", arguments.script)
        reached["script"] = _elapsed()
    ec2.stop_instances(InstanceIds=[instance_id])
    _when(lambda: _state(ec2, instance_id) == "stopped")
    reached["stopped"] = _elapsed()
    image_id = ec2.create_image(InstanceId=instance_id, Name=arguments.name)["ImageId"]
    _when(lambda: ec2.describe_images(ImageIds=[image_id])["Images"][0]["State"] == "available")
    reached["image"] = _elapsed()
    _remove(ec2, instance_id, group_id, name=arguments.name)
    reached["gone"] = _elapsed()
    print(json.dumps({"image_id": image_id, "reached": reached}))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--script", type=Path, required=True)
    parser.add_argument("--source-name", required=True)
    parser.add_argument("--owner", required=True)
    parser.add_argument("--user", default="admin")
    parser.add_argument("--ssh-port", type=int, default=22)
    return parser.parse_args()


def _elapsed() -> float:
    return round(time.monotonic() - STARTED, 2)


def _when(look: Callable[[], Any], *, every_s: float = LOOK_S) -> Any:
    while not (found := look()):
        time.sleep(every_s)
    return found


def _key_pair(ec2: Any, name: str, directory: Path) -> Path:
    key = directory / "key"
    material = ec2.create_key_pair(KeyName=name, KeyType="ed25519")["KeyMaterial"]
    os.close(os.open(key, os.O_CREAT | os.O_WRONLY, 0o600))
    key.write_text(material)
    return key


def _group(ec2: Any, name: str) -> str:
    group_id = str(ec2.create_security_group(GroupName=name, Description="one build by hand")["GroupId"])
    ec2.authorize_security_group_ingress(
        GroupId=group_id, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="127.0.0.1/32"
    )
    return group_id


def _launch(ec2: Any, arguments: argparse.Namespace, *, group_id: str) -> str:
    by_name = [{"Name": "name", "Values": [arguments.source_name]}]
    found = ec2.describe_images(Owners=[arguments.owner], Filters=by_name)["Images"]
    newest = max(found, key=lambda image: str(image["CreationDate"]))
    launched = ec2.run_instances(
        ImageId=newest["ImageId"],
        InstanceType="t3.small",
        MinCount=1,
        MaxCount=1,
        KeyName=arguments.name,
        SecurityGroupIds=[group_id],
    )
    return str(launched["Instances"][0]["InstanceId"])


def _described(ec2: Any, instance_id: str) -> Any:
    return ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]


def _state(ec2: Any, instance_id: str) -> str:
    return str(_described(ec2, instance_id)["State"]["Name"])


def _address(ec2: Any, instance_id: str) -> str:
    found = _described(ec2, instance_id)
    return str(found.get("PublicIpAddress", "")) if found["State"]["Name"] == "running" else ""


def _ssh_options(key: Path, port: int) -> list[str]:
    options = {
        "IdentityFile": str(key),
        "IdentitiesOnly": "yes",
        "Port": str(port),
        "BatchMode": "yes",
        "ConnectTimeout": "5",
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": "/dev/null",
        "LogLevel": "ERROR",
    }
    return [word for name, value in options.items() for word in ("-o", f"{name}={value}")]


def _answers(options: list[str], login: str) -> bool:
    done = subprocess.run(["ssh", *options, login, "true"], capture_output=True, check=False)
    return done.returncode == 0


def _run_script(options: list[str], login: str, script: Path) -> None:
    # -O: machines that answer by the clock take files the older way only.
    subprocess.run(["scp", "-q", "-O", *options, str(script), f"{login}:/tmp/by-hand.sh"], check=True)
    subprocess.run(["ssh", *options, login, "bash /tmp/by-hand.sh"], check=True, stdout=subprocess.DEVNULL)


def _remove(ec2: Any, instance_id: str, group_id: str, *, name: str) -> None:
    ec2.terminate_instances(InstanceIds=[instance_id])
    ec2.delete_key_pair(KeyName=name)
    _when(lambda: _group_deleted(ec2, group_id))


def _group_deleted(ec2: Any, group_id: str) -> bool:
    """False as long as the instance that ends still uses the group."""
    try:
        ec2.delete_security_group(GroupId=group_id)
    except ClientError as error:
        if error.response["Error"]["Code"] != "DependencyViolation":
            raise
        return False
    return True


if __name__ == "__main__":
    main()
