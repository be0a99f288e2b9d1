"""Ways to log in to OpenStack, by what the connection and the settings hold."""

from __future__ import annotations

import pytest

from imagesmith.clouds.openstack_login import Credentials, connect, login_of
from imagesmith.clouds.openstack_words import OpenStackSettings
from imagesmith.errors import CredentialsRefused, SetupError

URL = "https://keystone.example:5000/v3"
V3 = OpenStackSettings(auth_url=URL)
APPLICATION = {"application_credential_id": "a", "application_credential_secret": "s"}
V2 = OpenStackSettings(auth_url="https://keystone.example:5000/v2.0", identity_version=2)


def credentials(**extra) -> Credentials:
    return Credentials.from_fields(login="ann", password="pw", extra=extra)


@pytest.mark.parametrize(
    ("settings", "extra", "way", "expected"),
    [
        (V3, {"project": "p"}, "v3password", {"project_name": "p", "project_domain_name": "Default"}),
        (V3, {"project": "p", "domain": "d"}, "v3password", {"project_domain_name": "d", "user_domain_name": "d"}),
        (V3, {"project": "p", "domain": "d", "project_domain": "e"}, "v3password", {"project_domain_name": "e"}),
        (V3, {"project_id": "1"}, "v3password", {"project_id": "1"}),
        (V3, APPLICATION, "v3applicationcredential", APPLICATION),
        (V2, {"project": "p"}, "v2password", {"tenant_name": "p", "username": "ann", "password": "pw"}),
        (V2, {"project_id": "1"}, "v2password", {"tenant_id": "1"}),
        (OpenStackSettings(), {"auth_url": URL, "project": "p"}, "v3password", {"auth_url": URL}),
    ],
)
def test_ways_to_log_in(settings, extra, way, expected):
    kind, options = login_of("hotel", settings, credentials(**extra))
    assert kind == way
    assert expected.items() <= options.items()


@pytest.mark.parametrize(("settings", "way"), [(V3, "v3token"), (V2, "v2token")])
def test_a_token_goes_before_a_password(settings, way):
    kind, options = login_of("hotel", settings, Credentials(token="t", username="ann", password="pw", project="p"))
    assert (kind, options["token"]) == (way, "t")
    assert "password" not in options


@pytest.mark.parametrize(
    ("settings", "known", "error", "cure"),
    [
        (OpenStackSettings(), credentials(), SetupError, "write auth_url of hotel"),
        (V3, Credentials(username="ann"), CredentialsRefused, "check the Airflow connection hotel"),
        (V2, credentials(application_credential_id="a"), SetupError, "knows no application credentials"),
    ],
)
def test_what_is_missing_is_told(settings, known, error, cure):
    with pytest.raises(error, match=cure):
        login_of("hotel", settings, known)


def test_no_secret_is_shown():
    shown = repr(credentials(application_credential_secret="s3cret", token="t0ken"))
    assert "pw" not in shown
    assert "s3cret" not in shown


@pytest.mark.parametrize(
    ("text", "expected"), [("no", False), ("False", False), ("", True), (None, True), ("yes", True)]
)
def test_certificates_are_checked_unless_told_not_to(text, expected):
    assert credentials(verify=text).verify is expected


def test_nothing_of_the_surroundings_counts(monkeypatch, tmp_path):
    monkeypatch.setenv("OS_AUTH_URL", "https://elsewhere.example")
    monkeypatch.setenv("OS_CLOUD", "elsewhere")
    made = connect("hotel", V3, credentials(project="p"))
    assert made.session.auth.auth_url == URL
