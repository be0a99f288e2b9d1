"""What a test can let go wrong on a Nimbus site of the sandbox, and what goes wrong by itself: leases and restarts."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagesmith.sandbox import in_process

from .nimbus_client import FAST, SAVED, User, eventually


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with in_process.sandbox(tmp_path_factory.mktemp("sandbox")) as endpoint:
        yield endpoint


@pytest.fixture
def user(endpoint: str, tmp_path: Path) -> User:
    return User(endpoint, "nimbus-hotel-kvm", tmp_path).reset()


def test_a_failed_save_exits_0_and_the_workspace_is_gone_all_the_same(user: User) -> None:
    handle = user.running()
    number = user.workspaces()[0]["id"]
    user.plan("save", "corrupt", text="disk full on the node")
    done = user.save(handle, "mine")
    assert done.exit_code == 0
    assert f"Problem with Workspace #{number}: disk full on the node" in done.err.splitlines()
    assert SAVED not in done.err + done.out
    assert user.head(user.key("mine")).status_code == 404
    assert user.workspaces() == []


def test_a_failed_save_leaves_what_was_there_before(user: User) -> None:
    user.save(user.running(), "mine")
    before = user.head(user.key("mine")).headers["ETag"]
    handle = user.running()
    user.plan("save", "corrupt")
    user.save(handle, "mine")
    assert user.head(user.key("mine")).headers["ETag"] == before


def test_a_save_that_says_nothing(user: User) -> None:
    handle = user.running()
    user.plan("save", "silent")
    done = user.save(handle, "mine")
    assert (done.exit_code, done.out, done.err) == (0, "", "")
    assert user.head(user.key("mine")).status_code == 200
    handle = user.running()
    user.plan("save", "silent")
    user.plan("save", "corrupt")
    done = user.save(handle, "other")
    assert (done.exit_code, done.out, done.err) == (0, "", "")
    assert user.head(user.key("other")).status_code == 404


def test_a_node_that_fails(user: User) -> None:
    user.plan("run", "corrupt", text="the node failed")
    done = user.run()
    assert done.exit_code == 2
    assert "Problem with vm-001: the node failed" in done.err.splitlines()
    assert '"vm-001" did NOT reach target state "Running"' in done.err
    assert "target state: Running" not in done.out
    assert user.call("--status", "--handle", "vm-001").after("State:") == "Corrupted"
    assert "      ** PROBLEM: the node failed" in user.call("--status").out
    assert user.call("--terminate", "--handle", "vm-001").exit_code == 0
    assert user.running() == "vm-002", "the fault is for one launch"


def test_a_client_that_hangs_before_the_workspace_is_created(user: User) -> None:
    user.plan("run", "hang_before", seconds=60)
    process = user.start(*user.run_arguments())
    eventually(lambda: (user.history / "vm-001").exists())
    time.sleep(0.2)
    process.kill()
    process.communicate()
    assert user.workspaces() == []
    assert not (user.history / "vm-001" / "vw-epr.xml").exists()


def test_a_client_that_hangs_after_the_workspace_is_created(user: User) -> None:
    user.plan("run", "hang_after", seconds=60)
    process = user.start(*user.run_arguments())
    eventually(user.workspaces)
    process.kill()
    out, _ = process.communicate()
    assert out.endswith('Creating workspace "vm-001"...')
    assert not (user.history / "vm-001" / "vw-epr.xml").exists()
    eventually(lambda: user.workspaces()[0]["state"] == "Running")
    assert "No matching handle found" in user.call("--status").out, "that is how an orphan is found"


def test_a_client_that_does_not_end(user: User) -> None:
    user.plan("run", "hang_at_end", seconds=60)
    process = user.start(*user.run_arguments())
    eventually(lambda: (user.history / "vm-001" / "vw-epr.xml").exists())
    eventually(lambda: user.workspaces()[0]["state"] == "Running")
    assert process.poll() is None
    process.kill()
    process.communicate()
    assert user.call("--status", "--handle", "vm-001").after("State:") == "Running"


def test_a_save_goes_on_without_its_client(user: User) -> None:
    handle = user.running()
    user.plan("save", "hang_after", seconds=60)
    process = user.start("--save", "--handle", handle, "--newname", "mine")
    eventually(lambda: user.head(user.key("mine")).status_code == 200)
    process.kill()
    process.communicate()
    assert user.call("--status", "--handle", handle).after("State:") == "TransportReady"
    again = user.save(handle, "again")
    assert (again.exit_code, "TransportReady" in again.err) == (2, True)
    assert user.call("--terminate", "--handle", handle).exit_code == 0


def test_a_workspace_that_ends_while_it_is_saved_leaves_no_image(user: User) -> None:
    handle = user.running()
    user.set(image_s=4.0)
    user.plan("save", "hang_after", seconds=60)
    process = user.start("--save", "--handle", handle, "--newname", "mine")
    eventually(lambda: user.workspaces()[0]["state"] == "ReadyingForTransport")
    assert user.call("--terminate", "--handle", handle).exit_code == 0
    process.kill()
    process.communicate()
    time.sleep(4.2)
    assert user.head(user.key("mine")).status_code == 404


@pytest.mark.parametrize("action", ["run", "status", "save", "terminate"])
def test_a_service_that_says_no(user: User, action: str) -> None:
    handle = user.running()
    user.plan(action, "refuse", text="not today")
    arguments = {
        "run": user.run_arguments(),
        "status": ["--status"],
        "save": ["--save", "--handle", handle, "--newname", "mine"],
        "terminate": ["--terminate", "--handle", handle],
    }[action]
    done = user.call(*arguments)
    assert (done.exit_code, done.err.strip()) == (2, "Problem: not today")
    assert [each["state"] for each in user.workspaces()] == ["Running"]


def test_a_client_that_crashes(user: User) -> None:
    user.plan("list", "crash", text="java.lang.OutOfMemoryError", count=2)
    for expected in (3, 3, 0):
        assert user.call("--list").exit_code == expected


def test_a_fault_after_calls_that_go_well(user: User) -> None:
    user.plan("list", "crash", after=2)
    assert [user.call("--list").exit_code for _ in range(4)] == [0, 0, 3, 0]


def test_a_client_that_the_kernel_kills(user: User) -> None:
    handle = user.running()
    user.plan("terminate", "killed")
    done = user.call("--terminate", "--handle", handle)
    assert (done.exit_code, done.err, "Destroying" in done.out) == (137, "", False)
    assert [each["state"] for each in user.workspaces()] == ["Running"]


def test_a_client_whose_answer_is_lost(user: User) -> None:
    user.plan("run", "crash_after")
    assert user.run().exit_code == 3
    eventually(lambda: [each["state"] for each in user.workspaces()] == ["Running"])
    assert user.call("--status", "--handle", "vm-001").exit_code == 1, "the history knows nothing of it"
    handle = user.running()
    user.plan("terminate", "crash_after")
    assert user.call("--terminate", "--handle", handle).exit_code == 3
    assert user.call("--status", "--handle", handle).exit_code == 2
    handle = user.running()
    user.plan("save", "crash_after")
    assert user.save(handle, "mine").exit_code == 3
    eventually(lambda: user.head(user.key("mine")).status_code == 200)


def test_a_site_that_is_busy_for_one_call_whatever_it_is(user: User) -> None:
    user.plan("any", "busy")
    done = user.run()
    assert (done.exit_code, done.out, "Connection refused" in done.err) == (2, "", True)
    assert user.run().exit_code == 0
    user.plan("any", "busy")
    answer = user.head("VMS/common/simulated-1")
    assert answer.status_code == 503
    assert user.head("VMS/common/simulated-1").status_code == 200
    user.plan("store", "busy")
    assert "the repository answered 503" in user.run().err
    user.plan("store", "busy", count=2)
    assert user.call("--status").exit_code == 0
    assert (user.call("--list").exit_code, user.call("--list").exit_code) == (2, 2)
    assert user.call("--list").exit_code == 0


def test_planned_faults_can_be_taken_back_and_are_checked(user: User) -> None:
    user.plan("list", "crash")
    assert user.set(fault=None)["faults"] == []
    assert user.call("--list").exit_code == 0
    assert "action" in user.plan("fly", "crash")["error"]
    assert "kind" in user.plan("run", "explode")["error"]
    assert "delay" in user.plan("run", "crash", delay=1)["error"]
    assert "speed" in user.set(speed=1)["error"]


def test_a_service_that_is_down(user: User) -> None:
    user.set(factory=False)
    for arguments in (["--status"], user.run_arguments()):
        done = user.call(*arguments)
        assert (done.exit_code, "Connection refused" in done.err) == (2, True)
    assert user.call("--list").exit_code == 0, "the image store is another service"
    user.set(factory=True, repository=False)
    assert user.call("--status").exit_code == 0
    done = user.call("--list")
    assert (done.exit_code, "Connection refused" in done.err) == (2, True)
    user.reset()
    assert user.call("--list").exit_code == 0


def test_noise_of_javas_logging(user: User) -> None:
    user.set(noise=True)
    done = user.save(user.running(), "mine")
    assert done.exit_code == 0
    assert "log4j:WARN" in done.err
    assert "INFO" in done.out
    assert SAVED in done.err.splitlines()


def test_a_lease_ends_by_itself(user: User) -> None:
    user.set(minute_s=0.2)
    handle = user.run(hours=str(4.5 / 60)).after("Running: ").strip("'")
    workspace = user.workspaces()[0]
    assert workspace["minutes"] == 4
    assert workspace["shutdown_at"] - workspace["started_at"] == pytest.approx(4 * 0.2)
    eventually(lambda: user.workspaces()[0]["state"] == "Propagated")
    assert workspace["shutdown_at"] <= time.time()
    eventually(lambda: not user.workspaces())
    assert time.time() == pytest.approx(workspace["termination_at"], abs=1.0)
    assert user.call("--status", "--handle", handle).exit_code == 2


def test_a_lease_of_no_whole_minute(user: User) -> None:
    done = user.run(hours="0.01")
    assert done.exit_code == 2
    assert user.workspaces() == []


def test_workspaces_outlive_the_sandbox_as_far_as_their_machines_do(tmp_path: Path) -> None:
    with in_process.sandbox(tmp_path / "sandbox") as endpoint:
        user = User(endpoint, "nimbus-hotel-xen", tmp_path)
        user.set(**FAST)
        user.save(user.running(), "mine")
        handle = user.running()
        number = user.workspaces()[0]["id"]
    with in_process.sandbox(tmp_path / "sandbox") as endpoint:
        again = User(endpoint, "nimbus-hotel-xen", tmp_path)
        user.conf |= {key: again.conf[key] for key in ("vws.factory", "vws.repository")}
        user.endpoint, user.repository = endpoint, again.repository
        assert user.conf == again.conf, "credentials stay"
        assert user.head(user.key("mine")).status_code == 200
        assert user.call("--status", "--handle", handle).after("State:") == "Corrupted"
        assert user.call("--terminate", "--handle", handle).exit_code == 0
        user.running()
        assert int(user.workspaces()[0]["id"]) == int(number) + 1


def test_what_was_called_is_counted(user: User) -> None:
    user.control("/reset", account=user.site)
    user.running()
    counted = user.told("/calls")["accounts"][user.site]["actions"]
    assert counted["factory create"] == 1
    assert counted["repository HEAD"] == 2, "its own key first, then the common one"
    assert not re.search("behave", str(counted))
