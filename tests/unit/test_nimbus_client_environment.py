"""What the cloud client is started with: nothing of ours that it has no use for, on each of the ways it is started."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from imagesmith.clouds.nimbus_client import CloudClient
from imagesmith.clouds.nimbus_words import NimbusCredentials, NimbusSettings, endpoint_reference

# Writes its environment, and the file by which a launch is known to have succeeded.
PROGRAM = """#!/bin/sh
env >"$RECORD"
mkdir -p "$4/vm-001"; cp "$(dirname "$0")/epr" "$4/vm-001/vw-epr.xml"
"""


@pytest.fixture(scope="module")
def private_key() -> str:
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, private_key: str) -> CloudClient:
    program = tmp_path / "cloud-client.sh"
    program.write_text(PROGRAM.replace("$RECORD", str(tmp_path / "record")))
    program.chmod(0o755)
    (tmp_path / "epr").write_text(endpoint_reference("factory:8443", "7"))
    for name in ("AIRFLOW_CONN_NIMBUS", "IMAGESMITH_SECRET", "AIRFLOW__CORE__FERNET_KEY", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "s3cret")
    monkeypatch.setenv("JAVA_HOME", "/opt/java")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    credentials = NimbusCredentials(
        certificate="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        private_key=private_key,
        canonical_id="id",
        access_key="access",
        secret_key="secret",
    )
    return CloudClient("site", NimbusSettings(cloud_client=str(program)), credentials)


def ask(client: CloudClient, directory: Path) -> None:
    client.ask("ask", directory / "history", "--status")


def create(client: CloudClient, directory: Path) -> None:
    history, key = directory / "history", directory / "key.pub"
    assert client.create("launch", history, source="base", minutes=60, key=key, memory_mb=512) == "7"


def save(client: CloudClient, directory: Path) -> None:
    files = {name: directory / name for name in ("out", "err", "ended", "keeper")}
    client.begin_save(directory / "history", newname="new", common=False, **files)
    os.waitpid(int(files["keeper"].read_text().split()[0]), 0)


@pytest.mark.parametrize("way", [ask, create, save])
def test_the_client_gets_no_credentials_of_ours(client: CloudClient, tmp_path: Path, way) -> None:
    way(client, tmp_path)
    told = (tmp_path / "record").read_text()
    assert "s3cret" not in told
    assert "JAVA_HOME=/opt/java\n" in told and "LC_ALL=C.UTF-8\n" in told and "PATH=" in told
