"""What is behind the workspaces of the sandbox's Nimbus sites: who is let in, what boots, what a node's end means."""

from __future__ import annotations

import base64
import json
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagesmith import cli
from imagesmith.sandbox import in_process

from .nimbus_client import FAST, PUBLIC_KEY, User, eventually

SITE = "nimbus-hotel-xen"
KVM = "nimbus-hotel-kvm"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The directory of a sandbox with a base image, whose machines end at once with a word about it."""
    (tmp_path / "sandbox" / "base").mkdir(parents=True)
    (tmp_path / "sandbox" / "base" / "disk.qcow2").write_bytes(b"x" * 4096)
    return tmp_path / "sandbox"


@pytest.fixture
def user(root: Path, tmp_path: Path) -> Iterator[User]:
    with in_process.sandbox(root) as endpoint:
        user = User(endpoint, SITE, tmp_path)
        user.set(**FAST)
        yield user


def ssh(user: User, key: Path, *, address: str, command: str = "true", stdin: bytes = b"") -> int:
    """The exit code of a command as root."""
    port = str(user.told("/health")["ssh_port"])
    options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes", "IdentitiesOnly=yes")
    argv = ["ssh", "-q", *(f"-o{option}" for option in options), "-p", port, "-i", str(key), f"root@{address}", command]
    return subprocess.run(argv, input=stdin, capture_output=True, timeout=30, check=False).returncode


def new_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def test_the_key_of_the_launch_lets_root_in(user: User, tmp_path: Path) -> None:
    key, wrong = new_key(tmp_path / "key"), new_key(tmp_path / "wrong")
    done = user.call("--run", "--hours", "1", "--name", "simulated-1", "--ssh-pubkey", f"{key}.pub")
    address = done.after("IP address:")
    assert ssh(user, wrong, address=address) == 255
    assert ssh(user, key, address=address) == 0
    user.call("--terminate", "--handle", "vm-001")
    eventually(lambda: ssh(user, key, address=address) == 255)


def test_a_machine_is_told_the_key_and_that_it_is_roots(user: User, root: Path) -> None:
    user.running()
    told = json.loads((root / "sites" / SITE / "machines" / instance_of(user) / "seed.json").read_text())
    assert told["user"] == "root"
    assert told["authorized_keys"] == [PUBLIC_KEY]
    assert not told["scripts"]
    assert not told["warnings"]


def test_a_launch_without_a_key(user: User) -> None:
    done = user.call("--run", "--hours", "1", "--name", "simulated-1")
    assert (done.exit_code, done.err) == (0, "WARNING: no SSH public key is configured\n")


def test_debian_is_there_if_its_disk_is(user: User) -> None:
    answer = user.head("VMS/common/debian-12.gz")
    assert (answer.status_code, answer.headers["Content-Length"]) == (200, "4096")
    assert "[Image] 'debian-12.gz'" in user.call("--list").out


def test_debian_is_a_whole_disk_on_the_kvm_site(user: User, root: Path, tmp_path: Path) -> None:
    assert User(user.endpoint, KVM, tmp_path).head("VMS/common/debian-12.gz").status_code == 404
    (root / "base" / "whole-disk.qcow2").write_bytes(b"x" * 8192)
    with in_process.sandbox(root) as endpoint:
        for site, size in ((SITE, "4096"), (KVM, "8192")):
            answer = User(endpoint, site, tmp_path).head("VMS/common/debian-12.gz")
            assert (answer.status_code, answer.headers["Content-Length"]) == (200, size)


def test_an_image_keeps_its_layout_and_an_older_sandboxs_is_a_partition(tmp_path: Path) -> None:
    with in_process.sandbox(tmp_path / "sandbox") as endpoint:
        user = User(endpoint, KVM, tmp_path)
        user.set(**FAST)
        for name in ("mine", "older"):
            assert user.save(user.running(), name).exit_code == 0
    with sqlite3.connect(tmp_path / "sandbox" / "sites" / KVM / "state.db") as database:
        of_name = "kind = 'Image' AND json_extract(content, '$.name') = 'older'"
        database.execute(f"UPDATE things SET content = json_remove(content, '$.layout') WHERE {of_name}")
    with in_process.sandbox(tmp_path / "sandbox") as endpoint:
        user = User(endpoint, KVM, tmp_path)
        user.set(**FAST)
        assert user.run("mine").exit_code == 0
        refused = user.run("older")
        assert (refused.exit_code, 'did NOT reach target state "Running"' in refused.err) == (2, True)
        assert "the kvm node can not boot an image that is a partition and mounted as hda" in refused.err


def test_a_machine_that_does_not_start_is_a_node_that_failed(
    user: User, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, body in (("qemu-img", "exit 0"), ("qemu-system-x86_64", "echo no room >&2; exit 1")):
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    done = user.run("debian-12.gz")
    assert done.exit_code == 2
    assert "Problem with vm-001: Server.InternalError: QEMU did not start: no room" in done.err
    assert 'did NOT reach target state "Running"' in done.err
    saved = user.save("vm-001", "mine")
    assert (saved.exit_code, "Corrupted" in saved.err) == (2, True)
    assert user.call("--terminate", "--handle", "vm-001").exit_code == 0
    assert user.workspaces() == []


def test_a_machine_that_powers_itself_off_can_be_saved(user: User, tmp_path: Path) -> None:
    key = new_key(tmp_path / "key")
    done = user.call("--run", "--hours", "1", "--name", "simulated-1", "--ssh-pubkey", f"{key}.pub")
    address = done.after("IP address:")
    port = str(user.told("/health")["ssh_port"])
    argv = ["ssh", "-q", "-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-p", port, "-i", str(key)]
    subprocess.run([*argv, f"root@{address}", "poweroff"], stdin=subprocess.DEVNULL, timeout=30, check=False)
    eventually(lambda: ssh(user, key, address=address) == 255)
    assert user.call("--status", "--handle", "vm-001").after("State:") == "Running", "the service does not look"
    assert user.save("vm-001", "mine").exit_code == 0
    assert user.head(user.key("mine")).status_code == 200


@pytest.mark.parametrize("succeeds", [True, False])
def test_a_clean_up_that_leaves_the_machine_on_forgets_the_key(user: User, tmp_path: Path, *, succeeds: bool) -> None:
    key, other = new_key(tmp_path / "key"), new_key(tmp_path / "other")
    both = tmp_path / "both.pub"
    both.write_text(Path(f"{key}.pub").read_text() + Path(f"{other}.pub").read_text())
    done = user.call("--run", "--hours", "1", "--name", "simulated-1", "--ssh-pubkey", str(both))
    address = done.after("IP address:")
    assert [ssh(user, each, address=address) for each in (key, other)] == [0, 0]
    public_key = " ".join(Path(f"{key}.pub").read_text().split()[:2])
    environment = f"IMAGESMITH_PUBLIC_KEY='{public_key}'\nIMAGESMITH_POWER_OFF=no\n"
    script = "#!/bin/sh\n" + ("" if succeeds else "# sandbox: exit 1\n")
    data = b"\n".join(base64.b64encode(part.encode()) for part in (environment, script))
    stdin = b"main <<'END_OF_DATA'\n" + base64.encodebytes(data) + b"END_OF_DATA\n"
    verb = "sh -s -- imagesmith run b1 clean-up.sh root 9 0"
    assert ssh(user, key, address=address, command=verb, stdin=stdin) == 0
    eventually(lambda: ssh(user, key, address=address) == (255 if succeeds else 0))
    assert ssh(user, other, address=address) == 0


def test_status_names_the_cloud_client(
    user: User, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    user.running()
    monkeypatch.setenv("IMAGESMITH_SANDBOX_PORT", user.endpoint.rsplit(":", 1)[1])
    assert cli.main(["sandbox", "status"]) == 0
    told = capsys.readouterr().out
    conf = user.shown()["conf"]
    assert f"{SITE}  factory {user.factory}  repository {user.repository}\n{user.client} --conf {conf} --list\n" in told
    assert "  workspace  #1  Running" in told
    command = next(line for line in told.splitlines() if line.startswith(user.client))
    assert subprocess.run(["sh", "-c", command], capture_output=True, timeout=30, check=False).returncode == 0


def test_two_sandboxes_have_addresses_of_their_own(user: User, tmp_path: Path) -> None:
    with in_process.sandbox(tmp_path / "second") as endpoint:
        assert User(endpoint, SITE, tmp_path).factory != user.factory
        assert user.call("--status").exit_code == 0


def instance_of(user: User) -> str:
    return str(user.workspaces()[0]["instance_id"])
