"""Signatures: those of AWS's own library pass, anything changed afterwards does not."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from imagesmith.sandbox import sigv4
from imagesmith.sandbox.sigv4 import SignatureError

BODY = b"Action=DescribeRegions&Version=2016-11-15"
HOST = "127.0.0.1:4599"


def signed(*, key: str = "KEY", secret: str = "secret", query: str = "") -> dict[str, str]:
    url = f"http://{HOST}/" + (f"?{query}" if query else "")
    request = AWSRequest("POST", url, data=BODY, headers={"Host": HOST})
    SigV4Auth(Credentials(key, secret), "ec2", "us-east-1").add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


def check(headers: dict[str, str], *, body: bytes = BODY, query: str = "") -> str:
    return sigv4.check("POST", "/", query=query, headers=headers, body=body, secrets={"KEY": "secret"})


def test_a_right_signature_names_its_key() -> None:
    assert check(signed()) == "KEY"


def test_a_query_is_part_of_it() -> None:
    assert check(signed(query="b=2&a=x%20y"), query="b=2&a=x%20y") == "KEY"


# Signed when the test runs, not when it is collected: a signature is good for a quarter of an hour.
REFUSED: list[tuple[Callable[[], dict[str, str]], bytes, str]] = [
    (lambda: signed(key="OTHER"), BODY, "AuthFailure"),
    (lambda: signed(secret="wrong"), BODY, "SignatureDoesNotMatch"),
    (signed, BODY + b"&DryRun=true", "SignatureDoesNotMatch"),
    (dict, BODY, "MissingAuthenticationToken"),
    (lambda: {**signed(), "authorization": "Basic abc"}, BODY, "MissingAuthenticationToken"),
    (lambda: {**signed(), "x-amz-date": "yesterday"}, BODY, "AuthFailure"),
]


@pytest.mark.parametrize(("headers", "body", "code"), REFUSED)
def test_what_is_refused(headers: Callable[[], dict[str, str]], body: bytes, code: str) -> None:
    with pytest.raises(SignatureError) as raised:
        check(headers(), body=body)
    assert raised.value.code == code


def test_an_old_request_has_expired() -> None:
    old = datetime.now(UTC) - timedelta(minutes=20)
    with pytest.raises(SignatureError) as raised:
        check({**signed(), "x-amz-date": old.strftime("%Y%m%dT%H%M%SZ")})
    assert raised.value.code == "RequestExpired"
