"""The image store of the sandbox's Nimbus sites, asked past the cloud client: signatures, rights, objects."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path

import pytest
import requests

from imagesmith.sandbox import in_process

from .nimbus_client import BASE, User

ACL = "x_amz_acl"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with in_process.sandbox(tmp_path_factory.mktemp("sandbox")) as endpoint:
        yield endpoint


@pytest.fixture
def user(endpoint: str, tmp_path: Path) -> User:
    return User(endpoint, "nimbus-hotel-xen", tmp_path).reset()


@pytest.fixture
def other(user: User, tmp_path: Path) -> User:
    return User(user.endpoint, user.site, tmp_path, name="other")


@pytest.fixture
def mine(user: User) -> str:
    """The key of an image that the user has saved."""
    user.save(user.running(), "mine")
    return user.key("mine")


def test_the_head_of_an_object(user: User, mine: str) -> None:
    answer = user.head(mine)
    assert answer.status_code == 200
    assert answer.headers["Content-Length"] == "1048576"
    assert re.fullmatch(r'"[0-9a-f]{32}"', answer.headers["ETag"])
    assert parsedate_to_datetime(answer.headers["Last-Modified"]).year >= 2024
    assert user.head(user.key("nothing")).status_code == 404


def test_the_listing_has_the_own_and_the_common_objects(user: User, other: User, mine: str) -> None:
    assert user.keys("") == sorted([mine, BASE])
    assert user.keys("VMS/common/") == [BASE]
    assert other.keys("") == [BASE]
    assert other.keys(user.key("")) == []
    text = user.ask("GET", f"/Repo/?prefix={mine}").text
    assert f"{user.head(mine).headers['ETag']}</ETag><Size>1048576</Size>" in text


def test_others_can_neither_look_at_an_object_nor_change_it(user: User, other: User, mine: str) -> None:
    assert other.head(mine).status_code == 403
    for answer in (
        other.ask("DELETE", f"/Repo/{mine}"),
        other.ask("PUT", f"/Repo/{mine}", acl=True, x_amz_acl="public-read"),
        other.ask("GET", f"/Repo/{mine}", acl=True),
    ):
        assert (answer.status_code, "<Code>AccessDenied</Code>" in answer.text) == (403, True)
    assert user.head(mine).status_code == 200


def test_a_public_object_is_everybodys_to_read_and_its_owners_to_delete(user: User, other: User, mine: str) -> None:
    assert "AllUsers" not in user.ask("GET", f"/Repo/{mine}", acl=True).text
    assert user.ask("PUT", f"/Repo/{mine}", acl=True, **{ACL: "public-read"}).status_code == 200
    assert other.head(mine).status_code == 200
    assert "<Permission>READ</Permission>" in user.ask("GET", f"/Repo/{mine}", acl=True).text
    assert other.ask("DELETE", f"/Repo/{mine}").status_code == 403
    assert user.ask("PUT", f"/Repo/{mine}", acl=True, **{ACL: "private"}).status_code == 200
    assert other.head(mine).status_code == 403
    assert user.ask("PUT", f"/Repo/{mine}", acl=True, **{ACL: "bucket-owner-read"}).status_code == 501


def test_an_object_saved_anew_is_private_again(user: User, other: User, mine: str) -> None:
    user.ask("PUT", f"/Repo/{mine}", acl=True, **{ACL: "public-read"})
    user.save(user.running(), "mine")
    assert other.head(mine).status_code == 403


def test_a_deleted_image_is_gone(user: User, mine: str) -> None:
    assert user.ask("DELETE", f"/Repo/{mine}").status_code == 204
    assert user.head(mine).status_code == 404
    assert user.ask("DELETE", f"/Repo/{mine}").status_code == 404
    assert "was not found" in user.run("mine").err


def test_the_images_of_before_are_the_operators(user: User) -> None:
    assert user.head(BASE).status_code == 200
    assert user.ask("DELETE", f"/Repo/{BASE}").status_code == 403
    assert user.ask("PUT", f"/Repo/{BASE}", acl=True, **{ACL: "private"}).status_code == 403


def test_the_signature_is_over_the_unencoded_path(user: User) -> None:
    user.save(user.running(), "a+b=c")
    assert user.head(user.key("a+b=c")).status_code == 200


def test_what_is_not_signed_by_a_user_is_denied(user: User, mine: str) -> None:
    url = f"http://{user.repository}/Repo/{mine}"
    assert requests.head(url, timeout=10).status_code == 403
    good = user.conf.copy()
    user.conf["vws.repository.s3key"] = "wrong"
    assert user.head(mine).status_code == 403
    user.conf = good | {"vws.repository.s3id": "nobody"}
    assert user.head(mine).status_code == 403
    user.conf = good
    assert user.head(mine).status_code == 200


def test_a_signature_is_for_one_request(user: User, other: User, mine: str) -> None:
    signed = user.head(mine).request.headers
    url = f"http://{user.repository}/Repo/{mine}"
    headers = {name: str(signed[name]) for name in ("Authorization", "Date")}
    assert requests.head(url, headers=headers, timeout=10).status_code == 200
    assert requests.delete(url, headers=headers, timeout=10).status_code == 403
    later = {**headers, "Date": formatdate(0, usegmt=True)}
    assert requests.head(url, headers=later, timeout=10).status_code == 403


def test_version_4_signatures_answer_500(user: User, mine: str) -> None:
    headers = {"Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request"}
    answer = requests.get(f"http://{user.repository}/Repo/{mine}", headers=headers, timeout=10)
    assert (answer.status_code, "<Code>InternalError</Code>" in answer.text) == (500, True)


def test_content_comes_and_goes_by_saving_only(user: User, mine: str) -> None:
    assert user.ask("GET", f"/Repo/{mine}").status_code == 501
    assert user.ask("PUT", f"/Repo/{mine}").status_code == 501
    assert user.ask("GET", "/Elsewhere").status_code == 404


def test_the_sites_know_nothing_of_each_other(user: User, mine: str, tmp_path: Path) -> None:
    elsewhere = User(user.endpoint, "nimbus-hotel-kvm", tmp_path).reset()
    assert elsewhere.keys("") == [BASE]
    elsewhere.conf |= {key: user.conf[key] for key in ("vws.repository.s3id", "vws.repository.s3key")}
    assert elsewhere.head(BASE).status_code == 403
