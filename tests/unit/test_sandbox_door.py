"""The EC2 door as boto3 meets it, over simulated machines: states, errors, faults, and a restart."""

import asyncio
import base64
import http.client
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from imagesmith.sandbox import config, in_process

FAST = {"boot_s": 0.02, "script_s": 0.02, "stop_s": 0.02, "image_s": 0.02}


class Client:
    """What the tests ask of a sandbox: its EC2 client, and its control door."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.ec2 = self.service("ec2")

    def service(self, name: str, **changed: str) -> Any:
        session = boto3.session.Session(
            aws_access_key_id=changed.get("key", config.ACCESS_KEY_ID),
            aws_secret_access_key=changed.get("secret", config.SECRET_ACCESS_KEY),
            region_name=config.REGION,
        )
        once = Config(retries={"total_max_attempts": 1})
        return session.client(name, endpoint_url=self.endpoint, config=once)

    def control(self, path: str, body: Any = None, *, method: str = "GET") -> Any:
        connection = http.client.HTTPConnection(self.endpoint.removeprefix("http://"))
        connection.request("POST" if body is not None else method, f"/_sandbox{path}", json.dumps(body))
        answer = json.load(connection.getresponse())
        connection.close()
        return answer

    def image(self) -> str:
        found = self.ec2.describe_images(Filters=[{"Name": "name", "Values": ["simulated-*"]}])
        return str(found["Images"][0]["ImageId"])

    def launch(self, **arguments: Any) -> str:
        arguments = {"ImageId": self.image(), "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1} | arguments
        return str(self.ec2.run_instances(**arguments)["Instances"][0]["InstanceId"])

    def instance(self, instance_id: str) -> Any:
        return self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]

    def becomes(self, instance_id: str, wanted: str) -> Any:
        return eventually(lambda: self.instance(instance_id), lambda seen: seen["State"]["Name"] == wanted)

    def saved(self, image_id: str) -> Any:
        return eventually(
            lambda: self.ec2.describe_images(ImageIds=[image_id])["Images"][0],
            lambda seen: seen["State"] == "available",
        )


def eventually(look: Callable[[], Any], enough: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + 5
    while not enough(seen := look()):
        assert time.monotonic() < deadline, f"still {seen}"
        time.sleep(0.005)
    return seen


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with in_process.sandbox(tmp_path_factory.mktemp("sandbox")) as endpoint:
        yield Client(endpoint)


@pytest.fixture
def client(shared: Client) -> Client:
    shared.control("/reset", {})
    shared.control("/settings", FAST)
    return shared


def code_of(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as raised:
        call(**arguments)
    return str(raised.value.response["Error"]["Code"])


def test_a_whole_build(client: Client) -> None:
    ec2 = client.ec2
    key = asyncssh.generate_private_key("ssh-ed25519")
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    ec2.import_key_pair(KeyName="k", PublicKeyMaterial=key.export_public_key())
    private = host_key.export_private_key().decode()
    user_data = "#cloud-config\n" + json.dumps({"ssh_keys": {"ed25519_private": private}})
    instance_id = client.launch(KeyName="k", UserData=user_data)
    address = client.becomes(instance_id, "running")["PublicIpAddress"]
    port = client.control("/health")["ssh_port"]
    assert asyncio.run(seen_host_key(address, port, key)) == host_key.export_public_key()
    console = ec2.get_console_output(InstanceId=instance_id)["Output"]
    assert host_key.export_public_key().decode().split()[1] in console
    assert asyncio.run(power_off(address, port, key)) == 0
    client.becomes(instance_id, "stopped")
    image_id = ec2.create_image(InstanceId=instance_id, Name="mine")["ImageId"]
    image = client.saved(image_id)
    snapshot_id = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    ec2.terminate_instances(InstanceIds=[instance_id])
    client.becomes(instance_id, "terminated")
    assert ec2.describe_volumes()["Volumes"] == []
    client.becomes(client.launch(ImageId=image_id), "running")
    assert code_of(ec2.delete_snapshot, SnapshotId=snapshot_id) == "InvalidSnapshot.InUse"
    ec2.deregister_image(ImageId=image_id)
    ec2.delete_snapshot(SnapshotId=snapshot_id)
    assert ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []


async def seen_host_key(address: str, port: int, key: asyncssh.SSHKey) -> bytes:
    async with asyncssh.connect(address, port, username="admin", client_keys=[key], known_hosts=None) as there:
        seen = there.get_server_host_key()
        assert seen is not None
        return seen.export_public_key()


async def power_off(address: str, port: int, key: asyncssh.SSHKey) -> int | None:
    async with asyncssh.connect(address, port, username="admin", client_keys=[key], known_hosts=None) as there:
        return (await there.run("sudo poweroff")).exit_status


def test_another_key_is_refused(client: Client) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    client.ec2.import_key_pair(KeyName="k", PublicKeyMaterial=key.export_public_key())
    address = client.becomes(client.launch(KeyName="k"), "running")["PublicIpAddress"]
    port = client.control("/health")["ssh_port"]
    with pytest.raises(asyncssh.PermissionDenied):
        asyncio.run(power_off(address, port, asyncssh.generate_private_key("ssh-ed25519")))


def test_states_are_passed_through(client: Client) -> None:
    client.control("/settings", {"boot_s": 2, "stop_s": 2, "image_s": 2})
    ec2, instance_id = client.ec2, client.launch()
    assert client.instance(instance_id)["State"]["Name"] == "pending"
    client.becomes(instance_id, "running")
    stopped = ec2.stop_instances(InstanceIds=[instance_id])["StoppingInstances"][0]
    assert (stopped["PreviousState"]["Name"], stopped["CurrentState"]["Name"]) == ("running", "stopping")
    assert code_of(ec2.start_instances, InstanceIds=[instance_id]) == "IncorrectInstanceState"
    assert "PublicIpAddress" not in client.becomes(instance_id, "stopped")
    image_id = ec2.create_image(InstanceId=instance_id, Name="slow")["ImageId"]
    assert ec2.describe_images(ImageIds=[image_id])["Images"][0]["State"] == "pending"
    assert ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"][0]["State"] == "pending"
    client.saved(image_id)
    ec2.start_instances(InstanceIds=[instance_id])
    client.becomes(instance_id, "running")


def test_a_client_token_makes_one(client: Client) -> None:
    first = client.launch(ClientToken="t")
    assert client.launch(ClientToken="t") == first
    assert code_of(client.launch, ClientToken="t", InstanceType="t3.large") == "IdempotentParameterMismatch"


def test_shutdown_may_terminate(client: Client) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    client.ec2.import_key_pair(KeyName="k", PublicKeyMaterial=key.export_public_key())
    instance_id = client.launch(KeyName="k", InstanceInitiatedShutdownBehavior="terminate")
    address = client.becomes(instance_id, "running")["PublicIpAddress"]
    asyncio.run(power_off(address, client.control("/health")["ssh_port"], key))
    reason = client.becomes(instance_id, "terminated")["StateReason"]
    assert reason["Code"] == "Client.InstanceInitiatedShutdown"


@pytest.mark.parametrize(
    ("action", "arguments", "code"),
    [
        ("run_instances", {"ImageId": "ami-01234567"}, "InvalidAMIID.NotFound"),
        ("run_instances", {"ImageId": "banana"}, "InvalidAMIID.Malformed"),
        ("run_instances", {}, "MissingParameter"),
        ("run_instances", {"InstanceType": "x9.huge"}, "InvalidParameterValue"),
        ("run_instances", {"KeyName": "none"}, "InvalidKeyPair.NotFound"),
        ("run_instances", {"SecurityGroupIds": ["sg-01234567"]}, "InvalidGroup.NotFound"),
        ("run_instances", {"SubnetId": "subnet-01234567"}, "InvalidSubnetID.NotFound"),
        ("run_instances", {"MinCount": 3, "MaxCount": 2}, "InvalidParameterValue"),
        ("run_instances", {"UserData": "x" * 20_000}, "InvalidParameterValue"),
        (
            "run_instances",
            {"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 1}}]},
            "InvalidBlockDeviceMapping",
        ),
        ("run_instances", {"DryRun": True}, "DryRunOperation"),
        ("stop_instances", {"InstanceIds": ["i-01234567"]}, "InvalidInstanceID.NotFound"),
        ("terminate_instances", {"InstanceIds": ["x"]}, "InvalidInstanceID.Malformed"),
        ("describe_key_pairs", {"KeyNames": ["none"]}, "InvalidKeyPair.NotFound"),
        ("import_key_pair", {"KeyName": "k", "PublicKeyMaterial": b"junk"}, "InvalidKey.Format"),
        ("describe_instances", {"Filters": [{"Name": "mood", "Values": ["x"]}]}, "InvalidParameterValue"),
        ("describe_instances", {"MaxResults": 1}, "InvalidParameterValue"),
        ("create_tags", {"Resources": ["vol-01234567"], "Tags": [{"Key": "a"}]}, "InvalidVolume.NotFound"),
        ("deregister_image", {"ImageId": "ami-01234567"}, "InvalidAMIID.NotFound"),
        ("create_vpc", {"CidrBlock": "10.0.0.0/16"}, "InvalidAction"),
    ],
)
def test_errors(client: Client, action: str, arguments: dict[str, Any], code: str) -> None:
    if action == "run_instances" and arguments:
        arguments = {"ImageId": client.image(), "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1} | arguments
    elif action == "run_instances":
        arguments = {"MinCount": 1, "MaxCount": 1}
    assert code_of(getattr(client.ec2, action), **arguments) == code


@pytest.mark.parametrize(
    ("service", "changed", "code"),
    [
        ("ec2", {"key": "AKIANOBODY0000000000"}, "AuthFailure"),
        ("ec2", {"secret": "wrong"}, "SignatureDoesNotMatch"),
        ("sts", {"key": "AKIANOBODY0000000000"}, "InvalidClientTokenId"),
        ("sts", {"secret": "wrong"}, "SignatureDoesNotMatch"),
    ],
)
def test_wrong_credentials(client: Client, service: str, changed: dict[str, str], code: str) -> None:
    there = client.service(service, **changed)
    assert code_of(there.describe_regions if service == "ec2" else there.get_caller_identity) == code


def test_who_we_are(client: Client) -> None:
    assert client.service("sts").get_caller_identity()["Account"] == config.OWNER_ID


def test_names_of_images(client: Client) -> None:
    ec2, instance_id = client.ec2, client.launch()
    client.becomes(instance_id, "running")
    ec2.create_image(InstanceId=instance_id, Name="taken", NoReboot=True)
    assert code_of(ec2.create_image, InstanceId=instance_id, Name="taken") == "InvalidAMIName.Duplicate"
    assert code_of(ec2.create_image, InstanceId=instance_id, Name="a&b!") == "InvalidAMIName.Malformed"


def test_saving_a_running_instance_restarts_it(client: Client) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    client.ec2.import_key_pair(KeyName="k", PublicKeyMaterial=key.export_public_key())
    instance_id = client.launch(KeyName="k")
    address = client.becomes(instance_id, "running")["PublicIpAddress"]
    image_id = client.ec2.create_image(InstanceId=instance_id, Name="of a running one")["ImageId"]
    assert client.instance(instance_id)["State"]["Name"] == "running"
    client.saved(image_id)
    assert client.instance(instance_id)["State"]["Name"] == "running"
    asyncio.run(power_off(address, client.control("/health")["ssh_port"], key))
    client.becomes(instance_id, "stopped")


def test_launch_permissions(client: Client) -> None:
    ec2, instance_id = client.ec2, client.launch()
    client.becomes(instance_id, "running")
    image_id = ec2.create_image(InstanceId=instance_id, Name="shared")["ImageId"]
    change = {"ImageId": image_id, "LaunchPermission": {"Add": [{"Group": "all"}, {"UserId": "210987654321"}]}}
    ec2.modify_image_attribute(**change)
    assert ec2.describe_images(ImageIds=[image_id])["Images"][0]["Public"]
    shown = ec2.describe_image_attribute(ImageId=image_id, Attribute="launchPermission")
    assert shown["LaunchPermissions"] == [{"Group": "all"}, {"UserId": "210987654321"}]
    ec2.modify_image_attribute(ImageId=image_id, LaunchPermission={"Remove": [{"Group": "all"}]})
    assert not ec2.describe_images(ImageIds=[image_id])["Images"][0]["Public"]
    assert code_of(ec2.deregister_image, ImageId=client.image()) == "AuthFailure"


def test_security_groups(client: Client) -> None:
    ec2 = client.ec2
    group_id = ec2.create_security_group(GroupName="g", Description="d")["GroupId"]
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "127.0.0.1/32"}]}
    ec2.authorize_security_group_ingress(GroupId=group_id, IpPermissions=[rule])
    again = {"GroupId": group_id, "IpPermissions": [rule]}
    assert code_of(ec2.authorize_security_group_ingress, **again) == "InvalidPermission.Duplicate"
    assert code_of(ec2.create_security_group, GroupName="g", Description="d") == "InvalidGroup.Duplicate"
    shown = ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"][0]
    assert shown["IpPermissions"][0]["IpRanges"] == [{"CidrIp": "127.0.0.1/32"}]
    instance_id = client.launch(SecurityGroupIds=[group_id])
    assert code_of(ec2.delete_security_group, GroupId=group_id) == "DependencyViolation"
    client.becomes(instance_id, "running")
    ec2.terminate_instances(InstanceIds=[instance_id])
    client.becomes(instance_id, "terminated")
    ec2.revoke_security_group_ingress(**again)
    assert code_of(ec2.revoke_security_group_ingress, **again) == "InvalidPermission.NotFound"
    ec2.delete_security_group(GroupId=group_id)


def test_key_pairs(client: Client) -> None:
    made = client.ec2.create_key_pair(KeyName="k", KeyType="ed25519")
    asyncssh.import_private_key(made["KeyMaterial"])
    assert code_of(client.ec2.create_key_pair, KeyName="k") == "InvalidKeyPair.Duplicate"
    assert client.ec2.describe_key_pairs()["KeyPairs"][0]["KeyPairId"] == made["KeyPairId"]
    client.ec2.delete_key_pair(KeyName="k")
    client.ec2.delete_key_pair(KeyName="k")
    assert client.ec2.describe_key_pairs()["KeyPairs"] == []


def test_tags(client: Client) -> None:
    ec2 = client.ec2
    wanted = [{"ResourceType": kind, "Tags": [{"Key": "build", "Value": "b1"}]} for kind in ("instance", "volume")]
    instance_id = client.launch(TagSpecifications=wanted)
    of_build = [{"Name": "tag:build", "Values": ["b1"]}]
    assert client.instance(instance_id)["Tags"] == [{"Key": "build", "Value": "b1"}]
    assert len(ec2.describe_volumes(Filters=of_build)["Volumes"]) == 1
    assert {tag["ResourceType"] for tag in ec2.describe_tags(Filters=of_build)["Tags"]} == {"instance", "volume"}
    ec2.create_tags(Resources=[instance_id], Tags=[{"Key": "build", "Value": "b2"}])
    assert ec2.describe_instances(Filters=of_build)["Reservations"] == []
    ec2.delete_tags(Resources=[instance_id], Tags=[{"Key": "build"}])
    assert "Tags" not in client.instance(instance_id)


def test_pages(client: Client) -> None:
    client.ec2.run_instances(ImageId=client.image(), InstanceType="t3.nano", MinCount=7, MaxCount=7)
    pages = list(client.ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 5}))
    counts = [len(each["Instances"]) for page in pages for each in page["Reservations"]]
    assert counts == [5, 2]


def test_attributes(client: Client) -> None:
    ec2, instance_id = client.ec2, client.launch(UserData="#!/bin/sh\n")
    client.becomes(instance_id, "running")
    shown = ec2.describe_instance_attribute(InstanceId=instance_id, Attribute="userData")
    assert base64.b64decode(shown["UserData"]["Value"]) == b"#!/bin/sh\n"
    ec2.modify_instance_attribute(InstanceId=instance_id, DisableApiTermination={"Value": True})
    assert code_of(ec2.terminate_instances, InstanceIds=[instance_id]) == "OperationNotPermitted"
    change = {"InstanceId": instance_id, "InstanceType": {"Value": "t3.large"}}
    assert code_of(ec2.modify_instance_attribute, **change) == "IncorrectInstanceState"


def test_planned_faults(client: Client) -> None:
    client.control("/settings", {"launch_error": {"code": "InsufficientInstanceCapacity", "count": 2}})
    client.ec2.describe_regions()
    for _ in range(2):
        assert code_of(client.launch) == "InsufficientInstanceCapacity"
    client.launch()
    client.control("/settings", {"api_error": {"code": "RequestLimitExceeded", "status": 503}})
    assert code_of(client.ec2.describe_regions) == "RequestLimitExceeded"
    client.ec2.describe_regions()
    assert "error" in client.control("/settings", {"boot": 1})


def test_calls_are_counted(client: Client) -> None:
    client.control("/calls", method="DELETE")
    client.ec2.describe_regions()
    counted = client.control("/calls")
    assert (counted["total"], counted["actions"]) == (1, {"DescribeRegions": 1})
    assert {each["total"] for each in counted["accounts"].values()} == {0}


def test_ssh_may_never_answer(client: Client) -> None:
    client.control("/settings", {"ssh": False})
    key = asyncssh.generate_private_key("ssh-ed25519")
    address = client.becomes(client.launch(), "running")["PublicIpAddress"]
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(power_off(address, client.control("/health")["ssh_port"], key))


def test_a_restart_loses_nothing(tmp_path: Path) -> None:
    with in_process.sandbox(tmp_path) as endpoint:
        first = Client(endpoint)
        first.control("/settings", FAST)
        first.ec2.create_key_pair(KeyName="k", KeyType="ed25519")
        instance_id = first.launch(KeyName="k")
        first.becomes(instance_id, "running")
    with in_process.sandbox(tmp_path) as endpoint:
        second = Client(endpoint)
        second.control("/settings", FAST)
        assert second.instance(instance_id)["State"]["Name"] == "stopped"
        assert second.instance(instance_id)["KeyName"] == "k"
        second.ec2.start_instances(InstanceIds=[instance_id])
        second.becomes(instance_id, "running")
