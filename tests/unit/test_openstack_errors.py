"""OpenStack's refusals in our words: the type says who must act, the message names the cure."""

from __future__ import annotations

import base64
import json

import pytest
from keystoneauth1 import exceptions as keystone

from imagesmith import errors
from imagesmith.clouds.openstack_errors import LOST, Refused, failed, refused, words_of

NO_HOST = "No valid host was found. There are not enough hosts available."


@pytest.mark.parametrize(
    ("status", "words", "launching", "kind", "cure"),
    [
        (
            401,
            "The request you have made requires authentication.",
            False,
            errors.CredentialsRefused,
            "connection hotel",
        ),
        (
            403,
            "Quota exceeded for instances: Requested 1, but already used 10 of 10",
            True,
            errors.QuotaExceeded,
            "limit",
        ),
        (409, "Quota exceeded for resources: ['floatingip'].", False, errors.QuotaExceeded, "limit"),
        (413, "Quota exceeded for cores: Requested 1", True, errors.QuotaExceeded, "limit"),
        (403, "Policy doesn't allow os_compute_api:servers:create", False, errors.CredentialsRefused, "permission"),
        (413, "This request was rate-limited.", False, errors.CloudBusy, "tried again"),
        (429, "Too many requests", False, errors.CloudBusy, "tried again"),
        (503, "The server is currently unavailable", False, errors.CloudBusy, "tried again"),
        (400, "Can not find requested image", True, errors.SourceImageNotFound, "source_image of hotel"),
        (400, "Image 6e59 is not active.", True, errors.SourceImageNotFound, "source_image of hotel"),
        (400, "Invalid key_name provided.", True, errors.LaunchRefused, "build again"),
        (400, "Flavor's disk is too small for requested image.", True, errors.DefinitionError, "disk_gib"),
        (404, "Flavor huge could not be found.", True, errors.DefinitionError, "instance_type"),
        (
            409,
            "Multiple possible networks found, use a Network ID",
            True,
            errors.DefinitionError,
            "network and floating",
        ),
        (400, "Security group x not found", True, errors.LaunchRefused, "build again"),
        (400, "The requested availability zone is not available", True, errors.DefinitionError, "availability_zone"),
        (409, "something else", True, errors.CloudError, "own words"),
        (400, "something else", True, errors.CloudError, "own words"),
        (400, "Can not find requested image", False, errors.CloudError, "own words"),
    ],
)
def test_what_a_refusal_means(status, words, launching, kind, cure):
    error = refused("hotel", "launch it", Refused(status, words), launching=launching)
    assert type(error) is kind
    assert words.rstrip(".") in str(error)
    assert str(error).startswith(f"hotel: launch it: {status}: ")
    assert cure in str(error)


def test_a_status_means_what_the_call_says():
    error = refused("hotel", "stop s1", Refused(404, "Instance s1 could not be found."), special={404: LOST})
    assert type(error) is errors.InstanceLost


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"itemNotFound": {"message": "Server x is not there.", "code": 404}}', "Server x is not there"),
        (b'{"NeutronError": {"type": "OverQuota", "message": "Quota exceeded", "detail": ""}}', "Quota exceeded"),
        (b'{"error": {"code": 401, "message": "Not you.", "title": "Unauthorized"}}', "Not you"),
        (b"<html><title>404</title><body><h1>Not</h1>No image found</body></html>", "404 Not No image found"),
        (b"plain words\nin lines", "plain words in lines"),
        (b"", "(no reason given)"),
        (b"[]", "[]"),
    ],
)
def test_the_words_of_an_answer(body, words):
    assert words_of(body) == words


def test_user_data_that_is_too_long_is_not_repeated():
    """It carries a private key, and Nova says it twice."""
    secret = base64.b64encode(b"PRIVATE KEY image" * 10).decode()
    message = f"Invalid input for field/attribute user_data. Value: {secret}. '{secret}' is too long"
    words = words_of(json.dumps({"badRequest": {"code": 400, "message": message}}).encode())
    assert words == "Invalid input for field/attribute user_data. Value: …. '…' is too long"
    assert "user data" in str(refused("hotel", "launch it", Refused(400, words), launching=True))


@pytest.mark.parametrize(
    ("cause", "kind", "cure"),
    [
        (keystone.Unauthorized("wrong"), errors.CredentialsRefused, "check the Airflow connection hotel"),
        (keystone.NotFound("Could not find Application Credential: a."), errors.CredentialsRefused, "connection hotel"),
        (keystone.NotFound("Could not recognize Fernet token"), errors.CredentialsRefused, "connection hotel"),
        (keystone.NotFound("Failed to validate token"), errors.CredentialsRefused, "connection hotel"),
        (keystone.NotFound("The resource could not be found."), errors.CloudError, "own words"),
        (keystone.MissingRequiredOptions([]), errors.CredentialsRefused, "connection hotel"),
        (keystone.ConnectFailure("refused"), errors.CloudBusy, "check network"),
        (keystone.ConnectTimeout("slow"), errors.CloudBusy, "check network"),
        (keystone.SSLError("self-signed"), errors.SetupError, "CA file"),
        (keystone.EndpointNotFound("no image"), errors.SetupError, "region of hotel"),
        (keystone.DiscoveryFailure("no version"), errors.SetupError, "identity_version"),
        (keystone.TooManyRequests("slow down"), errors.CloudBusy, "tried again"),
        (keystone.InternalServerError("oops"), errors.CloudBusy, "tried again"),
        (keystone.Forbidden("no role"), errors.CredentialsRefused, "permission"),
    ],
)
def test_what_an_exception_of_the_sdk_means(cause, kind, cure):
    error = failed("hotel", "log in", cause)
    assert type(error) is kind
    assert cure in str(error)
