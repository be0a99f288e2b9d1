"""Launching on EC2: security group, its one rule, instance, each adopted if an earlier try made it.

The group is one for all builds of a deployment that run at a time, as its rule is the same for all: the first makes it,
the last deletes it. A launch relies on what the ledger knows of it, and makes it again where it has just gone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
    group_name,
    instance_documents,
    is_aws,
    run_arguments,
    shared_tags,
    specifications,
    ssh_permission,
    token_of,
)
from imagesmith.core import TAG_DEPLOYMENT, LaunchRequest, Ledger, ResourceKind
from imagesmith.errors import CloudBusy, DefinitionError, ImagesmithError, InstanceLost


@dataclass(frozen=True)
class _Group:
    """The security group of a launch: its name, whom it lets in, and the network it is in, if one is named."""

    name: str
    cidr: str
    network: Mapping[str, str]


class Launching:
    """Launches on one cloud; `endpoint_url` tells where it answers."""

    def __init__(self, cloud: str, ask: Ask, *, settings: Ec2Settings, endpoint_url: Callable[[], str]) -> None:
        self._cloud = cloud
        self._ask = ask
        self._settings = settings
        self._endpoint_url = endpoint_url
        self._vpc_of_subnet = ""

    def run(self, request: LaunchRequest, ledger: Ledger, *, image: Mapping[str, Any]) -> str:
        """The id of the instance, which may be an earlier try's; `image` is the source's document."""
        tags = all_tags(self._cloud, request.build_id, name=request.name, tags=request.tags)
        group = self._group(request)
        group_id = self._ensure_group(group, request, ledger)
        ledger.intend(ResourceKind.INSTANCE, request.name)
        instance_id = self._instance_launched(request.name) if request.retried else None
        if instance_id is None:
            try:
                instance_id = self._run(
                    request, run_arguments(request, self._settings, group_id, image=image, tags=tags)
                )
            except ImagesmithError as error:
                if refusal(error) != "InvalidGroup.NotFound":
                    raise
                # The last build that used it has just deleted it.
                ledger.gone(ResourceKind.SECURITY_GROUP, group_id)
                group_id = self._make_group(group, request, ledger)
                instance_id = self._run(
                    request, run_arguments(request, self._settings, group_id, image=image, tags=tags)
                )
        ledger.made(ResourceKind.INSTANCE, request.name, instance_id)
        return instance_id

    def _group(self, request: LaunchRequest) -> _Group:
        cidr = ssh_cidr(self._cloud, self._endpoint_url(), settings=self._settings)
        network = self._vpc()
        name = group_name(
            self._cloud,
            self._settings,
            cidr=cidr,
            network=network.get("VpcId", ""),
            deployment=request.tags.get(TAG_DEPLOYMENT, ""),
        )
        return _Group(name, cidr, network)

    def _ensure_group(self, group: _Group, request: LaunchRequest, ledger: Ledger) -> str:
        """The id of the group, made unless another launch has used it that is not over; then no call is made."""
        ledger.intend(ResourceKind.SECURITY_GROUP, group.name)
        known = ledger.shared(ResourceKind.SECURITY_GROUP, group.name)
        if not known:
            return self._make_group(group, request, ledger)
        ledger.made(ResourceKind.SECURITY_GROUP, group.name, known)
        return known

    def _make_group(self, group: _Group, request: LaunchRequest, ledger: Ledger) -> str:
        ledger.intend(ResourceKind.SECURITY_GROUP, group.name)
        group_id = self._create_group(group, request)
        ledger.made(ResourceKind.SECURITY_GROUP, group.name, group_id)
        try:
            self._ask(
                f"open port {self._settings.ssh_port} of {group_id} for {group.cidr}",
                "authorize_security_group_ingress",
                special=WHEN_LAUNCHING,
                GroupId=group_id,
                IpPermissions=[ssh_permission(self._settings, group.cidr)],
            )
        except ImagesmithError as error:
            if refusal(error) != "InvalidPermission.Duplicate":
                raise
        return group_id

    def _create_group(self, group: _Group, request: LaunchRequest) -> str:
        tried = f"create security group {group.name}"
        try:
            made = self._ask(
                tried,
                "create_security_group",
                special=WHEN_LAUNCHING,
                GroupName=group.name,
                Description="Imagesmith: SSH from the builder, for all builds that run",
                TagSpecifications=specifications(shared_tags(self._cloud, group.name, request.tags), "security-group"),
                **group.network,
            )
            return str(made["GroupId"])
        except ImagesmithError as error:
            if refusal(error) != "InvalidGroup.Duplicate":
                raise
        by_name = [{"Name": "group-name", "Values": [group.name]}]
        by_name += [{"Name": "vpc-id", "Values": [vpc]} for vpc in group.network.values()]
        found = self._ask(tried, "describe_security_groups", Filters=by_name)["SecurityGroups"]
        return str(self._first(found, tried)["GroupId"])

    def _first(self, found: Sequence[Mapping[str, Any]], tried: str) -> Mapping[str, Any]:
        """What another launch made; raises CloudBusy while it is there but not listed yet."""
        if not found:
            raise CloudBusy(f"{self._cloud}: {tried}: its name is taken but not listed yet; {JUST_MADE.cure}")
        return found[0]

    def _vpc(self) -> dict[str, str]:
        """The network of the group: the one that is set, else the subnet's, else the account's default."""
        if self._settings.vpc_id:
            return {"VpcId": self._settings.vpc_id}
        if not self._settings.subnet_id:
            return {}
        if not self._vpc_of_subnet:
            subnet_id = self._settings.subnet_id
            subnets = self._ask(f"look up subnet {subnet_id}", "describe_subnets", SubnetIds=[subnet_id])["Subnets"]
            self._vpc_of_subnet = str(subnets[0]["VpcId"])
        return {"VpcId": self._vpc_of_subnet}

    def _instance_launched(self, name: str) -> str | None:
        by_token = [{"Name": "client-token", "Values": [token_of(name)]}]
        reservations = pages(
            self._ask,
            f"look for an instance named {name}",
            method="describe_instances",
            key="Reservations",
            Filters=by_token,
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
