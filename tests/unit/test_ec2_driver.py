"""What the EC2 driver asks for and makes of the answers, where a whole cloud cannot be brought to give them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from imagesmith.clouds.ec2 import Ec2Cloud
from imagesmith.clouds.ec2_words import Ec2Settings
from imagesmith.core import (
    TAG_DEPLOYMENT,
    ImageQuery,
    InstanceState,
    LaunchRequest,
    Resource,
    ResourceKind,
    SaveRequest,
)
from imagesmith.errors import CloudBusy, CloudError, InstanceLost, NameTaken, QuotaExceeded, SourceImageNotFound

Answer = dict[str, Any] | Exception


def refused(code: str, *, status: int = 400) -> ClientError:
    response = {"Error": {"Code": code, "Message": "so it is"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "Any")


class Client:
    """A boto3 client whose answers are given: a list per method, the last one for ever; the calls are kept."""

    meta = SimpleNamespace(endpoint_url="http://127.0.0.1:4599")

    def __init__(self, **answers: list[Answer]) -> None:
        self.answers = answers
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, method: str) -> Callable[..., dict[str, Any]]:
        def call(**arguments: Any) -> dict[str, Any]:
            self.calls.append((method, arguments))
            answers = self.answers[method]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    @property
    def methods(self) -> list[str]:
        return [method for method, _ in self.calls]


class Ledger:
    def intend(self, kind: ResourceKind, name: str) -> None: ...

    def made(self, kind: ResourceKind, name: str, resource_id: str) -> None: ...

    def gone(self, kind: ResourceKind, resource_id: str) -> None: ...

    def shared(self, kind: ResourceKind, name: str) -> str:
        return self.known

    def __init__(self, known: str = "") -> None:
        self.known = known


IMAGE = {"ImageId": "ami-1", "State": "available", "RootDeviceType": "ebs", "RootDeviceName": "/dev/xvda"}
REQUEST = LaunchRequest(
    name="imagesmith-b-1",
    build_id="b",
    source_image_id="ami-1",
    instance_type="t3.small",
    public_key="ssh-ed25519 AAAA",
    user_data="",
    tags={},
)
LAUNCH: dict[str, list[Answer]] = {
    "describe_images": [{"Images": [IMAGE]}],
    "create_security_group": [{"GroupId": "sg-1"}],
    "authorize_security_group_ingress": [{}],
    "run_instances": [{"Instances": [{"InstanceId": "i-1", "State": {"Name": "pending"}}]}],
    "describe_instances": [{"Reservations": [{"Instances": [{"InstanceId": "i-1", "State": {"Name": "running"}}]}]}],
}


def cloud_of(client: Client, **settings: Any) -> Ec2Cloud:
    return Ec2Cloud("ec2", lambda service: client, Ec2Settings(**settings))


def test_a_launch_takes_three_calls_once_the_source_image_was_found():
    client = Client(**LAUNCH)
    cloud = cloud_of(client)
    cloud.find_source_image(ImageQuery(id="ami-1"))
    assert cloud.launch(REQUEST, Ledger()) == "i-1"
    assert client.methods[1:] == [
        "create_security_group",
        "authorize_security_group_ingress",
        "run_instances",
    ]


def test_a_launch_beside_others_is_one_call():
    """What another launch has used is there, and the source image's details were handed on."""
    client = Client(**LAUNCH)
    cloud_of(client).launch(replace(REQUEST, source_details=IMAGE), Ledger(known="sg-9"))
    assert client.methods == ["run_instances"]
    arguments = client.calls[0][1]
    assert arguments["SecurityGroupIds"] == ["sg-9"]
    assert "KeyName" not in arguments


def test_a_group_that_its_last_user_has_just_deleted_is_made_again():
    run: list[Answer] = [refused("InvalidGroup.NotFound"), *LAUNCH["run_instances"]]
    client = Client(**{**LAUNCH, "run_instances": run})
    assert cloud_of(client).launch(replace(REQUEST, source_details=IMAGE), Ledger(known="sg-9")) == "i-1"
    assert client.methods == [
        "run_instances",
        "create_security_group",
        "authorize_security_group_ingress",
        "run_instances",
    ]
    assert client.calls[-1][1]["SecurityGroupIds"] == ["sg-1"]


