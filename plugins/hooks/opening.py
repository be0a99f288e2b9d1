"""From a cloud of a plan and its Airflow connection to the driver of its cloud."""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.hook import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from imagesmith.budget import DEFAULT_PER_S, SharedBudget
from imagesmith.core import Cloud
from imagesmith.errors import ConnectionMissing, SetupError
from imagesmith.keys import account_mark
from imagesmith.plan import PlannedCloud
from imagesmith.shared_looks import Board, SharedLooks
from imagesmith.steps.runner import Credential
from operators.deployment import this_deployment

if TYPE_CHECKING:
    from airflow.sdk import Connection

# One line for each cloud type; imported when its first cloud is used, so that parsing a DAG imports no SDK.
HOOKS = {
    "ec2": "hooks.ec2_hook:Ec2Hook",
    "nimbus": "hooks.nimbus_hook:NimbusHook",
    "openstack": "hooks.openstack_hook:OpenStackHook",
}

MISSING = (
    "{cloud}: there is no Airflow connection named {cloud}; add it under Admin > Connections, or with "
    "`airflow connections add {cloud} --conn-type imagesmith_{type} …`"
)


UNREADABLE = "{cloud}: the Airflow connection {cloud} can't be read; write AIRFLOW_CONN_… of it as JSON or as a URI"


def open_cloud(target: PlannedCloud, credential: Credential = None) -> Cloud:
    """The driver of the target's cloud, in a task; raises ConnectionMissing when the connection is missing."""
    return cloud_of(target, connection_of(target), credential)


def connection_of(target: PlannedCloud) -> Connection:
    """The connection of the target's cloud, in a task; raises ConnectionMissing when it is missing."""
    try:
        return BaseHook.get_connection(target.cloud)
    except AirflowNotFoundException as error:
        raise ConnectionMissing(MISSING.format(cloud=target.cloud, type=target.cloud_type)) from error
    except ValueError as error:
        raise SetupError(UNREADABLE.format(cloud=target.cloud)) from error


async def open_account(target: PlannedCloud, credential: Credential) -> tuple[Cloud, SharedLooks]:
    """The driver of the target's cloud and its looks, in a task, whose process is its own and may block."""
    connection = connection_of(target)
    cloud = cloud_of(target, connection, credential)
    mark = mark_of(target, connection, credential)
    return cloud, SharedLooks(cloud, gather_s=0, board=Board(this_deployment().catalog, target.cloud, mark))


async def aconnection(target: PlannedCloud) -> Connection:
    """The connection of the target's cloud, in a trigger; raises ConnectionMissing when it is missing."""
    try:
        return await BaseHook.aget_connection(target.cloud)
    except AirflowNotFoundException as error:
        raise ConnectionMissing(MISSING.format(cloud=target.cloud, type=target.cloud_type)) from error
    except ValueError as error:
        raise SetupError(UNREADABLE.format(cloud=target.cloud)) from error


def mark_of(target: PlannedCloud, connection: Connection, credential: Credential) -> str:
    """What is the same for all that ask the same account with the same settings and credentials."""
    words = json.dumps([target.cloud, target.settings, connection.get_uri(), credential], sort_keys=True)
    return account_mark(this_deployment().secret, words)


def cloud_of(target: PlannedCloud, connection: Connection, credential: Credential) -> Cloud:
    """The driver of the target's cloud with the credentials of `connection`, or the build's own."""
    module_name, _, class_name = HOOKS[target.cloud_type].partition(":")
    hook: Any = getattr(import_module(module_name), class_name)
    own = {} if credential is None else {"credential": credential}
    cloud: Cloud = hook.from_connection(connection).cloud(target.cloud, target.settings, **own)
    per_s = float(target.settings.get("calls_per_second") or DEFAULT_PER_S)
    cloud.budget = SharedBudget(this_deployment().catalog, target.cloud, per_s=per_s)
    return cloud
