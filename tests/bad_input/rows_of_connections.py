# ruff: noqa: E501 (a row is a line where it can be)
"""What people put into Airflow's connections, by cloud type: `given` is what differs from a connection that is well.

A key of `extra` that is `...` is missing; an `extra` that is text is the field as a whole. "hunter2" is a secret.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from .row import Row

NOT_JSON = ("is not JSON", "write an object such as {}")
UNSEEN = ("holds a line break or another character that cannot be seen", "write it anew")
URL = ("is no plain http(s) URL", "write https://host:port")
KEY = ("holds a blank or a character that no key has", "paste the key anew")
PASTED = "check what was pasted"
RSA = "check the Airflow connection site"
PEM = "paste the text from BEGIN CERTIFICATE on into connection site"


@cache
def pem(kind: str) -> str:
    """A private key of that kind as PEM, made once."""
    if kind == "ec":
        return _private(ec.generate_private_key(ec.SECP256R1()))
    if kind == "ed25519":
        return _private(ed25519.Ed25519PrivateKey.generate())
    key = rsa.generate_private_key(65537, 2048)
    if kind == "encrypted":
        return _private(key, BestAvailableEncryption(b"hunter2"))
    if kind == "public":
        return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return _private(key)


def _private(key: Any, encryption: Any = None) -> str:
    text: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())
    return text.decode()


CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"


def well(cloud_type: str) -> dict[str, Any]:
    """A connection of which only what a row changes is wrong."""
    if cloud_type == "ec2":
        extra: dict[str, Any] = {"region_name": "us-east-1", "endpoint_url": "http://127.0.0.1:1"}
        return {"conn_type": "imagesmith_ec2", "login": "AKIAEXAMPLE", "password": "hunter2", "extra": extra}
    if cloud_type == "openstack":
        extra = {"auth_url": "http://127.0.0.1:1/v3", "project": "p"}
        return {"conn_type": "imagesmith_openstack", "login": "ann", "password": "hunter2", "extra": extra}
    extra = {
        "certificate": CERTIFICATE,
        "private_key": pem("rsa"),
        "canonical_id": "b5f1",
        "access_key": "access",
        "secret_key": "hunter2",
        "factory": "127.0.0.1:1",
        "repository": "127.0.0.1:1",
        "factory_identity": "/O=Grid/CN=host/svc",
        "cloud_client": "/nowhere",
    }
    return {"conn_type": "imagesmith_nimbus", "extra": extra}


EC2 = [
    Row("ec2-another-type", "ec2", {"conn_type": "ssh"}, ("is of type ssh", "make it one of imagesmith_ec2 or aws")),
    Row("ec2-extra-cut-off", "extra of the Airflow connection ec2", {"extra": '{"region_name": "hunter2'}, NOT_JSON),
    Row("ec2-extra-a-word", "extra of the Airflow connection ec2", {"extra": "hunter2"}, NOT_JSON),
    Row("ec2-extra-a-list", "extra of the Airflow connection ec2", {"extra": '["hunter2"]'}, ("is no object of JSON", "write one such as {}")),
    Row("ec2-extra-a-number", "extra of the Airflow connection ec2", {"extra": "5"}, ("is no object of JSON", "write one such as {}")),
    Row("ec2-extra-deep", "extra of the Airflow connection ec2", {"extra": "[" * 100_000}, NOT_JSON),
    Row("ec2-endpoint-a-word", "endpoint_url of the Airflow connection ec2", {"extra": {"endpoint_url": "somewhere"}}, URL),
    Row("ec2-endpoint-of-a-file", "endpoint_url of the Airflow connection ec2", {"extra": {"endpoint_url": "file:///etc/passwd"}}, URL),
    Row("ec2-endpoint-with-a-password", "endpoint_url of the Airflow connection ec2", {"extra": {"endpoint_url": "https://me:hunter2@h"}}, URL),
    Row("ec2-endpoint-a-number", "endpoint_url of the Airflow connection ec2", {"extra": {"endpoint_url": 5}}, URL),
    Row("ec2-endpoint-of-two-lines", "endpoint_url of the Airflow connection ec2", {"extra": {"endpoint_url": "https://h\nX-Header: y"}}, UNSEEN),
    Row("ec2-region-a-list", "region_name of the Airflow connection ec2", {"extra": {"region_name": ["us-east-1"]}}, ("is a list", "write text")),
    Row("ec2-region-two-words", "check region of ec2", {"extra": {"region_name": "us east"}}, ("us east", "in include/clouds.yaml")),
    Row("ec2-profile-unknown", "check the profile in the Airflow connection ec2", {"extra": {"profile_name": "nobody"}, "login": None, "password": None}, ("nobody",)),
    Row("ec2-key-of-two-lines", "login of the Airflow connection ec2", {"login": "AKIA\nEXAMPLE"}, UNSEEN),
    Row("ec2-key-not-ascii", "login of the Airflow connection ec2", {"login": "AKIAÉXAMPLE"}, KEY),
    Row("ec2-secret-two-words", "password of the Airflow connection ec2", {"password": "hunter2 hunter2"}, KEY),
    Row("ec2-secret-of-100-kB", "password of the Airflow connection ec2", {"password": "hunter2" * 15_000}, ("has 105000 characters, more than 65536", PASTED)),
    Row("ec2-session-token-with-nul", "aws_session_token of the Airflow connection ec2", {"extra": {"aws_session_token": "hunter2\0"}}, UNSEEN),
]  # fmt: skip
OPENSTACK = [
    Row("openstack-no-auth-url", "hotel: no auth URL", {"extra": {"auth_url": ...}}, ("write auth_url of hotel in include/clouds.yaml, or into the Airflow connection",)),
    Row("openstack-auth-url-a-host", "auth_url of the Airflow connection hotel", {"extra": {"auth_url": "keystone.example"}}, URL),
    Row("openstack-auth-url-of-another-scheme", "auth_url of the Airflow connection hotel", {"extra": {"auth_url": "ftp://keystone.example"}}, URL),
    Row("openstack-auth-url-port-99999", "auth_url of the Airflow connection hotel", {"extra": {"auth_url": "https://h:99999/v3"}}, URL),
    Row("openstack-auth-url-a-list", "auth_url of the Airflow connection hotel", {"extra": {"auth_url": ["https://h"]}}, ("is a list", "write text")),
    Row("openstack-auth-url-of-two-lines", "auth_url of the Airflow connection hotel", {"extra": {"auth_url": "https://h/v3\n"}}, UNSEEN),
    Row("openstack-nobody", "check the Airflow connection hotel", {"login": "", "password": ""}, ("hotel: neither an application credential nor a user with a password",)),
    Row("openstack-no-password", "check the Airflow connection hotel", {"password": None}, ("neither an application credential nor a user with a password",)),
    Row("openstack-user-of-two-lines", "login of the Airflow connection hotel", {"login": "ann\nroot"}, UNSEEN),
    Row("openstack-user-that-paints", "login of the Airflow connection hotel", {"login": "\x1b[31mann"}, UNSEEN),
    Row("openstack-project-a-mapping", "project of the Airflow connection hotel", {"extra": {"project": {"name": "p"}}}, ("is a mapping", "write text")),
    Row("openstack-project-with-nul", "project of the Airflow connection hotel", {"extra": {"project": "p\0"}}, UNSEEN),
    Row("openstack-extra-cut-off", "extra of the Airflow connection hotel", {"extra": '{"auth_url": "hunter2'}, NOT_JSON),
    Row("openstack-extra-a-list", "extra of the Airflow connection hotel", {"extra": "[]"}, ("is no object of JSON", "write one such as {}")),
    Row("openstack-ca-file-missing", "there is no CA file /nowhere/ca.pem", {"extra": {"ca_file": "/nowhere/ca.pem"}}, ("put it on every worker, or mend ca_file in the Airflow connection hotel",)),
    Row("openstack-ca-file-a-folder", "there is no CA file /etc", {"extra": {"ca_file": "/etc"}}, ("put it on every worker",)),
    Row("openstack-ca-file-of-5000", "there is no CA file /xxx", {"extra": {"ca_file": "/" + "x" * 5_000}}, ("put it on every worker",)),
    Row("openstack-secret-of-100-kB", "application_credential_secret of the Airflow connection hotel", {"extra": {"application_credential_secret": "hunter2" * 15_000}}, ("has 105000 characters", PASTED)),
]  # fmt: skip
NIMBUS = [
    Row("nimbus-nothing", "site: factory, repository, factory_identity, cloud_client missing", {"extra": "{}"}, ("write it into site of include/clouds.yaml, or into the Airflow connection",)),
    Row("nimbus-no-credentials", "certificate, private_key, canonical_id, access_key, secret_key missing", {"extra": dict.fromkeys(("certificate", "private_key", "canonical_id", "access_key", "secret_key"), ...)}, ("in the Airflow connection site", "fill in every field of it")),
    Row("nimbus-certificate-blank", "certificate missing", {"extra": {"certificate": " \n"}}, ("in the Airflow connection site", "fill in every field of it")),
    Row("nimbus-certificate-a-path", "site: the certificate is not PEM", {"extra": {"certificate": "/home/ann/usercert.pem"}}, (PEM,)),
    Row("nimbus-certificate-cut-off", "site: the certificate is not PEM", {"extra": {"certificate": CERTIFICATE[:-10]}}, (PEM,)),
    Row("nimbus-certificate-with-other-signs", "site: the certificate is not PEM", {"extra": {"certificate": CERTIFICATE.replace("MIIB", "$(reboot)")}}, (PEM,)),
    Row("nimbus-certificate-a-list", "certificate of the Airflow connection site", {"extra": {"certificate": [CERTIFICATE]}}, ("is a list", "write text")),
    Row("nimbus-key-a-word", "site: the private key can't be read", {"extra": {"private_key": "hunter2"}}, ("paste its PEM text into the Airflow connection site",)),
    Row("nimbus-key-cut-off", "site: the private key can't be read", {"extra": {"private_key": pem("rsa")[:-60]}}, ("paste its PEM text",)),
    Row("nimbus-key-a-public-one", "site: the private key can't be read", {"extra": {"private_key": pem("public")}}, ("paste its PEM text",)),
    Row("nimbus-key-the-certificate", "site: the private key can't be read", {"extra": {"private_key": CERTIFICATE}}, ("paste its PEM text",)),
    Row("nimbus-key-with-a-passphrase", "site: the private key is encrypted", {"extra": {"private_key": pem("encrypted")}}, ("put the key without its passphrase into the connection site",)),
    Row("nimbus-key-of-an-elliptic-curve", "site: the private key is none of RSA", {"extra": {"private_key": pem("ec")}}, (RSA,)),
    Row("nimbus-key-ed25519", "site: the private key is none of RSA", {"extra": {"private_key": pem("ed25519")}}, (RSA,)),
    Row("nimbus-key-not-ascii", "site: the private key can't be read", {"extra": {"private_key": "é" * 100}}, ("paste its PEM text",)),
    Row("nimbus-key-of-100-kB", "private_key of the Airflow connection site", {"extra": {"private_key": "hunter2" * 15_000}}, ("has 105000 characters", PASTED)),
    Row("nimbus-canonical-id-two-words", "canonical_id of the Airflow connection site", {"extra": {"canonical_id": "b5 f1"}}, KEY),
    Row("nimbus-access-key-with-a-second-header", "access_key of the Airflow connection site", {"extra": {"access_key": "a\r\nX-Header: y"}}, UNSEEN),
    Row("nimbus-secret-key-not-ascii", "secret_key of the Airflow connection site", {"extra": {"secret_key": "hunter2é"}}, KEY),
    Row("nimbus-factory-without-port", "site: factory 'svc' is no host:port", {"extra": {"factory": "svc"}}, ("write it into site of include/clouds.yaml",)),
    Row("nimbus-factory-a-command", "site: factory '$(reboot):1' is no host:port", {"extra": {"factory": "$(reboot):1"}}, ("write it into site of include/clouds.yaml",)),
    Row("nimbus-repository-port-99999", "site: repository 'svc:99999' is no host:port", {"extra": {"repository": "svc:99999"}}, ("write it into site of include/clouds.yaml",)),
    Row("nimbus-repository-a-url", "site: repository 'https://svc:8888' is no host:port", {"extra": {"repository": "https://svc:8888"}}, ("write it into site of include/clouds.yaml",)),
    Row("nimbus-identity-with-a-second-property", "factory_identity of the Airflow connection site", {"extra": {"factory_identity": "/O=x\rvws.repository=evil:1"}}, UNSEEN),
    Row("nimbus-hypervisor-of-another", "site: hypervisor 'vmware' is none of Nimbus", {"extra": {"hypervisor": "vmware"}}, ("write xen or kvm",)),
    Row("nimbus-hypervisor-a-list", "site: hypervisor ['xen'] is none of Nimbus", {"extra": {"hypervisor": ["xen"]}}, ("write xen or kvm",)),
    Row("nimbus-client-with-nul", "cloud_client of the Airflow connection site", {"extra": {"cloud_client": "/opt\0"}}, UNSEEN),
    Row("nimbus-extra-cut-off", "extra of the Airflow connection site", {"extra": '{"private_key": "hunter2'}, NOT_JSON),
    Row("nimbus-extra-a-text", "extra of the Airflow connection site", {"extra": '"hunter2"'}, ("is no object of JSON", "write one such as {}")),
]  # fmt: skip

# The connection of a target's cloud is not there, or Airflow itself can't read it: cloud type, name, environment.
OPENING = [
    Row("connection-missing-ec2", "east: there is no Airflow connection named east", ("ec2", None), ("airflow connections add east --conn-type imagesmith_ec2",)),
    Row("connection-missing-openstack", "there is no Airflow connection named east", ("openstack", None), ("--conn-type imagesmith_openstack",)),
    Row("connection-missing-nimbus", "there is no Airflow connection named east", ("nimbus", None), ("--conn-type imagesmith_nimbus",)),
    Row("connection-of-broken-json", "east: the Airflow connection east", ("ec2", '{"conn_type": "imagesmith_ec2", '), ("can't be read",)),
]  # fmt: skip
