"""Key pairs."""

import base64
import binascii
import hashlib
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from imagesmith.sandbox.cloud import Cloud
from imagesmith.sandbox.ec2_actions.port import Action, Answer, Parameters
from imagesmith.sandbox.ec2_query import filtered, listed, required, tag_set, tags_for
from imagesmith.sandbox.ec2_wire import EC2Error
from imagesmith.sandbox.state import KeyPair, new_id

_FIELDS = {
    "key-name": lambda pair: [pair.name],
    "key-pair-id": lambda pair: [pair.id],
    "fingerprint": lambda pair: [pair.fingerprint],
}


def describe_key_pairs(cloud: Cloud, parameters: Parameters) -> Answer:
    """The public halves; asked for by name, an unknown name is an error."""
    names, ids = listed(parameters.get("KeyName")), listed(parameters.get("KeyPairId"))
    found = list(cloud.state.key_pairs.values())
    if names:
        found = [named(cloud, name) for name in names]
    elif ids:
        found = [pair for pair in found if pair.id in ids]
    found = filtered(found, parameters.get("Filter"), _FIELDS)
    with_key = parameters.get("IncludePublicKey") == "true"
    return {"keySet": [{**_shown(pair), "publicKey": pair.public_key if with_key else None} for pair in found]}


def create_key_pair(cloud: Cloud, parameters: Parameters) -> Answer:
    """A new pair, its private half in the answer and nowhere else."""
    name, key_type = _free_name(cloud, parameters), parameters.get("KeyType", "rsa")
    private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    if key_type == "rsa":
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        form = serialization.PrivateFormat.TraditionalOpenSSL
    elif key_type == "ed25519":
        private = ed25519.Ed25519PrivateKey.generate()
        form = serialization.PrivateFormat.OpenSSH
    else:
        raise EC2Error("InvalidParameterValue", f"Value ({key_type}) for parameter KeyType is invalid.")
    plain = serialization.NoEncryption()
    material = private.private_bytes(serialization.Encoding.PEM, form, plain).decode()
    pair = _added(cloud, name, _openssh(private.public_key()), key_type, parameters)
    return {**_shown(pair), "keyMaterial": material}


def import_key_pair(cloud: Cloud, parameters: Parameters) -> Answer:
    """A pair whose private half the client keeps."""
    name = _free_name(cloud, parameters)
    try:
        material = base64.b64decode(required(parameters, "PublicKeyMaterial")).strip()
        key = serialization.load_ssh_public_key(material)
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        raise EC2Error("InvalidKey.Format", "Key is not in valid OpenSSH public key format") from None
    key_type = "ed25519" if isinstance(key, ed25519.Ed25519PublicKey) else "rsa"
    return _shown(_added(cloud, name, material.decode(), key_type, parameters))


def delete_key_pair(cloud: Cloud, parameters: Parameters) -> Answer:
    """Gone; deleting what is not there is no error on EC2."""
    wanted = parameters.get("KeyName"), parameters.get("KeyPairId")
    for pair in list(cloud.state.key_pairs.values()):
        if pair.name == wanted[0] or pair.id == wanted[1]:
            cloud.state.remove(pair)
            return {"return": True, "keyPairId": pair.id}
    return {"return": True}


def named(cloud: Cloud, name: str) -> KeyPair:
    """The pair of this name; raises InvalidKeyPair.NotFound."""
    for pair in cloud.state.key_pairs.values():
        if pair.name == name:
            return pair
    raise EC2Error("InvalidKeyPair.NotFound", f"The key pair '{name}' does not exist")


def _free_name(cloud: Cloud, parameters: Parameters) -> str:
    name = str(required(parameters, "KeyName"))
    if any(pair.name == name for pair in cloud.state.key_pairs.values()):
        raise EC2Error("InvalidKeyPair.Duplicate", f"The keypair already exists: {name}")
    return name


def _added(cloud: Cloud, name: str, public: str, key_type: str, parameters: Parameters) -> KeyPair:
    pair = KeyPair(
        id=new_id("key"),
        name=name,
        public_key=public,
        fingerprint=_fingerprint(public),
        key_type=key_type,
        tags=tags_for(parameters, "key-pair"),
    )
    cloud.state.save(pair)
    return pair


def _openssh(key: rsa.RSAPublicKey | ed25519.Ed25519PublicKey) -> str:
    encoding, form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    return key.public_bytes(encoding, form).decode()


def _fingerprint(public: str) -> str:
    """EC2's form for an imported RSA key (MD5 with colons), OpenSSH's for Ed25519."""
    key = serialization.load_ssh_public_key(public.encode())
    if isinstance(key, ed25519.Ed25519PublicKey):
        blob = base64.b64decode(public.split()[1])
        return base64.b64encode(hashlib.sha256(blob).digest()).decode()
    encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    digest = hashlib.md5(key.public_bytes(encoding, form), usedforsecurity=False).hexdigest()
    return ":".join(digest[start : start + 2] for start in range(0, len(digest), 2))


def _shown(pair: KeyPair) -> dict[str, Any]:
    return {
        "keyPairId": pair.id,
        "keyName": pair.name,
        "keyType": pair.key_type,
        "keyFingerprint": pair.fingerprint,
        "createTime": pair.created,
        "tagSet": tag_set(pair),
    }


ACTIONS: dict[str, Action] = {
    "DescribeKeyPairs": describe_key_pairs,
    "CreateKeyPair": create_key_pair,
    "ImportKeyPair": import_key_pair,
    "DeleteKeyPair": delete_key_pair,
}
