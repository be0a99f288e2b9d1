"""Certificates and keys: an authority, the sites' and the users', made once and kept beside the base image.

Each holder's directory has `usercert.pem` and `userkey.pem`. Users' keys are RSA in PKCS#1, the only form that the
cloud client reads.
"""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from imagesmith.sandbox.nimbus import sites

_LIFE = timedelta(days=3650)
_RSA_BITS = 2048  # the least that OpenSSL takes
_OIDS = {"O": NameOID.ORGANIZATION_NAME, "OU": NameOID.ORGANIZATIONAL_UNIT_NAME, "CN": NameOID.COMMON_NAME}

_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Credentials:
    """The files of one sandbox, below one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._making = threading.Lock()

    @property
    def authority(self) -> Path:
        """The certificate of the authority that the sites and the cloud client trust."""
        return self._directory / "ca.pem"

    def certificate(self, holder: str) -> Path:
        """That of a user, of the stranger or the outsider, or of a site."""
        return self._directory / holder / "usercert.pem"

    def key(self, holder: str) -> Path:
        """The private key to it, which only its owner may read."""
        return self._directory / holder / "userkey.pem"

    def ensure(self) -> None:
        """All of them are there; makes them unless the authority, which is written last, is there."""
        with self._making:
            if not self.authority.exists():
                self._make()

    def _make(self) -> None:
        trusted, unknown, sites_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        first, second = (rsa.generate_private_key(65537, _RSA_BITS) for _ in range(2))
        keys: dict[str, _Key] = dict.fromkeys(sites.SITES, sites_key)
        # Making a key takes longer than most tests, so those who may do nothing share one with the second user.
        keys |= {sites.USERS[0]: first, sites.USERS[1]: second, sites.STRANGER: second}
        for holder, key in keys.items():
            self._write(holder, _certificate(holder, key, issuer="authority", signing=trusted), key)
        outsider = _certificate(sites.OUTSIDER, second, issuer="unknown authority", signing=unknown)
        self._write(sites.OUTSIDER, outsider, second)
        authority = _certificate("authority", trusted, issuer="authority", signing=trusted, may_sign=True)
        self.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))

    def _write(self, holder: str, certificate: x509.Certificate, key: _Key) -> None:
        self.certificate(holder).parent.mkdir(parents=True, exist_ok=True)
        self.certificate(holder).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self.key(holder).touch(mode=0o600)
        self.key(holder).write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )


def _certificate(
    holder: str, key: _Key, *, issuer: str, signing: ec.EllipticCurvePrivateKey, may_sign: bool = False
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        issuer_name=_name(sites.dn_of(issuer)),
        subject_name=_name(sites.dn_of(holder)),
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(days=1),
        not_valid_after=now + _LIFE,
    )
    constraints = x509.BasicConstraints(ca=may_sign, path_length=None)
    return builder.add_extension(constraints, critical=True).sign(signing, hashes.SHA256())


def _name(dn: str) -> x509.Name:
    pairs = (part.split("=", 1) for part in dn.split("/")[1:])
    return x509.Name([x509.NameAttribute(_OIDS[kind], value) for kind, value in pairs])
