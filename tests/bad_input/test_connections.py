"""Bad connections: told with field and cure before any call, and without a word of their secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from imagesmith.errors import SetupError

from .row import Row, check, table
from .rows_of_connections import EC2, NIMBUS, OPENING, OPENSTACK, well

HOOKS = {
    "ec2": ("hooks.ec2_hook", "Ec2Hook", "ec2"),
    "openstack": ("hooks.openstack_hook", "OpenStackHook", "hotel"),
    "nimbus": ("hooks.nimbus_hook", "NimbusHook", "site"),
}


def connection(cloud_type: str, changes: dict[str, Any], conn_id: str) -> Any:
    from airflow.sdk import Connection

    fields = {**well(cloud_type), **changes}
    extra = fields.pop("extra")
    if isinstance(extra, dict):
        extra = {key: value for key, value in {**well(cloud_type)["extra"], **extra}.items() if value is not ...}
        extra = json.dumps(extra)
    return Connection(conn_id=conn_id, extra=extra, **fields)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that gets as far as a call is not refused early enough."""

    def connect(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("a cloud was called")

    monkeypatch.setattr("socket.socket.connect", connect)
    monkeypatch.setattr("subprocess.Popen", connect)


def told_by_the_button(cloud_type: str, changes: dict[str, Any]) -> str:
    """What Airflow's button says of such a connection."""
    from importlib import import_module

    module, name, conn_id = HOOKS[cloud_type]
    hook = getattr(import_module(module), name).from_connection(connection(cloud_type, changes, conn_id))
    well, words = hook.test_connection()
    assert not well
    return str(words)


def refused(row: Row, cloud_type: str, caplog: pytest.LogCaptureFixture) -> None:
    words = told_by_the_button(cloud_type, row.given)
    check(row, words)
    assert words.isprintable() and len(words) < 600
    assert "hunter2" not in words
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("row", table(EC2))
def test_ec2(row: Row, caplog: pytest.LogCaptureFixture) -> None:
    refused(row, "ec2", caplog)


@pytest.mark.parametrize("row", table(OPENSTACK))
def test_openstack(row: Row, caplog: pytest.LogCaptureFixture) -> None:
    refused(row, "openstack", caplog)


@pytest.mark.parametrize("row", table(NIMBUS))
def test_nimbus(row: Row, caplog: pytest.LogCaptureFixture) -> None:
    refused(row, "nimbus", caplog)


@pytest.mark.parametrize("row", table(OPENING))
def test_a_connection_that_airflow_cannot_give(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk import Connection
    from airflow.sdk.bases.hook import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    from hooks.opening import open_cloud
    from imagesmith.plan import PlannedSource, PlannedTarget

    cloud_type, text = row.given

    def get_connection(name: str) -> Any:
        if text is None:
            raise AirflowNotFoundException(f"The conn_id `{name}` isn't defined")
        return Connection.from_json(text, conn_id=name)

    monkeypatch.setattr(BaseHook, "get_connection", get_connection)
    target = PlannedTarget(
        cloud="east",
        cloud_type=cloud_type,
        settings={},
        source_image=PlannedSource(id="x"),
        ssh_username="admin",
        instance_type="",
        image_name="x",
        public=False,
        tags={},
        required=True,
        disk_gib=None,
        time_limits_s={},
    )
    with pytest.raises(SetupError) as refusal:
        open_cloud(target)
    check(row, str(refusal.value))