def test_a_source_image_that_is_shown_but_not_known_when_it_is_launched_is_tried_again():
    """As one that its parent's build has just saved may be."""
    client = Client(**{**LAUNCH, "run_instances": [refused("InvalidAMIID.NotFound")]})
    with pytest.raises(CloudBusy, match="ec2: ami-1 can't be launched yet; it was just made"):
        cloud_of(client).launch(replace(REQUEST, source_details=IMAGE), Ledger(known="sg-9"))
    assert client.methods == ["run_instances", "describe_images"]


def test_a_source_image_that_is_gone_when_it_is_launched_is_not():
    gone: list[Answer] = [refused("InvalidAMIID.NotFound")]
    client = Client(**{**LAUNCH, "run_instances": gone, "describe_images": gone})
    with pytest.raises(SourceImageNotFound, match="find source image ami-1"):
        cloud_of(client).launch(replace(REQUEST, source_details=IMAGE), Ledger(known="sg-9"))


def test_a_group_that_another_launch_has_just_made_is_adopted():
    client = Client(
        **{
            **LAUNCH,
            "create_security_group": [refused("InvalidGroup.Duplicate")],
            "describe_security_groups": [{"SecurityGroups": [{"GroupId": "sg-2"}]}],
            "authorize_security_group_ingress": [refused("InvalidPermission.Duplicate")],
        }
    )
    cloud_of(client).launch(replace(REQUEST, source_details=IMAGE), Ledger())
    assert client.calls[-1][1]["SecurityGroupIds"] == ["sg-2"]


def test_a_launch_tried_again_looks_first_for_what_the_earlier_try_made():
    client = Client(**LAUNCH)
    request = replace(REQUEST, source_details=IMAGE, retried=True)
    assert cloud_of(client).launch(request, Ledger(known="sg-9")) == "i-1"
    assert client.methods == ["describe_instances"]
    assert client.calls[0][1]["Filters"] == [{"Name": "client-token", "Values": ["imagesmith-b-1"]}]


def test_the_groups_name_tells_deployments_rules_and_clouds_apart():
    def name(*, cloud: str = "ec2", deployment: str = "d", **settings: Any) -> str:
        client = Client(**LAUNCH)
        request = replace(REQUEST, source_details=IMAGE, tags={TAG_DEPLOYMENT: deployment})
        Ec2Cloud(cloud, lambda service: client, Ec2Settings(**settings)).launch(request, Ledger())
        return str(client.calls[0][1]["GroupName"])

    names = [name(), name(cloud="other"), name(deployment="e"), name(ssh_port=2222), name(ssh_cidr="10.0.0.0/8")]
    assert len(set(names)) == len(names)
    assert name() == names[0]


def test_what_many_builds_have_left_is_one_call():
    rows = [
        {"ResourceType": "image", "ResourceId": "ami-1", "Key": "imagesmith:target", "Value": "a/ec2"},
        {"ResourceType": "instance", "ResourceId": "i-2", "Key": "imagesmith:target", "Value": "b/ec2"},
    ]
    client = Client(describe_tags=[{"Tags": rows}])
    found = cloud_of(client).find_left(["a", "b"])
    assert [(each.kind, each.id, each.build_id) for each in found] == [
        (ResourceKind.IMAGE, "ami-1", "a"),
        (ResourceKind.INSTANCE, "i-2", "b"),
    ]
    assert client.calls[0][1]["Filters"] == [{"Name": "tag:imagesmith:target", "Values": ["a/ec2", "b/ec2"]}]


def test_many_names_are_looked_up_in_one_call():
    client = Client(describe_images=[{"Images": [{**IMAGE, "Name": "taken"}]}])
    found = cloud_of(client).find_images_named(["free", "taken"])
    assert (found["free"], found["taken"].id if found["taken"] else "") == (None, "ami-1")
    assert len(client.calls) == 1


def test_ssh_is_opened_for_the_callers_address_only():
    client = Client(**LAUNCH)
    cloud_of(client, ssh_port=2222).launch(REQUEST, Ledger())
    arguments = dict(client.calls)["authorize_security_group_ingress"]
    rule = {"IpProtocol": "tcp", "FromPort": 2222, "ToPort": 2222, "IpRanges": [{"CidrIp": "127.0.0.1/32"}]}
    assert arguments == {"GroupId": "sg-1", "IpPermissions": [rule]}


