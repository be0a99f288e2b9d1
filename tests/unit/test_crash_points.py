"""Instants at which a test of durability holds a process: which are taken, and by whom."""

import os
import subprocess
import sys
from pathlib import Path

PASSES_BY = """
from imagesmith import crash_points
crash_points.enter("launch_vm", "ec2")
crash_points.reach(crash_points.AFTER_CALL, kind="key_pair")
crash_points.reach(crash_points.AFTER_CALL, kind="instance")
"""


def pass_by(points: Path, *armed: str) -> set[str]:
    """The instants a process was held at that made a key pair and an instance on EC2; it may go on at once."""
    for name in armed:
        (points / name).touch()
        (points / f"{name}.go").touch()
    # The setting is read when the process begins.
    child = subprocess.Popen(
        [sys.executable, "-c", PASSES_BY], env={**os.environ, "IMAGESMITH_CRASH_POINTS": str(points)}
    )
    assert child.wait(timeout=30) == 0
    reached = list(points.glob("*.reached"))
    assert all(int(path.read_text()) == child.pid for path in reached)
    return {path.stem for path in reached}


def test_an_instant_is_reached_by_its_own_name_and_by_that_of_what_is_made(tmp_path: Path) -> None:
    of_any, of_one = "launch_vm.ec2.after_call", "launch_vm.ec2.after_call.instance"
    others = ["launch_vm.openstack.after_call", "customize.ec2.after_call", "launch_vm.ec2.after_call.image"]
    assert pass_by(tmp_path, of_any, of_one, *others) == {of_any, of_one}


def test_an_instant_holds_the_first_who_comes_and_nobody_after(tmp_path: Path) -> None:
    assert pass_by(tmp_path, "launch_vm.ec2.after_call") == {"launch_vm.ec2.after_call"}
    (tmp_path / "launch_vm.ec2.after_call.reached").unlink()
    assert pass_by(tmp_path) == set()
