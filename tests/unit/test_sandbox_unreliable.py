"""Doors that fail now and then: what a client gets of each trouble, and what is then on the cloud."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from imagesmith.sandbox.config import ACCESS_KEY_ID, BASE_OWNER_ID, REGION, SECRET_ACCESS_KEY
from imagesmith.sandbox.in_process import sandbox
from imagesmith.sandbox.openstack import sites
from imagesmith.sandbox.unreliable.trouble import Kind, Trouble, Wanted

SIERRA = list(sites.SITES)[2]
ONCE = Config(connect_timeout=2, read_timeout=2, retries={"total_max_attempts": 1})


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox(tmp_path_factory.mktemp("sandbox")) as answers_at:
        yield answers_at


@pytest.fixture
def let(endpoint: str) -> Iterator[Callable[..., Any]]:
    """Lets calls fail; afterwards the sandbox is empty and reliable."""

    def ask(path: str, document: dict[str, Any]) -> Any:
        request = urllib.request.Request(f"{endpoint}/_sandbox/{path}", json.dumps(document).encode())
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.load(reply)

    yield lambda **wanted: ask("unreliable", {"rate": 1, **wanted})
    ask("reset", {})


@pytest.fixture(scope="module")
def ec2(endpoint: str) -> Any:
    session = boto3.session.Session(ACCESS_KEY_ID, SECRET_ACCESS_KEY, region_name=REGION)
    return session.client("ec2", endpoint_url=endpoint, config=ONCE)


def launch(ec2: Any) -> str:
    image = ec2.describe_images(Owners=[BASE_OWNER_ID])["Images"][0]["ImageId"]
    made = ec2.run_instances(ImageId=image, InstanceType="t3.nano", MinCount=1, MaxCount=1)
    return str(made["Instances"][0]["InstanceId"])


def instances(ec2: Any, **wanted: Any) -> list[str]:
    return [i["InstanceId"] for r in ec2.describe_instances(**wanted)["Reservations"] for i in r["Instances"]]


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        (Kind.THROTTLED, "RequestLimitExceeded", 503),
        (Kind.ERROR, "InternalError", 500),
        (Kind.UNAVAILABLE, "Unavailable", 503),
    ],
)
def test_ec2_says_no_and_does_nothing(ec2, let, kind, code, status):
    let(kinds=[kind])
    with pytest.raises(ClientError) as failure:
        ec2.create_security_group(GroupName="g", Description="d")
    assert failure.value.response["Error"]["Code"] == code
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    let(rate=0)
    assert [group["GroupName"] for group in ec2.describe_security_groups()["SecurityGroups"]] == ["default"]


@pytest.mark.parametrize(("kind", "made"), [(Kind.RESET, False), (Kind.LOST_ANSWER, True), (Kind.TIMED_OUT, True)])
def test_ec2_gives_no_answer(ec2, let, kind, made):
    let(kinds=[kind], hold_s=0.2)
    with pytest.raises(BotoCoreError):
        ec2.create_security_group(GroupName="g", Description="d")
    let(rate=0)
    names = [group["GroupName"] for group in ec2.describe_security_groups()["SecurityGroups"]]
    assert ("g" in names) is made


def test_a_slow_answer_comes(ec2, let):
    let(kinds=["slow"], slow_s=0.3)
    started = time.monotonic()
    assert ec2.describe_regions()["Regions"]
    assert time.monotonic() - started > 0.09


def test_what_ec2_has_just_made_is_unknown_for_a_while(ec2, let):
    let(kinds=["stale"], stale_s=2)
    instance_id = launch(ec2)
    by_filter = [{"Name": "instance-id", "Values": [instance_id]}]
    assert instances(ec2, Filters=by_filter) == []
    for call in (ec2.describe_instances, ec2.terminate_instances, ec2.stop_instances):
        with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
            call(InstanceIds=[instance_id])
    time.sleep(2)
    assert instances(ec2, Filters=by_filter) == [instance_id]
    assert ec2.terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"]


def test_ec2_lists_everything_twice(ec2, let):
    instance_id = launch(ec2)
    ec2.create_tags(Resources=[instance_id], Tags=[{"Key": "a", "Value": "b"}])
    let(kinds=["doubled"])
    assert instances(ec2) == [instance_id] * 2
    assert [tag["Value"] for tag in ec2.describe_tags()["Tags"]] == ["b", "b"]


def test_a_part_of_all_calls_fails_and_the_seed_says_which():
    def happened(seed: int) -> list[Kind | None]:
        trouble = Trouble(Wanted(rate=0.1, seed=seed))
        return [trouble.next(frozenset(Kind)) for _ in range(2000)]

    assert happened(7) == happened(7) != happened(8)
    failed = [kind for kind in happened(7) if kind]
    assert 160 < len(failed) < 240
    assert set(failed) == set(Kind)


def test_what_happened_is_counted(ec2, let):
    let(kinds=["slow"], slow_s=0.01)
    ec2.describe_regions()
    told = let(account=SIERRA, rate=0)
    assert (told["ec2"]["calls"], told["ec2"]["happened"]) == (1, {"slow": 1})
    assert told[SIERRA]["rate"] == 0


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"rate": 2}, "from 0 to 1"),
        ({"kinds": ["sleepy"]}, "kinds are throttled"),
        ({"often": 1}, "there is no often"),
        ({"rate": "x"}, "could not convert"),
        ({"account": "mars"}, "no account mars"),
    ],
)
def test_a_wish_that_makes_no_sense(let, wanted, words):
    with pytest.raises(urllib.error.HTTPError) as refusal:
        let(**wanted)
    assert refusal.value.code == 400
    assert words in json.load(refusal.value)["error"]


class Keystone:
    """A session at a site, by plain HTTP."""

    def __init__(self, endpoint: str) -> None:
        facts = sites.SITES[SIERRA]
        domain = {"id": "default"}
        user = {"name": sites.USER, "password": sites.PASSWORD, "domain": domain}
        scope = {"project": {"name": sites.PROJECT, "domain": domain}}
        auth = {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}
        reply = requests.post(f"{facts.auth_url(endpoint)}/auth/tokens", json={"auth": auth}, timeout=5)
        self.headers = {"X-Auth-Token": reply.headers["X-Subject-Token"]}
        self.base = f"{endpoint}/{SIERRA}"

    def ask(self, method: str, path: str, body: Any = None) -> requests.Response:
        return requests.request(method, self.base + path, json=body, headers=self.headers, timeout=2)


@pytest.fixture
def keystone(endpoint: str) -> Keystone:
    return Keystone(endpoint)


GROUP = {"security_group": {"name": "g", "description": "d"}}


def test_openstack_asks_for_patience_in_three_voices(keystone, let):
    answers = {}
    for kind in (Kind.THROTTLED, Kind.ERROR, Kind.UNAVAILABLE):
        let(kinds=[kind], account=SIERRA)
        answers[kind] = keystone.ask("GET", "/compute/v2.1/servers")
    assert answers[Kind.THROTTLED].status_code == 429
    assert answers[Kind.THROTTLED].headers["Retry-After"] == "1"
    assert answers[Kind.ERROR].json()["computeFault"]["code"] == 500
    assert answers[Kind.UNAVAILABLE].status_code == 503
    assert answers[Kind.UNAVAILABLE].text.startswith("<html>")


@pytest.mark.parametrize(("kind", "made"), [(Kind.RESET, False), (Kind.LOST_ANSWER, True)])
def test_openstack_gives_no_answer(keystone, let, kind, made):
    let(kinds=[kind], account=SIERRA)
    with pytest.raises(requests.ConnectionError):
        keystone.ask("POST", "/network/v2.0/security-groups", GROUP)
    let(rate=0)
    found = keystone.ask("GET", "/network/v2.0/security-groups").json()["security_groups"]
    assert ("g" in [group["name"] for group in found]) is made


def test_what_openstack_has_just_made_is_unknown_for_a_while(keystone, let):
    let(kinds=["stale"], stale_s=2, account=SIERRA)
    made = keystone.ask("POST", "/network/v2.0/security-groups", GROUP).json()["security_group"]
    assert keystone.ask("GET", f"/network/v2.0/security-groups/{made['id']}").status_code == 404
    listed = keystone.ask("GET", "/network/v2.0/security-groups").json()["security_groups"]
    assert made["id"] not in [group["id"] for group in listed]
    time.sleep(2)
    assert keystone.ask("GET", f"/network/v2.0/security-groups/{made['id']}").status_code == 200


def test_openstack_lists_everything_twice(keystone, let):
    let(kinds=["doubled"], account=SIERRA)
    listed = keystone.ask("GET", "/compute/v2.1/flavors").json()["flavors"]
    assert len(listed) == 2 * len({flavor["id"] for flavor in listed}) > 0


def test_the_command_line_makes_the_sandbox_unreliable(endpoint, let, monkeypatch, capsys, tmp_path: Path):
    from imagesmith.cli import main

    monkeypatch.setenv("IMAGESMITH_SANDBOX_PORT", endpoint.rpartition(":")[2])
    assert main(["sandbox", "unreliable", "0.1", "--account", "ec2", "--kind", "slow"]) == 0
    told = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert told["ec2"] == "10% of all calls fail"
    assert told[SIERRA] == "reliable"
    assert main(["sandbox", "unreliable", "3"]) == 1
    assert "rate is a part of all calls" in capsys.readouterr().err
    monkeypatch.setenv("IMAGESMITH_SANDBOX_PORT", "1")
    assert main(["sandbox", "unreliable", "0.1"]) == 1
    assert "is down; start it with: imagesmith sandbox up" in capsys.readouterr().err