def test_the_group_is_made_in_the_network_of_the_subnet():
    client = Client(**LAUNCH, describe_subnets=[{"Subnets": [{"VpcId": "vpc-7"}]}])
    cloud_of(client, subnet_id="subnet-1").launch(REQUEST, Ledger())
    assert dict(client.calls)["create_security_group"]["VpcId"] == "vpc-7"


def test_a_token_known_with_other_arguments_adopts_the_instance_it_made():
    client = Client(**{**LAUNCH, "run_instances": [refused("IdempotentParameterMismatch")]})
    assert cloud_of(client).launch(REQUEST, Ledger()) == "i-1"


def test_a_token_whose_instance_has_ended_is_lost():
    client = Client(**{**LAUNCH, "run_instances": [refused("IdempotentInstanceTerminated")]})
    with pytest.raises(InstanceLost):
        cloud_of(client).launch(REQUEST, Ledger())


def test_a_full_account_is_told_with_the_clouds_words():
    client = Client(**{**LAUNCH, "run_instances": [refused("VcpuLimitExceeded")]})
    with pytest.raises(QuotaExceeded, match="ec2: launch t3.small .* VcpuLimitExceeded: so it is; "):
        cloud_of(client).launch(REQUEST, Ledger())


def test_many_instances_are_seen_in_calls_of_a_hundred():
    client = Client(describe_instances=[{"Reservations": []}])
    seen = cloud_of(client).observe_instances([f"i-{number}" for number in range(250)])
    assert len(seen) == 250
    assert {instance.state for instance in seen.values()} == {InstanceState.GONE}
    assert [len(arguments["Filters"][0]["Values"]) for _, arguments in client.calls] == [100, 100, 50]


def test_all_pages_of_a_listing_are_read():
    row = {"ResourceType": "key-pair", "Key": "imagesmith:build", "Value": "b"}
    one, other = {**row, "ResourceId": "key-1"}, {**row, "ResourceId": "key-2"}
    pages: list[Answer] = [{"Tags": [one], "NextToken": "more"}, {"Tags": [other]}]
    client = Client(describe_tags=[*pages, {"Tags": [one, other]}])
    assert [found.id for found in cloud_of(client).find_resources("b")] == ["key-1", "key-2"]
    assert client.calls[1][1]["NextToken"] == "more"
    assert client.calls[2][1]["Filters"] == [{"Name": "resource-id", "Values": ["key-1", "key-2"]}]


def test_console_falls_back_where_the_type_cannot_tell_the_latest():
    client = Client(get_console_output=[refused("UnsupportedOperation"), {"Output": "login:"}])
    assert cloud_of(client).console_output("i-1") == "login:"
    assert "Latest" not in client.calls[1][1]


def test_console_of_an_instance_that_printed_nothing_is_empty():
    assert cloud_of(Client(get_console_output=[{"InstanceId": "i-1"}])).console_output("i-1") == ""


SAVE = SaveRequest("image-b", "b", instance_id="i-1", description="d" * 300, tags={})


@pytest.mark.parametrize("tags", [[], [{"Key": "imagesmith:build", "Value": "another"}]])
def test_a_name_taken_by_anybody_else_is_told(tags):
    taken = {"Images": [{**IMAGE, "Name": "image-b", "Tags": tags}]}
    client = Client(create_image=[refused("InvalidAMIName.Duplicate")], describe_images=[taken])
    with pytest.raises(NameTaken, match="image-b"):
        cloud_of(client).save(SAVE, Ledger())


def test_descriptions_are_cut_to_what_ec2_takes():
    client = Client(create_image=[{"ImageId": "ami-2"}])
    cloud_of(client).save(SAVE, Ledger())
    assert len(client.calls[0][1]["Description"]) == 255


def test_an_image_that_bears_its_tags_needs_no_call_to_be_finished():
    image = {**IMAGE, "Tags": [{"Key": "a", "Value": "b"}]}
    client = Client(describe_images=[{"Images": [image]}])
    cloud = cloud_of(client)
    seen = cloud.observe_images(["ami-1"])["ami-1"]
    cloud.finish_image("ami-1", tags={"a": "b"}, public=False, seen=seen)
    assert client.methods == ["describe_images"]


