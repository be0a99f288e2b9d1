"""What is sealed for one generator and cloud opens there, until it expires, and nowhere else."""

from datetime import UTC, datetime, timedelta

import pytest

from imagesmith import sealing
from imagesmith.core import SEALED_PREFIX
from imagesmith.errors import CredentialsRefused

SECRET = b"s" * 32
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CONTENT = {"token": "gAAAAA", "user_id": "u1"}


def sealed(**changes) -> str:
    words = {"generator": "dstat", "cloud": "openstack-hotel", "expires": NOW + timedelta(hours=1)}
    return sealing.seal(SECRET, CONTENT, **{**words, **changes})


def unsealed(text: str, *, secret: bytes = SECRET, **changes):
    words = {"generator": "dstat", "cloud": "openstack-hotel", "now": NOW}
    return sealing.unseal(secret, text, **{**words, **changes})


def test_it_opens_for_its_generator_and_cloud():
    assert unsealed(sealed()) == CONTENT


def test_it_shows_nothing_and_is_never_the_same():
    assert sealing.is_sealed(sealed())
    assert "gAAAAA" not in sealed()
    assert sealed() != sealed()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"generator": "other"}, "not sealed for other on openstack-hotel"),
        ({"cloud": "openstack-india"}, "not sealed for dstat on openstack-india"),
        ({"secret": b"t" * 32}, "not sealed for dstat"),
        ({"now": NOW + timedelta(hours=1)}, "expired at 2026-11-22T13:00:00"),
    ],
)
def test_it_opens_nowhere_else_and_not_later(changes, words):
    with pytest.raises(CredentialsRefused, match=f"{words}.*start the build again"):
        unsealed(sealed(), **changes)


@pytest.mark.parametrize("text", ["a password", "", SEALED_PREFIX, SEALED_PREFIX + "AAAA", SEALED_PREFIX + "é"])
def test_what_is_not_sealed_is_refused_without_being_told(text):
    with pytest.raises(CredentialsRefused) as told:
        unsealed(text)
    assert "a password" not in str(told.value)


def test_a_conf_keeps_all_but_what_is_sealed():
    assert sealing.without_sealed({"a": 1, "b": sealed(), "c": "sealed"}) == {"a": 1, "c": "sealed"}


def test_a_changed_byte_is_noticed():
    text = sealed()
    with pytest.raises(CredentialsRefused):
        unsealed(text[:-6] + ("A" if text[-6] != "A" else "B") + text[-5:])


def value_sealed(**changes) -> str:
    words = {"generator": "dstat", "parameter": "token", "expires": NOW + timedelta(hours=1)}
    return sealing.seal_value(SECRET, "s3cret-value", **{**words, **changes})


def value_unsealed(text: object, *, secret: bytes = SECRET, **changes) -> str:
    words = {"generator": "dstat", "parameter": "token", "now": NOW}
    return sealing.unseal_value(secret, text, **{**words, **changes})


def test_a_value_opens_for_its_generator_and_parameter():
    assert value_unsealed(value_sealed()) == "s3cret-value"
    assert sealing.is_sealed(value_sealed())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"generator": "other"}, "not sealed for token of other"),
        ({"parameter": "licence"}, "not sealed for licence of dstat"),
        ({"secret": b"t" * 32}, "not sealed for token of dstat"),
        ({"now": NOW + timedelta(hours=1)}, "the secret parameter token expired at 2026-11-22T13:00:00"),
    ],
)
def test_a_value_opens_nowhere_else_and_not_later(changes, words):
    with pytest.raises(CredentialsRefused, match=f"{words}.*start a new build and give"):
        value_unsealed(value_sealed(), **changes)


def test_a_value_is_no_credential_of_a_cloud_of_the_same_name():
    with pytest.raises(CredentialsRefused):
        unsealed(value_sealed(parameter="openstack-hotel"))
    with pytest.raises(CredentialsRefused):
        value_unsealed(sealed(cloud="token"))
    with pytest.raises(CredentialsRefused):
        value_unsealed(None)
