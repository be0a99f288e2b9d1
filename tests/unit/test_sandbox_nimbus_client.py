"""The sandbox's cloud client: what it prints, on which stream, and how it ends."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagesmith.sandbox import in_process
from imagesmith.sandbox.nimbus import sites

from .nimbus_client import SAVED, UNKNOWN, User, eventually

SITES = list(sites.SITES)
TIME = r"\w{3} \w{3} \d\d \d\d:\d\d:\d\d \S+ \d{4}"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with in_process.sandbox(tmp_path_factory.mktemp("sandbox")) as endpoint:
        yield endpoint


@pytest.fixture
def user(endpoint: str, tmp_path: Path) -> User:
    return User(endpoint, "nimbus-hotel-kvm", tmp_path).reset()


@pytest.mark.parametrize("site", SITES)
def test_a_launch_returns_at_running(endpoint: str, tmp_path: Path, site: str) -> None:
    user = User(endpoint, site, tmp_path).reset()
    done = user.run(hours="1.5")
    assert (done.exit_code, done.err) == (0, "")
    assert 'Creating workspace "vm-001"... done.\n' in done.out
    assert re.search(r"^ +IP address: 127\.\d+\.\d+\.\d+$", done.out, re.MULTILINE)
    assert re.search(r"^ +Hostname: \S+$", done.out, re.MULTILINE)
    for word in ("Start time", "Shutdown time", "Termination time"):
        assert re.search(rf"^ *{word}: {TIME}$", done.out, re.MULTILINE)
    assert done.out.endswith("\"vm-001\" reached target state: Running\n\nRunning: 'vm-001'\n")
    workspace = user.workspaces()[0]
    assert done.after("IP address:") == workspace["address"]
    assert workspace["minutes"] == 90
    assert workspace["shutdown_at"] - workspace["started_at"] == pytest.approx(90 * 60)
    assert workspace["termination_at"] - workspace["shutdown_at"] == pytest.approx(120)


def test_handles_count_from_one_in_each_history_directory(user: User, endpoint: str, tmp_path: Path) -> None:
    assert [user.running(), user.running()] == ["vm-001", "vm-002"]
    assert User(endpoint, user.site, tmp_path).running() == "vm-001"


def test_the_history_holds_the_address_of_the_workspace(user: User) -> None:
    handle = user.running()
    epr = (user.history / handle / "vw-epr.xml").read_text()
    number = user.workspaces()[0]["id"]
    assert f'<ns2:WorkspaceKey xmlns:ns2="http://www.globus.org/2008/06/workspace">{number}</ns2:WorkspaceKey>' in epr
    assert f"https://{user.factory}/wsrf/services/WorkspaceService" in epr


def test_the_status_of_one(user: User) -> None:
    done = user.call("--status", "--handle", user.running())
    assert (done.exit_code, done.err) == (0, "")
    assert done.after("IP:") == user.workspaces()[0]["address"]
    assert done.after("Hostname:") == user.workspaces()[0]["hostname"]
    assert done.after("State:") == "Running"
    assert re.search(rf"Termination time: {TIME}", done.out)


def test_the_status_of_all_names_the_handles_of_this_history(user: User, endpoint: str, tmp_path: Path) -> None:
    nothing = user.call("--status")
    assert nothing.exit_code == 0
    assert "There's nothing running on this cloud that you own." in nothing.out
    user.running()
    elsewhere = User(endpoint, user.site, tmp_path)
    elsewhere.running()
    done = user.call("--status")
    first, second = user.workspaces()
    assert (
        f"[*] - Workspace #{first['id']}. {first['address']} [ {first['hostname']} ]\n      State: Running\n"
        in done.out
    )
    assert f"[*] - Workspace #{second['id']}. {second['address']} [" in done.out
    assert "      *Handle: vm-001\n       Image: simulated-1\n" in done.out
    assert done.out.count("No matching handle found in history directory.") == 1


def test_everybody_sees_only_their_own_workspaces(user: User, endpoint: str, tmp_path: Path) -> None:
    handle = user.running()
    other = User(endpoint, user.site, tmp_path, name="other")
    assert "nothing running" in other.call("--status").out
    epr = str(user.history / handle / "vw-epr.xml")
    done = other.call("--terminate", "--epr-file", epr)
    assert done.exit_code == 2
    assert f'"{other.identity.dn}" is not authorized to use operation' in done.err
    assert len(user.workspaces()) == 1


def test_the_one_proof_of_a_save_is_on_standard_error(user: User) -> None:
    done = user.save(user.running(), "mine")
    assert done.exit_code == 0
    assert SAVED in done.err.splitlines()
    assert SAVED not in done.out
    assert user.workspaces() == [], "the workspace ends with the save"
    again = user.run("mine")
    assert again.exit_code == 0, "what was saved can be launched"


def test_termination(user: User) -> None:
    handle = user.running()
    done = user.call("--terminate", "--handle", handle)
    assert (done.exit_code, done.err) == (0, "")
    assert f"Destroying {handle}... destroyed.\n" in done.out
    assert user.workspaces() == []


@pytest.mark.parametrize(
    "arguments", [("--status",), ("--terminate",), ("--save", "--newname", "late")], ids=["status", "terminate", "save"]
)
def test_what_is_gone_is_unknown(user: User, arguments: tuple[str, ...]) -> None:
    handle = user.running()
    assert user.call("--terminate", "--handle", handle).exit_code == 0
    done = user.call(*arguments, "--handle", handle)
    assert (done.exit_code, done.err.strip()) == (2, UNKNOWN)


def test_the_listing_has_own_images_before_common_ones(user: User) -> None:
    assert "----" not in user.call("--list").out
    user.save(user.running(), "mine")
    own, common = user.call("--list").out.split("----")
    entry = r"\[Image\] '{}' +{}\n +Modified: \w+ \d+ \d{{4}} @ \d\d:\d\d   Size: 1048576 bytes \(~1 MB\)"
    assert re.search(entry.format("mine", "Read/write"), own)
    assert re.search(entry.format("simulated-1", "Read only"), common)


def test_a_common_image_is_listed_for_all_and_launched_by_its_owner_until_it_is_public(
    user: User, endpoint: str, tmp_path: Path
) -> None:
    other = User(endpoint, user.site, tmp_path, name="other")
    assert SAVED in user.save(user.running(), "shared", "--common").err
    assert "[Image] 'shared'" in other.call("--list").out
    refused = other.run("shared")
    assert (refused.exit_code, refused.out) == (2, "")
    assert "AccessDenied" in refused.err
    assert not list(other.history.glob("vm-*")), "it is refused before there is a handle"
    assert user.run("shared").exit_code == 0
    assert user.ask("PUT", "/Repo/VMS/common/shared", acl=True, x_amz_acl="public-read").status_code == 200
    assert other.run("shared").exit_code == 0


def test_an_own_image_goes_before_the_common_one_of_its_name(user: User) -> None:
    user.save(user.running(), "simulated-1")
    user.running("simulated-1")
    assert user.workspaces()[0]["source"] == user.key("simulated-1")


def test_a_save_overwrites_silently(user: User) -> None:
    user.save(user.running(), "mine")
    before = user.head(user.key("mine")).headers["ETag"]
    done = user.save(user.running(), "mine")
    assert SAVED in done.err
    assert user.head(user.key("mine")).headers["ETag"] != before
    assert len(user.keys(user.key(""))) == 1


def test_nobody_overwrites_anothers_common_image(user: User, endpoint: str, tmp_path: Path) -> None:
    other = User(endpoint, user.site, tmp_path, name="other")
    user.save(user.running(), "shared", "--common")
    done = other.save(other.running(), "shared", "--common")
    assert done.exit_code == 0
    assert re.search(r"^Problem with Workspace #\d+: AccessDenied", done.err, re.MULTILINE)
    assert user.head("VMS/common/shared").status_code == 200


@pytest.mark.parametrize("name", ["two words", "a/b"])
def test_names_have_neither_blank_nor_slash(user: User, name: str) -> None:
    handle = user.running()
    done = user.save(handle, name)
    assert (done.exit_code, done.err.startswith("Problem: ")) == (1, True)
    assert user.workspaces()[0]["state"] == "Running"


def test_no_such_image(user: User) -> None:
    done = user.run("nothing")
    assert done.exit_code == 2
    assert f"Problem: the object Repo/{user.key('nothing')} was not found" in done.err
    assert done.out.endswith('Creating workspace "vm-001"...'), "it is the service that finds out"


def test_a_bad_secret_key_is_denied_before_there_is_a_handle(user: User) -> None:
    user.conf["vws.repository.s3key"] = "wrong"
    done = user.run()
    assert done.exit_code == 2
    assert "AccessDenied" in done.err
    assert "Creating workspace" not in done.out
    assert "AccessDenied" in user.call("--list").err


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"max_memory_mb": 256}, "memory request is too large to ever be fulfilled"),
        ({"max_minutes": 59}, "exceeds the maximum allowed"),
    ],
    ids=["memory", "time"],
)
def test_limits_are_told_after_the_handle_is_taken(user: User, setting: dict[str, int], words: str) -> None:
    user.set(**setting)
    done = user.run()
    assert done.exit_code == 2
    assert words in done.err
    assert done.err.startswith("Problem: ")
    assert 'Creating workspace "vm-001"...' in done.out
    assert "done." not in done.out
    assert user.workspaces() == []
    left = user.call("--status", "--handle", "vm-001")
    assert (left.exit_code, "Perhaps this launch did not succeed?" in left.err) == (1, True)
    user.set(max_memory_mb=8192, max_minutes=60)
    assert user.running() == "vm-002"


def test_a_client_that_asks_for_no_size_asks_for_3584_mb(user: User) -> None:
    del user.conf["vws.memory.request"]
    user.set(max_memory_mb=3583)
    assert user.run().exit_code == 2
    user.set(max_memory_mb=3584)
    assert user.run().exit_code == 0


def test_the_wrong_identity(user: User) -> None:
    user.conf["vws.factory.identity"] = "/O=Imagesmith/OU=sandbox/CN=somebody"
    done = user.call("--status")
    assert done.exit_code == 2
    expected = f'Expected "/O=Imagesmith/OU=sandbox/CN=somebody" target but received "{user.facts.identity}"'
    assert expected in done.err


@pytest.mark.parametrize(
    ("holder", "words"),
    [
        ("outsider", "Unknown CA"),
        ("stranger", '"/O=Imagesmith/OU=sandbox/CN=stranger" is not authorized to use operation'),
    ],
)
def test_a_certificate_that_is_not_accepted(user: User, holder: str, words: str) -> None:
    for key in ("nimbus.cert", "nimbus.key"):
        user.conf[key] = user.conf[key].replace("/imagesmith/user", f"/{holder}/user")
    for arguments in (["--status"], user.run_arguments()):
        done = user.call(*arguments)
        assert done.exit_code == 2
        assert words in done.err


def test_a_client_that_does_not_know_the_authority(user: User, tmp_path: Path) -> None:
    trusted = Path(user.client).parents[1] / "lib" / "certs" / "sandbox.0"
    trusted.rename(tmp_path / "away")
    try:
        done = user.call("--status")
    finally:
        (tmp_path / "away").rename(trusted)
    assert (done.exit_code, "Unknown CA" in done.err) == (2, True)


def test_a_key_must_be_pkcs1(user: User, tmp_path: Path) -> None:
    text = Path(user.conf["nimbus.key"]).read_text()
    (tmp_path / "pkcs8.pem").write_text(text.replace(" RSA PRIVATE", " PRIVATE"))
    user.conf["nimbus.key"] = str(tmp_path / "pkcs8.pem")
    done = user.call("--status")
    assert (done.exit_code, "Algorithm not supported" in done.err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Give at least one action."),
        (["--status", "--list"], "in the same invocation"),
        (["--fly"], "Unrecognized option: --fly"),
        (["--run", "--hours", "1"], "Running requires 'name'"),
        (["--run", "--name", "simulated-1"], "Running requires 'hours'"),
        (["--run", "--name", "simulated-1", "--hours", "soon"], 'For input string: "soon"'),
        (["--terminate"], "Terminating requires either 'handle'"),
        (["--terminate", "--handle", "vm-099"], "History directory does not exist"),
        (["--status", "--handle"], "Missing argument for option:handle"),
    ],
)
def test_input_problems_end_with_exit_code_1(user: User, arguments: list[str], words: str) -> None:
    done = user.call(*arguments)
    assert done.exit_code == 1
    assert done.err.startswith("Problem: ")
    assert words in done.err


def test_of_an_option_that_is_given_twice_the_first_counts(user: User) -> None:
    assert user.call("--conf", "/nowhere/cloud.conf", "--status").exit_code == 0


def test_a_configuration_that_lacks_a_key(user: User) -> None:
    user.conf = {"vws.factory": user.factory}
    lacking = user.call("--status")
    assert (lacking.exit_code, "'nimbus.cert'" in lacking.err) == (1, True)


def test_xen_and_kvm_differ_in_what_the_image_is_mounted_as(endpoint: str, tmp_path: Path) -> None:
    for site, wrong in (("nimbus-hotel-xen", "hda"), ("nimbus-hotel-kvm", "sda1")):
        user = User(endpoint, site, tmp_path).reset()
        user.conf["vws.metadata.mountAs"] = wrong
        done = user.run()
        assert done.exit_code == 2
        assert 'did NOT reach target state "Running"' in done.err
        assert user.call("--terminate", "--handle", "vm-001").exit_code == 0


def test_a_client_without_mount_as_means_a_partition(endpoint: str, tmp_path: Path) -> None:
    user = User(endpoint, "nimbus-hotel-xen", tmp_path).reset()
    del user.conf["vws.metadata.mountAs"]
    assert user.run().exit_code == 0


def test_the_installed_configuration_files_are_ready_for_use(user: User) -> None:
    for site in SITES:
        told = user.told("/list")["accounts"][site]
        done = User(user.endpoint, site, user.history.parent)
        done.conf = dict(line.split("=", 1) for line in Path(told["conf"]).read_text().splitlines())
        assert done.call("--list").exit_code == 0
        assert Path(told["conf"]).stat().st_mode & 0o077 == 0


def test_it_starts_quickly(user: User) -> None:
    def took() -> float:
        start = time.monotonic()
        assert user.call("--status").exit_code == 0
        return time.monotonic() - start

    eventually(lambda: took() < 1.0)
