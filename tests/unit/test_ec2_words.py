"""EC2's documents in our words, and our requests in EC2's."""

from __future__ import annotations

from typing import Any

import pytest

from imagesmith.clouds.ec2_launch import ssh_cidr
from imagesmith.clouds.ec2_words import (
    Ec2Settings,
    address_of,
    image_of,
    instance_of,
    is_aws,
    refuse_instance_store,
    resources_of,
    root_disk,
    run_arguments,
    ssh_permission,
    token_of,
)
from imagesmith.core import TAG_BUILD, ImageState, InstanceState, LaunchRequest, ResourceKind
from imagesmith.errors import CloudBusy, DefinitionError

BOTH = {"PrivateIpAddress": "10.0.0.9", "PublicIpAddress": "198.51.100.7"}


def document(state: str, **more: Any) -> dict[str, Any]:
    return {"InstanceId": "i-1", "State": {"Name": state}, **more}


@pytest.mark.parametrize(
    ("word", "reason", "expected"),
    [
        ("pending", "", InstanceState.PENDING),
        ("running", "", InstanceState.RUNNING),
        ("stopping", "", InstanceState.STOPPING),
        ("stopped", "Client.InstanceInitiatedShutdown", InstanceState.STOPPED),
        ("shutting-down", "Client.UserInitiatedShutdown", InstanceState.GONE),
        ("terminated", "Client.UserInitiatedShutdown", InstanceState.GONE),
        ("terminated", "", InstanceState.GONE),
        ("shutting-down", "Server.InsufficientInstanceCapacity", InstanceState.FAILED),
        ("terminated", "Server.InternalError", InstanceState.FAILED),
        ("terminated", "Client.VolumeLimitExceeded", InstanceState.FAILED),
    ],
)
def test_instance_states(word, reason, expected):
    seen = instance_of(document(word, StateReason={"Code": reason, "Message": f"{reason}: why"}), Ec2Settings())
    assert seen.state is expected
    assert seen.reason == f"{reason}: why"


@pytest.mark.parametrize(
    ("seen", "settings", "expected"),
    [
        (document("running", **BOTH), Ec2Settings(), "198.51.100.7"),
        (document("running", **BOTH), Ec2Settings(use_private_address=True), "10.0.0.9"),
        (document("pending", PrivateIpAddress="10.0.0.9"), Ec2Settings(), ""),
        (document("running", PrivateIpAddress="10.0.0.9"), Ec2Settings(), "10.0.0.9"),
        (document("running", PrivateIpAddress="10.0.0.9"), Ec2Settings(public_ip=True), ""),
        (document("running", PrivateIpAddress="10.0.0.9"), Ec2Settings(public_ip=False), "10.0.0.9"),
    ],
)
def test_address(seen, settings, expected):
    assert address_of(seen, settings) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("pending", ImageState.PENDING),
        ("available", ImageState.AVAILABLE),
        ("failed", ImageState.FAILED),
        ("invalid", ImageState.FAILED),
        ("error", ImageState.FAILED),
        ("deregistered", ImageState.GONE),
    ],
)
def test_image_states(word, expected):
    disks = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": "snap-1"}}, {"VirtualName": "ephemeral0"}]
    seen = image_of(
        {"ImageId": "ami-1", "State": word, "BlockDeviceMappings": disks, "StateReason": {"Message": "why"}}
    )
    assert (seen.state, seen.snapshot_ids, seen.reason) == (expected, ("snap-1",), "why")


def test_rows_of_tags_become_things():
    rows = [
        {"ResourceType": "instance", "ResourceId": "i-1", "Key": TAG_BUILD, "Value": "b"},
        {"ResourceType": "instance", "ResourceId": "i-1", "Key": "Name", "Value": "n"},
        {"ResourceType": "network-interface", "ResourceId": "eni-1", "Key": TAG_BUILD, "Value": "b"},
        {"ResourceType": "key-pair", "ResourceId": "key-1", "Key": TAG_BUILD, "Value": "b"},
    ]
    found = resources_of(rows)
    assert [(thing.kind, thing.id, thing.build_id) for thing in found] == [
        (ResourceKind.INSTANCE, "i-1", "b"),
        (ResourceKind.KEY_PAIR, "key-1", "b"),
    ]
    assert found[0].name == "n"


def request(**changes: Any) -> LaunchRequest:
    values: dict[str, Any] = {
        "name": "imagesmith-b-1",
        "build_id": "b",
        "source_image_id": "ami-1",
        "instance_type": "t3.small",
        "public_key": "ssh-ed25519 AAAA",
        "user_data": "#cloud-config",
        "tags": {},
    }
    return LaunchRequest(**{**values, **changes})


