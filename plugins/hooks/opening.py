"""From a cloud of a plan and its Airflow connection to the driver of its cloud."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.hook import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from imagesmith.core import Cloud
from imagesmith.errors import ConnectionMissing, SetupError
from imagesmith.plan import PlannedCloud
from imagesmith.steps.runner import Credential
from imagesmith.waiting import SharedLooks

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
    try:
        connection = BaseHook.get_connection(target.cloud)
    except AirflowNotFoundException as error:
        raise ConnectionMissing(MISSING.format(cloud=target.cloud, type=target.cloud_type)) from error
    except ValueError as error:
        raise SetupError(UNREADABLE.format(cloud=target.cloud)) from error
    return cloud_of(target, connection, credential)


async def open_account(target: PlannedCloud, credential: Credential) -> tuple[Cloud, SharedLooks]:
    """The driver of the target's cloud and its looks, in a task, whose process is its own and may block."""
    cloud = open_cloud(target, credential)
    return cloud, SharedLooks(cloud, gather_s=0)


async def aconnection(target: PlannedCloud) -> Connection:
    """The connection of the target's cloud, in a trigger; raises ConnectionMissing when it is missing."""
    try:
        return await BaseHook.aget_connection(target.cloud)
    except AirflowNotFoundException as error:
        raise ConnectionMissing(MISSING.format(cloud=target.cloud, type=target.cloud_type)) from error
    except ValueError as error:
        raise SetupError(UNREADABLE.format(cloud=target.cloud)) from error


def cloud_of(target: PlannedCloud, connection: Connection, credential: Credential) -> Cloud:
    """The driver of the target's cloud with the credentials of `connection`, or the build's own."""
    module_name, _, class_name = HOOKS[target.cloud_type].partition(":")
    hook: Any = getattr(import_module(module_name), class_name)
    own = {} if credential is None else {"credential": credential}
    cloud: Cloud = hook.from_connection(connection).cloud(target.cloud, target.settings, **own)
    return cloud
