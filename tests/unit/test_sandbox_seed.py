"""User data, read as cloud-init would, and the disk that carries it into the guest."""

import base64
import gzip
import io
import tarfile
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path

import pytest

from imagesmith.sandbox import seed
from imagesmith.sandbox.seed import Seed

CONFIG = """#cloud-config
ssh_keys:
  ed25519_private: |
    -----BEGIN OPENSSH PRIVATE KEY-----
    abc
    -----END OPENSSH PRIVATE KEY-----
  ed25519_public: ssh-ed25519 AAAA host
ssh_authorized_keys: [ssh-ed25519 BBBB me]
"""


def read(user_data: bytes) -> Seed:
    told = Seed("i-1", "ip-1", "admin")
    told.read_user_data(user_data)
    return told


def test_host_keys_become_files_of_sshd() -> None:
    told = read(CONFIG.encode())
    assert set(told.host_keys) == {"ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"}
    assert told.host_keys["ssh_host_ed25519_key"].endswith("KEY-----\n")
    assert told.authorized_keys == ["ssh-ed25519 BBBB me"]
    assert told.warnings == []


def test_a_script_is_kept_as_it_is() -> None:
    assert read(b"#!/bin/sh\necho hi\n").scripts == ["#!/bin/sh\necho hi\n"]


def test_gzip_and_mime() -> None:
    parts = MIMEMultipart()
    parts.attach(MIMEText(CONFIG, "cloud-config"))
    parts.attach(MIMEText("#!/bin/sh\ntrue\n", "x-shellscript"))
    told = read(gzip.compress(parts.as_bytes()))
    assert told.scripts == ["#!/bin/sh\ntrue\n"]
    assert "ssh_host_ed25519_key" in told.host_keys


def test_runcmd_is_quoted() -> None:
    told = read(b'#cloud-config\nruncmd:\n - echo plain\n - [touch, "it\'s"]\n')
    assert told.scripts == ["#!/bin/sh\necho plain\n'touch' 'it'\\''s'\n"]


@pytest.mark.parametrize(
    ("user_data", "warning"),
    [
        (b"#cloud-config\n{", "not YAML"),
        (b"#cloud-config\npackages: [x]\n", "packages means nothing"),
        (b"hello", "neither cloud-config nor a script"),
    ],
)
def test_what_it_cannot_do_is_said(user_data: bytes, warning: str) -> None:
    assert warning in read(user_data).warnings[0]


def test_nothing_is_no_warning() -> None:
    assert read(b"").warnings == []


def test_the_disk_holds_plain_private_files(tmp_path: Path) -> None:
    told = read(CONFIG.encode())
    told.scripts.append("#!/bin/sh\n")
    told.write(tmp_path / "seed.tar")
    assert (tmp_path / "seed.tar").stat().st_mode & 0o077 == 0
    with tarfile.open(fileobj=io.BytesIO((tmp_path / "seed.tar").read_bytes())) as archive:
        assert {member.name for member in archive} >= {"instance-id", "authorized_keys", "scripts/000"}
        assert all(member.mode == 0o600 for member in archive)
        content = archive.extractfile("host_keys/ssh_host_ed25519_key.pub")
        assert content is not None and content.read() == b"ssh-ed25519 AAAA host\n"


def test_user_data_must_be_base64() -> None:
    assert seed.decoded(base64.b64encode(b"x").decode()) == b"x"
    with pytest.raises(ValueError, match="base64"):
        seed.decoded("not base64!")
