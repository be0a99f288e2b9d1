"""Key pairs. Nova makes pairs for clients of before 2.92; later ones bring their public key."""

import base64
import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from imagesmith.sandbox.openstack.wire import Call, Document, Problem, Reply, Rule, moment
from imagesmith.sandbox.state import KeyPair, new_id

_KEY_NEEDED_SINCE = (2, 92)
_TYPE_SINCE = (2, 2)


def list_key_pairs(call: Call) -> Reply:
    """The public halves."""
    shown = [{"keypair": _shown(call, pair)} for pair in call.site.state.key_pairs.values()]
    return Reply({"keypairs": shown})


def create_key_pair(call: Call) -> Reply:
    """The client's own key, or a new pair whose private half is in the answer and nowhere else."""
    wanted = call.document("keypair")
    name, public = str(wanted.get("name") or ""), wanted.get("public_key")
    if not name:
        raise Problem(400, "Invalid input for field/attribute name. It is a required property")
    if any(pair.name == name for pair in call.site.state.key_pairs.values()):
        raise Problem(409, f"Key pair '{name}' already exists.")
    private = ""
    if not public:
        if call.version >= _KEY_NEEDED_SINCE:
            raise Problem(400, "Invalid input for field/attribute keypair. 'public_key' is a required property")
        private, public = _new_pair()
    pair = KeyPair(id=new_id("key"), name=name, public_key=public, fingerprint=_fingerprint(public), key_type="ssh")
    call.site.state.save(pair)
    shown = {**_shown(call, pair), "user_id": call.site.facts.user_id}
    if private:
        shown["private_key"] = private
    return Reply({"keypair": shown}, 201 if call.version >= _TYPE_SINCE else 200)


def show_key_pair(call: Call) -> Reply:
    """One pair by its name."""
    pair = _asked_for(call)
    more = {"user_id": call.site.facts.user_id, "id": 1, "created_at": moment(pair.created, zone=".000000")}
    never = {"deleted": False, "deleted_at": None, "updated_at": None}
    return Reply({"keypair": {**_shown(call, pair), **more, **never}})


def delete_key_pair(call: Call) -> Reply:
    """Gone; servers keep the key they were launched with."""
    call.site.state.remove(_asked_for(call))
    return Reply(status=204 if call.version >= _TYPE_SINCE else 202)


def _asked_for(call: Call) -> KeyPair:
    name = call.parameters["name"]
    for pair in call.site.state.key_pairs.values():
        if pair.name == name:
            return pair
    raise Problem(404, f"Keypair {name} not found for user {call.site.facts.user_id}")


def _shown(call: Call, pair: KeyPair) -> Document:
    shown: Document = {"name": pair.name, "public_key": pair.public_key, "fingerprint": pair.fingerprint}
    return {**shown, "type": "ssh"} if call.version >= _TYPE_SINCE else shown


def _new_pair() -> tuple[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), f"{public.decode()} Generated-by-Nova"


def _fingerprint(public: str) -> str:
    try:
        serialization.load_ssh_public_key(public.strip().encode())
    except (ValueError, UnsupportedAlgorithm):
        raise Problem(400, "Keypair data is invalid: failed to generate fingerprint") from None
    digest = hashlib.md5(base64.b64decode(public.split()[1]), usedforsecurity=False).hexdigest()
    return ":".join(digest[start : start + 2] for start in range(0, len(digest), 2))


RULES = (
    Rule("GET", "/os-keypairs", list_key_pairs),
    Rule("POST", "/os-keypairs", create_key_pair),
    Rule("GET", "/os-keypairs/{name}", show_key_pair),
    Rule("DELETE", "/os-keypairs/{name}", delete_key_pair),
)
