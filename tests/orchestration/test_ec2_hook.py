"""Airflow's connection of an EC2 cloud becomes its driver; no call leaves the process."""

from __future__ import annotations

import json
from typing import Any

import pytest

from imagesmith.errors import CloudBusy, SetupError
from imagesmith.provider import get_provider_info

SECRET = "a-secret-that-is-shown-nowhere"


def connection(conn_type: str = "imagesmith_ec2", **extra: Any) -> Any:
    from airflow.sdk import Connection

    return Connection(conn_id="ec2", conn_type=conn_type, login="AKIAEXAMPLE", password=SECRET, extra=json.dumps(extra))


def hook(conn_type: str = "imagesmith_ec2", **extra: Any) -> Any:
    from hooks.ec2_hook import Ec2Hook

    return Ec2Hook.from_connection(connection(conn_type, **extra))


@pytest.mark.parametrize("conn_type", ["imagesmith_ec2", "aws"])
def test_both_types_of_connection_give_a_driver(conn_type):
    subject = hook(conn_type, endpoint_url="http://127.0.0.1:1")
    cloud = subject.cloud("ec2", {"region": "eu-west-1", "subnet_id": None, "ssh_port": 2222})
    assert (cloud.name, cloud.settings.ssh_port) == ("ec2", 2222)
    client = subject.client("ec2")
    assert client.meta.endpoint_url == "http://127.0.0.1:1"
    assert client.meta.region_name == "eu-west-1"


def test_botocore_does_not_try_again_by_itself_and_gives_up_soon():
    config = hook().client("ec2").meta.config
    assert config.retries["total_max_attempts"] == 1
    assert config.connect_timeout <= 10


def test_settings_of_the_connection_survive_ours():
    config = hook(config_kwargs={"proxies": {"https": "http://127.0.0.1:3128"}}).client("ec2").meta.config
    assert config.proxies == {"https": "http://127.0.0.1:3128"}
    assert config.retries["total_max_attempts"] == 1


@pytest.mark.parametrize(
    ("settings", "extra", "expected"),
    [
        ({"region": "eu-west-1"}, {"region_name": "us-west-2"}, "eu-west-1"),
        ({}, {"region_name": "us-west-2"}, "us-west-2"),
        ({}, {"region_name": ""}, "us-east-1"),
    ],
)
def test_region_of_the_file_then_of_the_connection(settings, extra, expected):
    subject = hook(**extra)
    subject.cloud("ec2", settings)
    assert subject.client("ec2").meta.region_name == expected


def test_fields_left_empty_in_the_form_count_as_absent():
    subject = hook(endpoint_url="", role_arn="", profile_name="", aws_session_token=None)
    assert subject.client("ec2").meta.endpoint_url == "https://ec2.us-east-1.amazonaws.com"


def test_another_type_of_connection_is_told():
    with pytest.raises(SetupError, match="is of type ssh; make it one of imagesmith_ec2 or aws"):
        hook("ssh").cloud("ec2", {})


def test_a_missing_connection_names_both_cures():
    from hooks.ec2_hook import Ec2Hook

    with pytest.raises(SetupError, match="Admin, Connections.*airflow connections add ec2-east --conn-type"):
        Ec2Hook("ec2-east").cloud()


def test_the_button_in_the_ui_tells_the_reason_without_the_secret():
    good, words = hook(endpoint_url="http://127.0.0.1:1").test_connection()
    assert not good
    assert "check network and endpoint URL in the Airflow connection ec2" in words
    assert SECRET not in words


def test_nothing_of_the_driver_shows_the_secret():
    cloud = hook(endpoint_url="http://127.0.0.1:1").cloud("ec2", {})
    with pytest.raises(CloudBusy) as told:
        cloud.identity()
    assert SECRET not in f"{told.value!r} {told.value} {vars(cloud)}"


def test_what_airflow_is_told_is_what_it_understands():
    import jsonschema
    from airflow.providers_manager import ProvidersManager

    info = get_provider_info()
    ProvidersManager()._provider_schema_validator.validate(info)
    described = info["connection-types"][0]
    from hooks.ec2_hook import Ec2Hook

    assert described["connection-type"] == Ec2Hook.conn_type
    assert described["hook-class-name"] == f"{Ec2Hook.__module__}.{Ec2Hook.__name__}"
    for field in described["conn-fields"].values():
        jsonschema.Draft202012Validator.check_schema(field["schema"])
    assert described["conn-fields"]["aws_session_token"]["schema"]["format"] == "password"
