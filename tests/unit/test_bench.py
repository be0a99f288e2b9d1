"""The benchmark's arithmetic: medians, aims, parts of a build, processes that belong together."""

import time
from argparse import Namespace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bench import figures, memory, parts, report, stage
from bench.__main__ import planned
from bench.children import Command, run_together
from bench.clouds import CLOUDS, OpenStack
from bench.contenders import Case
from bench.figures import Run

from imagesmith.cloud_settings import read_clouds
from imagesmith.generator import load_all

REAL = Case("ec2", "real", 1)
SITE = OpenStack.site
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def run(contender: str, seconds: float, **changes: object) -> Run:
    told: dict[str, object] = {
        "cloud": "ec2",
        "machines": "real",
        "targets": 1,
        "round": 1,
        "cpu_s": 2.0,
        "calls": {"RunInstances": 1, "DescribeInstances": 7},
        "processes": 3,
        "memory_mib": 90.0,
    }
    return Run(contender=contender, seconds=seconds, **{**told, **changes})  # type: ignore[arg-type]


def reached(runs: list[Run]) -> dict[str, bool]:
    return {aim.text: aim.reached for aim in figures.aims(runs)}


def test_a_summary_is_the_median_of_the_runs_that_ended_well() -> None:
    runs = [run("by-hand", seconds) for seconds in (50.0, 10.0, 20.0)]
    found = figures.summaries([*runs, run("by-hand", 1.0, errors=("broke",))], REAL)["by-hand"]
    assert (found.seconds, found.fastest_s, found.slowest_s, found.runs, found.tried) == (20.0, 10.0, 50.0, 3, 4)


def test_a_contender_that_only_failed_has_no_figure() -> None:
    assert figures.summaries([run("packer", 3.0, errors=("broke",))], REAL) == {}


def test_calls_are_per_target() -> None:
    runs = [run("packer", 3.0, targets=6, machines="simulated", calls={"RunInstances": 6, "StopInstances": 3})]
    case = Case("ec2", "simulated", 6)
    assert figures.summaries(runs, case)["packer"].calls_each == 1.5
    assert figures.calls_by_action(runs, case) == {"packer": {"RunInstances": 1.0, "StopInstances": 0.5}}


@pytest.mark.parametrize(
    ("ours_s", "near_by_hand", "below_packer"), [(68.0, True, True), (68.1, False, True), (105.0, False, False)]
)
def test_the_aims_of_one_target(ours_s: float, near_by_hand: bool, below_packer: bool) -> None:
    found = reached([run("by-hand", 60.0), run("imagesmith-builds", ours_s), run("packer", 105.0)])
    assert found["EC2, 1 target, real: imagesmith-builds at most 8 s over by hand"] is near_by_hand
    assert found["EC2, 1 target, real: below Packer as shipped"] is below_packer


def test_calls_are_held_against_the_packer_that_calls_least() -> None:
    packers = [run("packer", 9.0, calls={"A": 8}), run("packer-tuned", 9.0, calls={"A": 20})]
    asks_less = "EC2, 1 on real machines: imagesmith-builds asks the cloud less often than Packer"
    assert reached([*packers, run("imagesmith-builds", 9.0, calls={"A": 7})])[asks_less]
    assert not reached([*packers, run("imagesmith-builds", 9.0, calls={"A": 8})])[asks_less]


def test_at_thirty_the_memory_counts() -> None:
    many = {"machines": "simulated", "targets": 30}
    found = reached(
        [run("packer-tuned", 9.0, memory_mib=3000.0, **many), run("imagesmith-targets", 9.0, memory_mib=1800.0, **many)]
    )
    assert found["EC2, 30 targets, simulated: imagesmith-targets holds less memory in all than Packer"]


def test_aims_without_their_measure_are_not_told() -> None:
    assert reached([run("imagesmith-builds", 30.0)]) == {}


def test_the_time_between_steps_belongs_to_none_of_them() -> None:
    def moment(seconds: float) -> str:
        return (BEGAN + timedelta(seconds=seconds)).isoformat()

    steps = [
        {"step": "launch", "started_at": moment(3), "ended_at": moment(9)},
        {"step": "customize", "started_at": moment(10), "ended_at": moment(20)},
        {"step": "save", "started_at": moment(22), "ended_at": moment(27)},
    ]
    found = parts.parts_of_steps(steps, began=BEGAN, ended=BEGAN + timedelta(seconds=28))
    assert found == {parts.BEFORE: 3, "launch": 6, "customize": 10, "save": 5, parts.BETWEEN: 3, parts.AFTER: 1}


def test_the_last_document_of_a_log_is_read_behind_other_lines() -> None:
    log = 'started\n{"reached": {"ssh": 1.0}}\n{"reached": {"ssh": 5.0, "image": 12.0}}\nbye {"reached": {}}\n'
    found = parts.parts_of(log, began=BEGAN, ended=BEGAN + timedelta(seconds=13))
    assert found == {"ssh": 5.0, "image": 7.0, "start and end of the process": 1.0}


