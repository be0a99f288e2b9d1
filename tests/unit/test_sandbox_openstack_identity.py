"""Keystone of the sandbox's sites: who gets a token, how long it holds, and what application credentials may."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from imagesmith.sandbox import config, in_process
from imagesmith.sandbox.openstack import sites

from .openstack_client import PROJECT, Stack, password


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with in_process.sandbox(tmp_path_factory.mktemp("sandbox")) as endpoint:
        yield endpoint


@pytest.fixture
def stack(endpoint: str) -> Stack:
    return Stack(endpoint, "openstack-hotel").start()


@pytest.fixture
def havana(endpoint: str) -> Stack:
    return Stack(endpoint, "openstack-india").start()


def credential(stack: Stack, **said: Any) -> Any:
    wanted = {"application_credential": {"name": "builds", **said}}
    return stack.do("POST", CREDENTIALS.format(stack.facts.user_id), wanted)["application_credential"]


def by_credential(made: Any) -> Any:
    return {
        "methods": ["application_credential"],
        "application_credential": {"id": made["id"], "secret": made["secret"]},
    }


CREDENTIALS = "/identity/v3/users/{}/application_credentials"
LATER = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S")


def test_a_token_tells_where_everything_is(stack: Stack) -> None:
    token = stack.authenticate(password(), PROJECT).json()["token"]
    assert token["project"]["name"] == sites.PROJECT
    urls = {service["type"]: {endpoint["url"] for endpoint in service["endpoints"]} for service in token["catalog"]}
    assert urls["compute"] == {f"{stack.endpoint}/openstack-hotel/compute/v2.1"}
    assert set(urls) == {"identity", "compute", "image", "network", "volumev3"}
    life_s = (datetime.fromisoformat(token["expires_at"]) - datetime.fromisoformat(token["issued_at"])).total_seconds()
    assert life_s == 3600


@pytest.mark.parametrize("identity", [password("wrong"), password(name="nobody")])
def test_wrong_passwords(stack: Stack, identity: Any) -> None:
    answer = stack.authenticate(identity, PROJECT)
    assert (answer.status_code, answer.json()["error"]["title"]) == (401, "Unauthorized")


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        ({"project": {"name": "other", "domain": {"id": "default"}}}, 401),
        ({"project": {"name": sites.PROJECT, "domain": {"id": "other"}}}, 401),
        ({"domain": {"id": "default"}}, 401),
        ({"unscoped": {}}, 201),
        (None, 201),
    ],
)
def test_scopes(stack: Stack, scope: Any, status: int) -> None:
    answer = stack.authenticate(password(), scope)
    assert answer.status_code == status
    if status == 201:
        assert ("catalog" in answer.json()["token"]) == (scope is None)


def test_a_token_ends(stack: Stack) -> None:
    stack.set(token_s=2)
    stack.token = stack.log_in()
    assert stack.ask("GET", "/compute/v2.1/servers").status_code == 200
    time.sleep(2)
    answer = stack.ask("GET", "/compute/v2.1/servers")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Keystone uri=")


def test_a_token_is_revoked(stack: Stack) -> None:
    other = stack.log_in()
    assert stack.ask("HEAD", "/identity/v3/auth/tokens", X_Subject_Token=other).status_code == 200
    assert stack.ask("DELETE", "/identity/v3/auth/tokens", X_Subject_Token=other).status_code == 204
    assert stack.ask("GET", "/identity/v3/auth/tokens", X_Subject_Token=other).status_code == 404
    assert stack.authenticate({"methods": ["token"], "token": {"id": other}}, PROJECT).status_code == 404
    assert stack.ask("GET", "/compute/v2.1/servers", X_Auth_Token=other).status_code == 401


def test_a_token_of_a_token_lives_no_longer(stack: Stack) -> None:
    first = stack.get("/identity/v3/auth/tokens", X_Subject_Token=stack.token)["token"]
    again = stack.authenticate({"methods": ["token"], "token": {"id": stack.token}}, PROJECT).json()["token"]
    assert again["expires_at"] == first["expires_at"]
    assert again["methods"] == ["password", "token"]


def test_an_application_credential_works_until_it_is_deleted(stack: Stack) -> None:
    made = credential(stack, expires_at=LATER)
    path = CREDENTIALS.format(stack.facts.user_id) + f"/{made['id']}"
    assert "secret" not in stack.get(path)["application_credential"]
    answer = stack.authenticate(by_credential(made))
    assert answer.json()["token"]["application_credential"]["restricted"]
    token = answer.headers["x-subject-token"]
    assert stack.ask("GET", "/compute/v2.1/servers", X_Auth_Token=token).status_code == 200
    assert stack.ask("DELETE", path, X_Auth_Token=token).status_code == 403
    another = {"application_credential": {"name": "another"}}
    assert stack.ask("POST", path.rsplit("/", 1)[0], another, X_Auth_Token=token).status_code == 403
    stack.do("DELETE", path)
    assert stack.ask("GET", "/compute/v2.1/servers", X_Auth_Token=token).status_code == 401
    # Keystone says of one that is gone what it says of a wrong path, and of a wrong secret what it says of a password.
    assert stack.authenticate(by_credential(made)).status_code == 404


def test_a_wrong_secret_is_refused(stack: Stack) -> None:
    wrong = {**credential(stack), "secret": "wrong"}
    assert stack.authenticate(by_credential(wrong)).status_code == 401


def test_an_unrestricted_credential_makes_another(stack: Stack) -> None:
    made = credential(stack, unrestricted=True)
    token = stack.authenticate(by_credential(made)).headers["x-subject-token"]
    another = {"application_credential": {"name": "another"}}
    path = CREDENTIALS.format(stack.facts.user_id)
    assert stack.ask("POST", path, another, X_Auth_Token=token).status_code == 201


def test_a_credential_ends_with_its_tokens(stack: Stack) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat().removesuffix("+00:00")
    made = credential(stack, expires_at=soon)
    answer = stack.authenticate(by_credential(made))
    assert answer.json()["token"]["expires_at"] == f"{made['expires_at']}Z"
    time.sleep(2)
    token = answer.headers["x-subject-token"]
    assert stack.ask("GET", "/compute/v2.1/servers", X_Auth_Token=token).status_code == 401
    assert stack.authenticate(by_credential(made)).status_code == 401


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"expires_at": "2020-01-01T00:00:00"}, 400),
        ({"expires_at": "tomorrow"}, 400),
        ({"name": ""}, 400),
        ({"roles": [{"name": "admin"}]}, 400),
        ({"roles": [{"name": "member"}]}, 201),
    ],
)
def test_credentials_that_cannot_be(stack: Stack, said: Any, status: int) -> None:
    wanted = {"application_credential": {"name": "builds", **said}}
    assert stack.ask("POST", CREDENTIALS.format(stack.facts.user_id), wanted).status_code == status


def test_names_of_credentials_are_unique(stack: Stack) -> None:
    credential(stack)
    answer = stack.ask("POST", CREDENTIALS.format(stack.facts.user_id), {"application_credential": {"name": "builds"}})
    assert answer.status_code == 409


def test_access_rules_hold(stack: Stack) -> None:
    rules = [{"service": "compute", "method": "GET", "path": "/v2.1/servers/*"}]
    token = stack.authenticate(by_credential(credential(stack, access_rules=rules))).headers["x-subject-token"]
    assert stack.ask("GET", "/compute/v2.1/servers/x", X_Auth_Token=token).status_code == 404
    assert stack.ask("GET", "/compute/v2.1/flavors", X_Auth_Token=token).status_code == 401


def test_a_member_sees_itself_only(stack: Stack) -> None:
    assert stack.get(f"/identity/v3/users/{stack.facts.user_id}")["user"]["name"] == sites.USER
    assert stack.get("/identity/v3/auth/projects")["projects"][0]["id"] == stack.facts.project_id
    assert stack.ask("GET", "/identity/v3/users").status_code == 403
    assert stack.ask("GET", "/identity/v3/projects").status_code == 403


def test_one_site_does_not_know_the_tokens_of_another(stack: Stack, endpoint: str) -> None:
    other = Stack(endpoint, "openstack-sierra")
    assert other.ask("GET", "/compute/v2.1/servers", X_Auth_Token=stack.token).status_code == 401


def test_havana_has_tenants(havana: Stack) -> None:
    assert havana.get("/identity/v2.0/tenants")["tenants"][0]["name"] == sites.PROJECT
    given = {"username": sites.USER, "password": sites.PASSWORD}
    answer = havana.ask("POST", "/identity/v2.0/tokens", {"auth": {"passwordCredentials": given}}).json()["access"]
    assert (answer["serviceCatalog"], answer["user"]["name"]) == ([], sites.USER)
    scoped = {"auth": {"token": {"id": answer["token"]["id"]}, "tenantId": havana.facts.project_id}}
    access = havana.ask("POST", "/identity/v2.0/tokens", scoped).json()["access"]
    assert [each["type"] for each in access["serviceCatalog"]] == ["identity", "compute", "image"]
    wrong = {"auth": {"passwordCredentials": given, "tenantName": "other"}}
    assert havana.ask("POST", "/identity/v2.0/tokens", wrong).status_code == 401
    assert havana.ask("GET", "/identity/v3").status_code == 404
    assert havana.ask("DELETE", f"/identity/v2.0/tokens/{havana.token}").status_code == 204
    assert havana.ask("GET", f"{havana.nova}/servers").status_code == 401


def test_secrets_are_not_in_the_state_file(tmp_path: Any) -> None:
    with in_process.sandbox(tmp_path) as endpoint:
        stack = Stack(endpoint, "openstack-hotel").start()
        secret = credential(stack)["secret"]
    for file in config.Places(tmp_path, stack.name).home.glob("state.db*"):
        assert stack.token.encode() not in file.read_bytes()
        assert secret.encode() not in file.read_bytes()


def test_a_restart_keeps_tokens(tmp_path: Any) -> None:
    with in_process.sandbox(tmp_path) as endpoint:
        token = Stack(endpoint, "openstack-hotel").start().token
    with in_process.sandbox(tmp_path) as endpoint:
        again = Stack(endpoint, "openstack-hotel")
        assert again.ask("GET", "/compute/v2.1/servers", X_Auth_Token=token).status_code == 200