def test_an_instance_survives_its_own_power_off_and_takes_its_disk_along():
    arguments = run_arguments(request(disk_gib=20), Ec2Settings(), group_id="sg-1", image=IMAGE, tags={"a": "b"})
    assert arguments["InstanceInitiatedShutdownBehavior"] == "stop"
    assert arguments["ClientToken"] == "imagesmith-b-1"
    assert arguments["BlockDeviceMappings"] == [
        {"DeviceName": "/dev/sda1", "Ebs": {"DeleteOnTermination": True, "VolumeSize": 20}}
    ]
    assert {spec["ResourceType"] for spec in arguments["TagSpecifications"]} == {"instance", "volume"}
    assert "NetworkInterfaces" not in arguments
    assert arguments["SecurityGroupIds"] == ["sg-1"]


IMAGE: dict[str, Any] = {"ImageId": "ami-1", "RootDeviceName": "/dev/sda1", "RootDeviceType": "ebs"}


@pytest.mark.parametrize("public", [True, False])
def test_a_wanted_public_address_is_asked_of_the_interface(public):
    settings = Ec2Settings(public_ip=public, subnet_id="subnet-1", instance_profile="builder")
    arguments = run_arguments(request(), settings, group_id="sg-1", image=IMAGE, tags={})
    interface = arguments["NetworkInterfaces"][0]
    assert interface["AssociatePublicIpAddress"] is public
    assert interface["SubnetId"] == "subnet-1"
    assert interface["Groups"] == ["sg-1"]
    assert "SecurityGroupIds" not in arguments
    assert "SubnetId" not in arguments
    assert arguments["IamInstanceProfile"] == {"Name": "builder"}


@pytest.mark.parametrize(
    ("own", "disk_gib", "expected"),
    [
        ({"DeleteOnTermination": True}, None, []),
        ({"DeleteOnTermination": False}, None, [{"DeviceName": "/dev/sda1", "Ebs": {"DeleteOnTermination": True}}]),
    ],
)
def test_root_disk_never_outlives_its_instance(own, disk_gib, expected):
    image = {**IMAGE, "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": own}]}
    assert root_disk(image, disk_gib) == expected


def test_token_is_short_and_the_same_again():
    assert token_of("short-name") == "short-name"
    long = "x" * 65
    assert token_of(long) == token_of(long)
    assert len(token_of(long)) <= 64
    assert token_of(long) != token_of(long + "x")


def test_instance_store_is_refused_before_anything_is_made():
    with pytest.raises(DefinitionError, match="instance store"):
        refuse_instance_store("ec2", {"ImageId": "ami-1", "RootDeviceType": "instance-store"})


@pytest.mark.parametrize(("cidr", "key"), [("192.0.2.7/32", "IpRanges"), ("2001:db8::7/128", "Ipv6Ranges")])
def test_ssh_is_open_for_one_network_only(cidr, key):
    rule = ssh_permission(Ec2Settings(ssh_port=2222), cidr)
    assert (rule["FromPort"], rule["ToPort"]) == (2222, 2222)
    assert list(rule[key][0].values()) == [cidr]
    assert len(rule) == 4


def test_settings_take_what_is_theirs():
    settings = Ec2Settings.from_mapping({"region": "eu-west-1", "subnet_id": None, "type": "ec2", "ssh_port": 22})
    assert settings == Ec2Settings(region="eu-west-1")


def test_own_address_on_the_way_to_a_local_endpoint():
    assert ssh_cidr("ec2", "http://127.0.0.1:4599", settings=Ec2Settings()) == "127.0.0.1/32"


@pytest.mark.parametrize("settings", [Ec2Settings(use_private_address=True), Ec2Settings(public_ip=False)])
def test_own_address_is_not_guessed_for_private_networks(settings):
    with pytest.raises(DefinitionError, match="write ssh_cidr of ec2"):
        ssh_cidr("ec2", "http://127.0.0.1:4599", settings=settings)


def test_own_address_that_cannot_be_asked_is_worth_another_try():
    settings = Ec2Settings(caller_address_url="http://127.0.0.1:1/")
    with pytest.raises(CloudBusy, match="write ssh_cidr of ec2"):
        ssh_cidr("ec2", "https://ec2.us-east-1.amazonaws.com", settings=settings)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("ec2.us-east-1.amazonaws.com", True),
        ("ec2.cn-north-1.amazonaws.com.cn", True),
        ("127.0.0.1", False),
        ("ec2.amazonaws.com.example.org", False),
        ("cloud.example.org", False),
    ],
)
def test_aws_is_known_by_its_hosts(host, expected):
    assert is_aws(host) is expected
