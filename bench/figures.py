"""From single runs to medians, and from medians to the aims that were set."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.contenders import Case

OURS = ("imagesmith-builds", "imagesmith-rest", "imagesmith-targets")


@dataclass(frozen=True)
class Run:
    """One run of one contender. `calls` counts by action; memory in MiB, `idle_mib` what was held before it."""

    cloud: str
    machines: str
    targets: int
    contender: str
    round: int
    seconds: float
    cpu_s: float
    calls: dict[str, int]
    processes: int
    memory_mib: float
    idle_mib: float = 0.0
    parts_s: dict[str, float] = field(default_factory=dict)
    errors: tuple[str, ...] = ()

    @property
    def case(self) -> Case:
        """What was built."""
        return Case(self.cloud, self.machines, self.targets)


@dataclass(frozen=True)
class Summary:
    """Medians over the runs of one contender in one case that ended well; `runs` of `tried`."""

    contender: str
    targets: int
    runs: int
    tried: int
    seconds: float
    fastest_s: float
    slowest_s: float
    cpu_s: float
    calls: float
    processes: float
    memory_mib: float
    idle_mib: float

    @property
    def calls_each(self) -> float:
        """API calls per target."""
        return self.calls / self.targets


@dataclass(frozen=True)
class Aim:
    """One thing that was to be reached, what was measured for it, and whether it was."""

    text: str
    measured: str
    reached: bool


def summaries(runs: Iterable[Run], case: Case) -> dict[str, Summary]:
    """By contender the summary of the case; contenders with no run that ended well are absent."""
    of_case: dict[str, list[Run]] = {}
    for run in runs:
        if run.case == case:
            of_case.setdefault(run.contender, []).append(run)
    return {key: _summary(some) for key, some in of_case.items() if any(not run.errors for run in some)}


def _summary(runs: Sequence[Run]) -> Summary:
    good = [run for run in runs if not run.errors]
    seconds = [run.seconds for run in good]
    return Summary(
        contender=good[0].contender,
        targets=good[0].targets,
        runs=len(good),
        tried=len(runs),
        seconds=statistics.median(seconds),
        fastest_s=min(seconds),
        slowest_s=max(seconds),
        cpu_s=statistics.median(run.cpu_s for run in good),
        calls=statistics.median(sum(run.calls.values()) for run in good),
        processes=statistics.median(run.processes for run in good),
        memory_mib=statistics.median(run.memory_mib for run in good),
        idle_mib=statistics.median(run.idle_mib for run in good),
    )


def calls_by_action(runs: Iterable[Run], case: Case) -> dict[str, dict[str, float]]:
    """By contender, for each action the median of calls per target."""
    counted: dict[str, list[dict[str, int]]] = {}
    for run in runs:
        if run.case == case and not run.errors:
            counted.setdefault(run.contender, []).append(run.calls)
    return {
        key: {
            action: statistics.median(each.get(action, 0) for each in some) / case.targets
            for action in sorted({action for each in some for action in each})
        }
        for key, some in counted.items()
    }


def cases_of(runs: Iterable[Run]) -> list[Case]:
    """The cases that were run, cloud by cloud, the smaller first."""
    return sorted({run.case for run in runs}, key=lambda each: (each.cloud_key, each.machines, each.targets))


def aims(runs: Sequence[Run]) -> list[Aim]:
    """The aims that the runs can tell something about."""
    found = []
    for case in cases_of(runs):
        measured = summaries(runs, case)
        found += _time_aims(case, measured) + _memory_aim(case, measured) + _calls_aim(case, measured)
    return found


_MOST_S = {1: 8.0, 6: 12.0}


def _time_aims(case: Case, measured: dict[str, Summary]) -> list[Aim]:
    hand, shipped, found = measured.get("by-hand"), measured.get("packer"), []
    where = f"{case.cloud.title}, {case.targets} target{'s' if case.targets > 1 else ''}, {case.machines}"
    for key in OURS:
        ours = measured.get(key)
        if ours and hand and case.targets in _MOST_S:
            more, most = ours.seconds - hand.seconds, _MOST_S[case.targets]
            text = f"{where}: {key} at most {most:.0f} s over by hand"
            found.append(Aim(text, f"{more:+.1f} s", more <= most))
        if ours and shipped and case.targets == 1:
            figures = f"{ours.seconds:.1f} s against {shipped.seconds:.1f} s"
            found.append(Aim(f"{where}: below Packer as shipped", figures, ours.seconds < shipped.seconds))
    return found


def _memory_aim(case: Case, measured: dict[str, Summary]) -> list[Aim]:
    theirs = measured.get("packer-tuned")
    ours = [measured[key] for key in OURS if key in measured]
    if case.targets != 30 or not theirs:
        return []
    return [
        Aim(
            f"{case.cloud.title}, 30 targets, {case.machines}: {each.contender} holds less memory in all than Packer",
            f"{each.memory_mib:.0f} MiB against {theirs.memory_mib:.0f} MiB",
            each.memory_mib < theirs.memory_mib,
        )
        for each in ours
    ]


def _calls_aim(case: Case, measured: dict[str, Summary]) -> list[Aim]:
    """Against the Packer that calls least, which is the one that looks seldom."""
    theirs = [measured[key].calls_each for key in ("packer", "packer-tuned") if key in measured]
    ours = [measured[key] for key in OURS if key in measured]
    return [
        Aim(
            f"{case.cloud.title}, {case.targets} on {case.machines} machines: {each.contender} "
            "asks the cloud less often than Packer",
            f"{each.calls_each:.1f} against {min(theirs):.1f} calls per target",
            each.calls_each < min(theirs),
        )
        for each in ours
        if theirs
    ]