def thing(kind: ResourceKind, id_: str) -> Resource:
    return Resource(kind, id_)


INSTANCE, GROUP, KEY, VOLUME = (
    thing(ResourceKind.INSTANCE, "i-1"),
    thing(ResourceKind.SECURITY_GROUP, "sg-1"),
    thing(ResourceKind.KEY_PAIR, "key-1"),
    thing(ResourceKind.VOLUME, "vol-1"),
)


def ending(state: str) -> Answer:
    return {"TerminatingInstances": [{"InstanceId": "i-1", "CurrentState": {"Name": state}}]}


def test_ending_asks_for_nothing_that_cannot_go_yet_and_needs_no_look():
    client = Client(
        terminate_instances=[ending("shutting-down"), ending("terminated")],
        delete_key_pair=[{}],
        delete_volume=[refused("InvalidVolume.NotFound")],
        delete_security_group=[{}],
    )
    cloud = cloud_of(client)
    left = cloud.delete([GROUP, VOLUME, KEY, INSTANCE])
    assert set(map(id, left)) == set(map(id, [INSTANCE, GROUP, VOLUME]))
    assert client.methods == ["terminate_instances", "delete_key_pair"]
    assert cloud.delete(left) == []
    assert client.methods[2:] == ["terminate_instances", "delete_volume", "delete_security_group"]


def test_a_volume_that_went_with_its_instance_is_not_asked_for():
    disk = {"Ebs": {"VolumeId": "vol-1", "DeleteOnTermination": True}}
    running = {"InstanceId": "i-1", "State": {"Name": "running"}, "BlockDeviceMappings": [disk]}
    rows = [
        {"ResourceType": "instance", "ResourceId": "i-1", "Key": "imagesmith:build", "Value": "b"},
        {"ResourceType": "volume", "ResourceId": "vol-1", "Key": "imagesmith:build", "Value": "b"},
    ]
    client = Client(
        describe_tags=[{"Tags": rows}],
        describe_instances=[{"Reservations": [{"Instances": [running]}]}],
        terminate_instances=[ending("shutting-down"), ending("terminated")],
    )
    cloud = cloud_of(client)
    left = cloud.delete(cloud.find_resources("b"))
    assert [resource.id for resource in left] == ["i-1", "vol-1"]
    assert cloud.delete(left) == []
    assert client.methods[-1] == "terminate_instances"


def test_one_unknown_instance_does_not_keep_the_others_alive():
    other = thing(ResourceKind.INSTANCE, "i-2")
    client = Client(
        terminate_instances=[
            refused("InvalidInstanceID.NotFound"),
            ending("terminated"),
            refused("InvalidInstanceID.NotFound"),
        ]
    )
    assert cloud_of(client).delete([INSTANCE, other]) == []


def test_a_refusal_is_raised_after_everything_else_was_ended():
    client = Client(delete_key_pair=[refused("UnauthorizedOperation")], delete_security_group=[{}])
    with pytest.raises(CloudError, match="key-1"):
        cloud_of(client).delete([KEY, GROUP])
    assert "delete_security_group" in client.methods


def test_a_group_still_in_use_stays():
    client = Client(delete_security_group=[refused("DependencyViolation")])
    assert cloud_of(client).delete([GROUP]) == [GROUP]


def test_throttling_in_the_middle_is_worth_another_round():
    client = Client(delete_key_pair=[refused("RequestLimitExceeded", status=503)])
    with pytest.raises(CloudBusy):
        cloud_of(client).delete([KEY])


def test_what_was_seen_to_end_is_not_looked_up_again():
    row = {"ResourceType": "instance", "ResourceId": "i-1", "Key": "imagesmith:build", "Value": "b"}
    client = Client(terminate_instances=[ending("terminated")], describe_tags=[{"Tags": [row]}])
    cloud = cloud_of(client)
    cloud.delete([INSTANCE])
    assert cloud.find_resources("b") == []
    assert client.methods == ["terminate_instances", "describe_tags"]
