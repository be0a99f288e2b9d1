"""Nimbus's words in ours: what its client reads and prints, with the texts of the real one."""

from __future__ import annotations

import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from imagesmith.clouds import nimbus_words as words
from imagesmith.core import InstanceState
from imagesmith.errors import CredentialsRefused, SetupError

SETTINGS = words.NimbusSettings(
    factory="svc.example.org:8443",
    repository="svc.example.org:8888",
    factory_identity="/O=Grid/CN=host/svc.example.org",
    cloud_client="/opt/client",
)
ONE = """
NIC: eth0
  - Association: private
  - IP: 192.168.107.1
  - Hostname: musecloud01
  - Gateway: 192.168.1.217

Schedule:
  -        Start time: Mon Jul 19 11:51:36 PDT 2010
  -          Duration: 100 minutes.

State: Unpropagated
"""
ALL = """log4j:WARN No appenders could be found for logger (org.apache.axis).
Querying for ALL instances.

[*] - Workspace #7. 149.165.148.253 [ vm-253.uc.futuregrid.org ]
      State: Running
      Duration: 120 minutes.
      Start time: Wed Jul 25 15:44:33 CDT 2012
      Shutdown time: Wed Jul 25 17:44:33 CDT 2012
      Termination time: Wed Jul 25 17:46:33 CDT 2012
      *Handle: vm-001
       Image: hello-cloud

[*] - Workspace #8. 149.165.148.254 [ vm-254.uc.futuregrid.org ]
      State: Corrupted
      ** PROBLEM: no such bridge
      Termination time: Wed Jul 25 17:46:33 CDT 2012
      No matching handle found in history directory.
"""


def test_the_status_of_one() -> None:
    seen = words.workspace_in(ONE).instance("n#1")
    assert (seen.state, seen.address) == (InstanceState.PENDING, "192.168.107.1")


def test_the_status_of_all() -> None:
    seen = words.workspaces_in(ALL)
    assert set(seen) == {"7", "8"}
    assert (seen["7"].address, seen["7"].state, seen["7"].minutes) == ("149.165.148.253", "Running", 120)
    assert time.localtime(seen["7"].started)[:5] == (2012, 7, 25, 15, 44)
    failed = seen["8"].instance("n#8")
    assert (failed.state, failed.reason) == (InstanceState.FAILED, "its state is Corrupted: no such bridge")


def test_nothing_that_runs_is_no_workspace() -> None:
    assert words.workspaces_in("There's nothing running on this cloud that you own.") == {}


@pytest.mark.parametrize(
    ("state", "ours"),
    [
        ("Running", InstanceState.RUNNING),
        ("Propagated", InstanceState.PENDING),
        ("TransportReady", InstanceState.STOPPED),
        ("Corrupted", InstanceState.FAILED),
        ("SomethingNew", InstanceState.PENDING),
    ],
)
def test_states(state: str, ours: InstanceState) -> None:
    assert words.Workspace(state=state).instance("n#1").state is ours


def test_a_number_survives_its_way_through_the_clients_file() -> None:
    assert words.number_in(words.endpoint_reference("svc.example.org:8443", "42")) == "42"
    assert words.number_in("<WORKSPACE_EPR><ns2:WorkspaceKey xmlns:ns2='x'>4") == ""


def test_an_instances_id_tells_name_and_number() -> None:
    assert words.parts_of(words.instance_id_of("imagesmith-a-1", "42")) == ("imagesmith-a-1", "42")
    for wrong in ("", "vm-001", "#4", "name#", "name#x"):
        with pytest.raises(SetupError, match="is no instance of Nimbus"):
            words.parts_of(wrong)


def test_the_configuration_has_all_the_client_asks_for() -> None:
    credentials = words.NimbusCredentials(canonical_id="c", access_key="a", secret_key="s\\3")
    told = words.configuration(SETTINGS, credentials, certificate="/c.pem", key="/k.pem", memory_mb=512)
    lines = dict(line.split("=", 1) for line in told.splitlines())
    assert lines["vws.factory.identity"] == "/O=Grid/CN=host/svc.example.org"
    assert lines["vws.repository.s3key"] == "s\\\\3"
    assert lines["vws.memory.request"] == "512"
    assert lines["vws.metadata.mountAs"] == "sda1"


def test_kvm_boots_a_whole_disk() -> None:
    kvm = words.NimbusSettings(hypervisor="kvm")
    told = words.configuration(kvm, words.NimbusCredentials(), certificate="", key="", memory_mb=1)
    assert "vws.metadata.mountAs=hda\n" in told


def _pem(form: PrivateFormat, *, passphrase: bytes = b"") -> str:
    key = rsa.generate_private_key(65537, 2048)
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, form, encryption).decode()


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_key_comes_out_in_the_one_form_the_client_reads(form: PrivateFormat) -> None:
    assert words.pkcs1("here", _pem(form)).startswith("-----BEGIN RSA PRIVATE KEY-----")


def test_a_key_that_nobody_can_read_is_told_without_the_key() -> None:
    with pytest.raises(CredentialsRefused, match="is encrypted"):
        words.pkcs1("here", _pem(PrivateFormat.PKCS8, passphrase=b"x"))
    with pytest.raises(CredentialsRefused, match="can't be read") as told:
        words.pkcs1("here", "not a key")
    assert "not a key" not in str(told.value)


def test_a_key_of_another_kind_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(CredentialsRefused, match="RSA"):
        words.pkcs1("here", pem)


def test_missing_fields_are_named_together() -> None:
    with pytest.raises(CredentialsRefused, match="certificate, private_key, canonical_id, access_key, secret_key"):
        words.NimbusCredentials.from_fields({}).check("here")
    with pytest.raises(SetupError, match="factory, repository, factory_identity, cloud_client"):
        words.NimbusSettings().check("here")


def test_a_pem_text_of_one_line_gets_its_lines_back() -> None:
    told = words.NimbusCredentials.from_fields({"certificate": "-----BEGIN CERTIFICATE-----\\nAAA"})
    assert told.certificate.splitlines() == ["-----BEGIN CERTIFICATE-----", "AAA"]
