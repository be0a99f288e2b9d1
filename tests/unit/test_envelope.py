"""Envelopes: what was signed comes out of them, and nothing else does; other people's libraries agree."""

from __future__ import annotations

import base64
import json
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

from imagesmith.envelope import PAYLOAD_TYPE, key_id, payload_of, public_pem, read_public_key, sign
from imagesmith.errors import ProofRefused
from imagesmith.keys import signing_key

SECRET = bytes(range(32))
KEY = signing_key(SECRET)
OTHER = signing_key(bytes(32))
ENVELOPE = sign(b'{"a": 1}', KEY)


@given(st.binary(max_size=2000))
def test_what_goes_in_comes_out_and_the_same_again_is_the_same(payload: bytes) -> None:
    text = sign(payload, KEY)
    assert payload_of(text.encode(), KEY.public_key()) == payload
    assert sign(payload, KEY) == text


@given(st.binary(max_size=500))
def test_what_is_signed_is_the_pre_authentication_encoding(payload: bytes) -> None:
    """DSSE's: the lengths are in it, so that type and payload cannot run into each other."""
    signature = base64.b64decode(json.loads(sign(payload, KEY))["signatures"][0]["sig"])
    encoded = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} ".encode() + payload
    KEY.public_key().verify(signature, encoded)


@given(st.integers(0, len(ENVELOPE.rstrip("\n")) - 1), st.integers(0, 255))
def test_a_byte_that_was_changed_is_noticed(place: int, byte: int) -> None:
    text = bytearray(ENVELOPE.rstrip("\n").encode())
    if text[place] == byte:
        return
    text[place] = byte
    with pytest.raises(ProofRefused):
        payload_of(bytes(text), KEY.public_key())


@given(st.binary(max_size=200))
def test_what_is_no_envelope_is_refused(text: bytes) -> None:
    with pytest.raises(ProofRefused, match="not an envelope"):
        payload_of(text, KEY.public_key())


def _with(**changes: Any) -> bytes:
    return json.dumps({**json.loads(ENVELOPE), **changes}).encode()


SIGNATURE = json.loads(ENVELOPE)["signatures"][0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"[]", "not an envelope: an object of payload, payloadType, signatures is wanted"),
        (b"{}", "not an envelope"),
        (b"[" * 100_000, "not an envelope: not JSON"),
        (_with(more=1), "not an envelope"),
        (_with(payloadType=5), "payloadType is no text"),
        (_with(payloadType="text/plain"), f"of type 'text/plain' and not {PAYLOAD_TYPE}"),
        (_with(payload="e30"), "payload is not base64"),
        (_with(payload="e3=="), "payload is not base64 as it is written"),
        (_with(payload=None), "payload is not base64"),
        (_with(payload="e30="), "it was changed after it was signed"),
        (_with(signatures=[]), "signed by nobody and not by the key"),
        (_with(signatures={}), "signatures is no list"),
        (_with(signatures=["x"]), "each signature has a keyid and a sig"),
        (_with(signatures=[{"keyid": 1, "sig": "e30="}]), "each signature has a keyid and a sig"),
        (_with(signatures=[SIGNATURE, SIGNATURE]), "one key signed it twice"),
        (_with(signatures=[{**SIGNATURE, "keyid": "0" * 64}]), f"signed by {'0' * 64} and not by the key"),
        (_with(signatures=[{**SIGNATURE, "sig": "e30="}]), "it was changed after it was signed"),
    ],
)
def test_it_is_said_what_does_not_hold(text: bytes, says: str) -> None:
    with pytest.raises(ProofRefused) as refused:
        payload_of(text, KEY.public_key())
    assert says in str(refused.value)


def test_another_key_is_refused_by_name() -> None:
    with pytest.raises(ProofRefused) as refused:
        payload_of(ENVELOPE.encode(), OTHER.public_key())
    for key in (KEY, OTHER):
        assert key_id(key.public_key()) in str(refused.value)


def test_the_secret_makes_the_key_and_no_ssh_key_is_it() -> None:
    assert key_id(signing_key(SECRET).public_key()) == key_id(KEY.public_key()) != key_id(OTHER.public_key())


def test_the_public_key_is_what_openssl_reads_and_its_id_is_what_it_says(tmp_path: Path) -> None:
    pem = tmp_path / "key.pem"
    pem.write_text(public_pem(KEY.public_key()))
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", pem, "-outform", "DER"], capture_output=True, check=True
    ).stdout
    assert sha256(der).hexdigest() == key_id(KEY.public_key())
    assert key_id(read_public_key(pem.read_bytes(), shown_as="key.pem")) == key_id(KEY.public_key())


def test_a_key_of_another_kind_is_refused() -> None:
    pem = generate_private_key(SECP256R1()).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(ProofRefused, match=r"other.pem: is no Ed25519 key; give the file that `imagesmith key -o"):
        read_public_key(pem, shown_as="other.pem")


def test_securesystemslib_takes_it() -> None:
    raw = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
    key = SSlibKey(key_id(KEY.public_key()), "ed25519", "ed25519", {"public": raw})
    assert list(Envelope.from_dict(json.loads(ENVELOPE)).verify([key], 1)) == [key.keyid]


def test_a_signature_of_another_key_under_our_name_is_refused() -> None:
    stolen = json.loads(sign(b"{}", Ed25519PrivateKey.from_private_bytes(bytes(32))))
    stolen["signatures"][0]["keyid"] = key_id(KEY.public_key())
    with pytest.raises(ProofRefused, match="changed after it was signed"):
        payload_of(json.dumps(stolen).encode(), KEY.public_key())