def test_a_log_without_a_document_tells_nothing() -> None:
    assert parts.parts_of("==> amazon-ebs: {no json}\n{ nor\n", began=BEGAN, ended=BEGAN) == {}


def test_descendants_and_what_lost_its_parent_belong_to_the_root() -> None:
    links = {10: (1, 10), 11: (10, 10), 12: (11, 12), 13: (12, 12), 14: (1, 10), 20: (1, 20), 21: (20, 20)}
    assert memory.members([10, 99], links) == {10, 11, 12, 13, 14}


def test_a_process_of_our_own_has_memory() -> None:
    seen = memory.sample([memory_owner()])
    assert seen.processes >= 1
    assert seen.memory_mib > 5


def memory_owner() -> int:
    import os

    return os.getpid()


def test_what_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    def command(script: str, name: str) -> Command:
        return Command(["/bin/sh", "-c", script], {}, tmp_path, tmp_path / name)

    outcome = run_together([command("exit 0", "a"), command("echo the cause; exit 3", "b")], limit_s=5)
    assert outcome.errors == ("sh ended with 3: the cause",)


def test_what_passes_the_limit_is_killed_with_its_children(tmp_path: Path) -> None:
    started: list[int] = []
    stuck = Command(["/bin/sh", "-c", "/bin/sleep 60 & wait"], {}, tmp_path, tmp_path / "log")
    outcome = run_together([stuck], limit_s=0.2, started=started.append)
    assert outcome.errors[0] == "not over after 0 s"
    deadline = time.monotonic() + 10  # a process that was killed is listed until the kernel has ended it
    while memory.members(started, memory.links_now()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert memory.members(started, memory.links_now()) == set()


def test_the_generators_of_the_bench_have_no_mistakes(tmp_path: Path) -> None:
    counts = {"ec2": (1, 30), "openstack": (1, 6)}
    stage.write_include(tmp_path / "include", counts, ssh_port=22)
    loaded = load_all(tmp_path / "include")
    assert loaded.findings == []
    assert len(loaded.generators["openstack-simulated-6"].clouds) == 6
    assert len(loaded.generators["ec2-real-1"].clouds) == 1
    assert set(read_clouds(tmp_path / "include").clouds) == set(stage.named_clouds(counts))


def asked(**changes: object) -> Namespace:
    usual = {"runs": 5, "simulated_runs": None, "only": None, "quick": False, "targets": None, "cloud": None}
    return Namespace(**{**usual, **changes})


def test_simulated_machines_may_have_rounds_of_their_own() -> None:
    found = planned(asked(simulated_runs=3, cloud=["ec2"], targets=(1, 30)))
    assert found == [(REAL, 5), (Case("ec2", "simulated", 1), 3), (Case("ec2", "simulated", 30), 3)]


def test_every_cloud_is_measured_unless_one_is_named() -> None:
    assert {case.cloud_key for case, _ in planned(asked())} == {"ec2", "openstack"}
    assert planned(asked(quick=True, cloud=["openstack"])) == [(Case("openstack", "simulated", 1), 1)]


def test_the_report_has_a_line_for_each_contender_and_says_what_failed() -> None:
    runs = [run("by-hand", 60.0), run("packer", 105.0), run("imagesmith-builds", 67.0, errors=("left behind: i-1",))]
    text = report.markdown(runs, {"cores": "2"})
    assert "| Packer as shipped | 1 | 105.0 (105.0–105.0) | 2.0 | 8.0 | 3 | 90 |" in text
    assert "- round 1, ec2, 1 on real machines, imagesmith-builds: left behind: i-1" in text


def test_the_report_has_a_table_for_each_cloud() -> None:
    runs = [run("by-hand", 60.0), run("by-hand", 50.0, cloud="openstack")]
    ec2, openstack = report.markdown(runs, {"cores": "2"}).split("## OpenStack")
    assert "60.0 (60.0–60.0)" in ec2
    assert "50.0 (50.0–50.0)" in openstack


def test_what_is_left_on_openstack_is_named_but_for_what_was_there() -> None:
    cloud = CLOUDS["openstack"]
    kinds = ("servers", "volumes", "volume_snapshots", "floating_ips", "key_pairs")
    site: dict[str, list[object]] = {kind: [] for kind in kinds}
    site |= {"floating_ips": [{"id": "f-1"}], "security_groups": ["default"]}
    site["images"] = [
        {"id": "base", "owner": "somebody", "status": "active"},
        {"id": "mine", "owner": SITE.project_id, "status": "active"},
        {"id": "half", "owner": SITE.project_id, "status": "saving"},
    ]
    found = {"accounts": {SITE.name: site}}
    assert cloud.left_behind(found) == ["f-1"]
    assert cloud.images(found) == ["mine"]
