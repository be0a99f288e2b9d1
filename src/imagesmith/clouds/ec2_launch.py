"""Launching on EC2: key pair, security group, its one rule, instance, each adopted if an earlier try made it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from imagesmith.clouds.caller_address import caller_cidr
from imagesmith.clouds.ec2_cleanup import Ask, pages, refusal
from imagesmith.clouds.ec2_errors import JUST_MADE, WHEN_LAUNCHING
from imagesmith.clouds.ec2_words import (
    AUTO,
    ENDING,
    Ec2Settings,
    all_tags,
    instance_documents,
    is_aws,
    run_arguments,
    specifications,
    ssh_permission,
)
from imagesmith.core import LaunchRequest, Ledger, ResourceKind
from imagesmith.errors import CloudBusy, DefinitionError, ImagesmithError, InstanceLost


class Launching:
    """Launches on one cloud; `endpoint_url` tells where it answers."""

    def __init__(self, cloud: str, ask: Ask, *, settings: Ec2Settings, endpoint_url: Callable[[], str]) -> None:
        self._cloud = cloud
        self._ask = ask
        self._settings = settings
        self._endpoint_url = endpoint_url

    def run(self, request: LaunchRequest, ledger: Ledger, *, image: Mapping[str, Any]) -> str:
        """The id of the instance, which may be an earlier try's; `image` is the source's document."""
        tags = all_tags(self._cloud, request.build_id, name=request.name, tags=request.tags)
        key_is_new = self._ensure_key_pair(request, ledger, tags=tags)
        group_id, group_is_new = self._ensure_group(request, ledger, tags=tags)
        ledger.intend(ResourceKind.INSTANCE, request.name)
        # Something there before us means an earlier try whose answer was lost, maybe with the instance made.
        instance_id = None if key_is_new and group_is_new else self._instance_launched(request.name)
        if instance_id is None:
            arguments = run_arguments(request, self._settings, group_id=group_id, image=image, tags=tags)
            instance_id = self._run(request, arguments)
        ledger.made(ResourceKind.INSTANCE, request.name, instance_id)
        return instance_id

    def _ensure_key_pair(self, request: LaunchRequest, ledger: Ledger, *, tags: Mapping[str, str]) -> bool:
        ledger.intend(ResourceKind.KEY_PAIR, request.name)
        tried = f"import key pair {request.name}"
        is_new = True
        try:
            made = self._ask(
                tried,
                "import_key_pair",
                special=WHEN_LAUNCHING,
                KeyName=request.name,
                PublicKeyMaterial=request.public_key.encode(),
                TagSpecifications=specifications(tags, "key-pair"),
            )
        except ImagesmithError as error:
            if refusal(error) != "InvalidKeyPair.Duplicate":
                raise
            known = self._ask(tried, "describe_key_pairs", special=WHEN_LAUNCHING, KeyNames=[request.name])["KeyPairs"]
            made = dict(self._first(known, tried))
            is_new = False
        ledger.made(ResourceKind.KEY_PAIR, request.name, made["KeyPairId"])
        return is_new

    def _ensure_group(self, request: LaunchRequest, ledger: Ledger, *, tags: Mapping[str, str]) -> tuple[str, bool]:
        cidr = ssh_cidr(self._cloud, self._endpoint_url(), settings=self._settings)
        network = self._vpc()
        ledger.intend(ResourceKind.SECURITY_GROUP, request.name)
        group_id, is_new = self._make_group(request, network=network, tags=tags)
        ledger.made(ResourceKind.SECURITY_GROUP, request.name, group_id)
        try:
            self._ask(
                f"open port {self._settings.ssh_port} of {group_id} for {cidr}",
                "authorize_security_group_ingress",
                special=WHEN_LAUNCHING,
                GroupId=group_id,
                IpPermissions=[ssh_permission(self._settings, cidr)],
            )
        except ImagesmithError as error:
            if refusal(error) != "InvalidPermission.Duplicate":
                raise
        return group_id, is_new

    def _make_group(
        self, request: LaunchRequest, *, network: Mapping[str, str], tags: Mapping[str, str]
    ) -> tuple[str, bool]:
        tried = f"create security group {request.name}"
        try:
            made = self._ask(
                tried,
                "create_security_group",
                special=WHEN_LAUNCHING,
                GroupName=request.name,
                Description=f"Imagesmith build {request.build_id}: SSH from the builder",
                TagSpecifications=specifications(tags, "security-group"),
                **network,
            )
            return str(made["GroupId"]), True
        except ImagesmithError as error:
            if refusal(error) != "InvalidGroup.Duplicate":
                raise
        by_name = [{"Name": "group-name", "Values": [request.name]}]
        by_name += [{"Name": "vpc-id", "Values": [vpc]} for vpc in network.values()]
        found = self._ask(tried, "describe_security_groups", Filters=by_name)["SecurityGroups"]
        return str(self._first(found, tried)["GroupId"]), False

    def _first(self, found: Sequence[Mapping[str, Any]], tried: str) -> Mapping[str, Any]:
        """What an earlier try made; raises CloudBusy while it is there but not listed yet."""
        if not found:
            raise CloudBusy(f"{self._cloud}: {tried}: its name is taken but not listed yet; {JUST_MADE.cure}")
        return found[0]

    def _vpc(self) -> dict[str, str]:
        """The network of the group: the one that is set, else the subnet's, else the account's default."""
        if self._settings.vpc_id:
            return {"VpcId": self._settings.vpc_id}
        if not self._settings.subnet_id:
            return {}
        subnet_id = self._settings.subnet_id
        subnets = self._ask(f"look up subnet {subnet_id}", "describe_subnets", SubnetIds=[subnet_id])["Subnets"]
        return {"VpcId": subnets[0]["VpcId"]}

    def _instance_launched(self, name: str) -> str | None:
        by_key = [{"Name": "key-name", "Values": [name]}]  # no other instance has this key pair
        reservations = pages(
            self._ask,
            f"look for an instance named {name}",
            method="describe_instances",
            key="Reservations",
            Filters=by_key,
        )
        for document in instance_documents(reservations):
            return self._not_ending(document)
        return None

    def _run(self, request: LaunchRequest, arguments: Mapping[str, Any]) -> str:
        tried = f"launch {request.instance_type} from {request.source_image_id} as {request.name}"
        try:
            reply = self._ask(tried, "run_instances", special=WHEN_LAUNCHING, **arguments)
        except ImagesmithError as error:
            # The token is known with other arguments: an earlier try went through, a setting changed since.
            adopted = refusal(error) == "IdempotentParameterMismatch" and self._instance_launched(request.name)
            if not adopted:
                raise
            return adopted
        return self._not_ending(reply["Instances"][0])

    def _not_ending(self, document: Mapping[str, Any]) -> str:
        """The id of an instance to adopt; raises InstanceLost for one that is on its way out."""
        if document["State"]["Name"] in ENDING:
            reason = (document.get("StateReason") or {}).get("Message", "no reason given")
            raise InstanceLost(
                f"{self._cloud}: instance {document['InstanceId']} is {document['State']['Name']}: {reason}; "
                "start the build again"
            )
        return str(document["InstanceId"])


def ssh_cidr(cloud: str, endpoint_url: str, *, settings: Ec2Settings) -> str:
    """Who may reach SSH on the instances, as a CIDR; raises DefinitionError where it cannot be known."""
    if settings.ssh_cidr != AUTO:
        return settings.ssh_cidr
    if settings.use_private_address or settings.public_ip is False:
        raise DefinitionError(
            f"{cloud}: ssh_cidr is auto, but instances are reached at private addresses, where the caller's "
            f"address cannot be known; write ssh_cidr of {cloud} in include/clouds.yaml"
        )
    # AWS names such a service in its documentation for the purpose; any other endpoint is reached directly.
    behind_aws = is_aws(urlsplit(endpoint_url).hostname or "")
    return caller_cidr(cloud, endpoint_url, ask_url=settings.caller_address_url if behind_aws else "")
