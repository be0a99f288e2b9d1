"""EC2's words for what went wrong become errors that say who must act."""

from __future__ import annotations

import pytest
from botocore import exceptions as sdk
from botocore.parsers import ResponseParserError

from imagesmith import errors
from imagesmith.clouds.ec2_errors import MEANINGS, WHEN_LAUNCHING, WHEN_SAVING, translate


def refused(code: str, *, status: int = 400, message: str = "The cloud's own words.") -> sdk.ClientError:
    response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return sdk.ClientError(response, "RunInstances")


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("AuthFailure", 401, errors.CredentialsRefused),
        ("SignatureDoesNotMatch", 403, errors.CredentialsRefused),
        ("InvalidClientTokenId", 403, errors.CredentialsRefused),
        ("ExpiredToken", 400, errors.CredentialsRefused),
        ("UnauthorizedOperation", 403, errors.CredentialsRefused),
        ("RequestLimitExceeded", 503, errors.CloudBusy),
        ("Throttling", 400, errors.CloudBusy),
        ("InternalError", 500, errors.CloudBusy),
        ("Unavailable", 503, errors.CloudBusy),
        ("NobodyKnowsThisCode", 500, errors.CloudBusy),
        ("NobodyKnowsThisCode", 502, errors.CloudBusy),
        ("NobodyKnowsThisCode", 400, errors.CloudError),
        ("VcpuLimitExceeded", 400, errors.QuotaExceeded),
        ("InstanceLimitExceeded", 400, errors.QuotaExceeded),
        ("InsufficientFreeAddressesInSubnet", 400, errors.QuotaExceeded),
        ("InsufficientInstanceCapacity", 500, errors.LaunchRefused),
        ("InvalidAMIID.NotFound", 400, errors.SourceImageNotFound),
        ("InvalidInstanceType", 400, errors.DefinitionError),
        ("InvalidBlockDeviceMapping", 400, errors.DefinitionError),
        ("InvalidSubnetID.NotFound", 400, errors.DefinitionError),
        ("VPCIdNotSpecified", 400, errors.DefinitionError),
        ("InvalidAMIName.Malformed", 400, errors.DefinitionError),
        ("InvalidAMIName.Duplicate", 400, errors.NameTaken),
        ("InvalidInstanceID.NotFound", 400, errors.InstanceLost),
        ("IncorrectInstanceState", 400, errors.InstanceLost),
        ("RequestTimeTooSkewed", 403, errors.SetupError),
        ("InvalidAction", 400, errors.SetupError),
    ],
)
def test_code_names_who_must_act(code, status, expected):
    error = translate("ec2", "launch it", error=refused(code, status=status))
    assert type(error) is expected


def test_message_has_cloud_what_was_tried_code_words_and_cure():
    error = translate("ec2-east", "launch t3.huge as web-1", error=refused("AuthFailure", message="Not you."))
    assert str(error) == (
        "ec2-east: launch t3.huge as web-1: AuthFailure: Not you; check the Airflow connection ec2-east"
    )


def test_every_cure_can_be_filled_in():
    for meaning in {*MEANINGS.values(), *WHEN_LAUNCHING.values(), *WHEN_SAVING.values()}:
        assert "{" not in meaning.cure.format(cloud="ec2")


def test_the_same_code_means_something_else_to_a_save():
    error = refused("InvalidAMIID.NotFound")
    assert type(translate("ec2", "look", error=error)) is errors.SourceImageNotFound
    assert type(translate("ec2", "finish", error=error, special=WHEN_SAVING)) is errors.SaveFailed


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (sdk.NoCredentialsError(), errors.CredentialsRefused),
        (sdk.CredentialRetrievalError(provider="role", error_msg="x"), errors.CredentialsRefused),
        (sdk.ProfileNotFound(profile="p"), errors.SetupError),
        (sdk.NoRegionError(), errors.SetupError),
        (sdk.SSLError(endpoint_url="e", error="x"), errors.SetupError),
        (sdk.EndpointConnectionError(endpoint_url="e"), errors.CloudBusy),
        (sdk.ConnectTimeoutError(endpoint_url="e"), errors.CloudBusy),
        (sdk.ReadTimeoutError(endpoint_url="e"), errors.CloudBusy),
        (sdk.ConnectionClosedError(endpoint_url="e"), errors.CloudBusy),
        (ResponseParserError("not XML:\n<html>"), errors.CloudBusy),
        (sdk.ParamValidationError(report="x"), errors.DefinitionError),
        (sdk.DataNotFoundError(data_path="x"), errors.CloudError),
    ],
)
def test_errors_on_our_side_of_the_wire(error, expected):
    told = translate("ec2", "look", error=error)
    assert type(told) is expected
    assert str(told).startswith("ec2: look: ")
    assert "<html>" not in str(told), "a page that is not EC2's is not shown"
