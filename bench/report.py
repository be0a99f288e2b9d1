"""The figures as Markdown tables for docs/benchmarks.md, and all single runs as JSON."""

import json
import os
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from bench import packer
from bench.clouds import CLOUDS, Cloud
from bench.contenders import (
    ByHand,
    Case,
    Contender,
    ImagesmithBuilds,
    ImagesmithRest,
    ImagesmithTargets,
    Packer,
    PackerAsShipped,
)
from bench.figures import Aim, Run, Summary, aims, calls_by_action, cases_of, summaries

ALL: tuple[type[Contender], ...] = (
    ByHand,
    ImagesmithBuilds,
    ImagesmithRest,
    ImagesmithTargets,
    PackerAsShipped,
    Packer,
)
TITLES = {each.key: each.title for each in ALL}
_HEAD = (
    "| | runs | seconds: median (min–max) | CPU seconds | API calls per target | processes | memory MiB (of it idle) |"
)


def conditions(acceleration: str, extra: Mapping[str, str]) -> dict[str, str]:
    """What the figures hold for, as it is at the start."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": str(os.cpu_count()),
        "memory": f"{pages * size / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "virtual machines": acceleration,
        "load before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "Packer": packer.version() or "none here, so it is not measured",
        **({"settings tried": " ".join(f"{name}={value}" for name, value in extra.items())} if extra else {}),
    }


def write(runs: Sequence[Run], where: Path, *, stands: Mapping[str, str]) -> str:
    """The Markdown, which is also left at `where`.md beside all runs in `where`.json."""
    text = markdown(runs, stands)
    where.parent.mkdir(parents=True, exist_ok=True)
    where.with_suffix(".md").write_text(text)
    document = {"conditions": dict(stands), "runs": [asdict(run) for run in runs]}
    where.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n")
    return text


def markdown(runs: Sequence[Run], stands: Mapping[str, str]) -> str:
    """All tables."""
    sections = ["; ".join(f"{name}: {value}" for name, value in stands.items()) + "."]
    for cloud in CLOUDS.values():
        sections += _cloud_sections([run for run in runs if run.cloud == cloud.key], cloud)
    sections += [_failures_section(runs)]
    return "\n\n".join(section for section in sections if section) + "\n"


def _cloud_sections(runs: Sequence[Run], cloud: Cloud) -> list[str]:
    cases = cases_of(runs)
    single = [case for case in cases if case.targets == 1]
    return [
        f"## {cloud.title}" if cases else "",
        *(_case_section(runs, case) for case in cases),
        _aims_section(aims(runs)),
        *(_parts_section(runs, case) for case in single),
        *(_calls_section(runs, case) for case in single),
    ]


def _case_section(runs: Sequence[Run], case: Case) -> str:
    how = "on a real virtual machine" if case.machines == "real" else "on machines that answer by the clock"
    title = f"### {case.targets} target{'s at once' if case.targets > 1 else ''} {how}"
    found = summaries(runs, case)
    return "\n".join(
        [title, "", _HEAD, "|---|---|---|---|---|---|---|", *(_row(found[key]) for key in TITLES if key in found)]
    )


def _row(each: Summary) -> str:
    ran = f"{each.runs}" if each.runs == each.tried else f"{each.runs} of {each.tried}"
    seconds = f"{each.seconds:.1f} ({each.fastest_s:.1f}–{each.slowest_s:.1f})"
    idle = f" ({each.idle_mib:.0f})" if each.idle_mib else ""
    cells = [
        TITLES[each.contender],
        ran,
        seconds,
        f"{each.cpu_s:.1f}",
        f"{each.calls_each:.1f}",
        f"{each.processes:.0f}",
    ]
    return f"| {' | '.join(cells)} | {each.memory_mib:.0f}{idle} |"


def _aims_section(found: Sequence[Aim]) -> str:
    rows = [f"| {aim.text} | {aim.measured} | {'yes' if aim.reached else '**no**'} |" for aim in found]
    return "\n".join(["### Aims", "", "| aim | measured | reached |", "|---|---|---|", *rows]) if rows else ""


def _parts_section(runs: Iterable[Run], case: Case) -> str:
    """Where the time of one target goes, for those who tell."""
    told: dict[str, list[dict[str, float]]] = {}
    for run in runs:
        if run.case == case and run.parts_s and not run.errors:
            told.setdefault(run.contender, []).append(run.parts_s)
    rows = [f"| {TITLES[key]} | {_parts_text(some)} |" for key, some in told.items()]
    head = [
        f"### Where the seconds go, one target, {case.machines}",
        "",
        "| | seconds by part (medians) |",
        "|---|---|",
    ]
    return "\n".join([*head, *rows]) if rows else ""


def _parts_text(some: Sequence[Mapping[str, float]]) -> str:
    return ", ".join(f"{name} {statistics.median(each.get(name, 0.0) for each in some):.1f}" for name in some[0])


def _calls_section(runs: Sequence[Run], case: Case) -> str:
    counted = calls_by_action(runs, case)
    present = [key for key in TITLES if key in counted]
    actions = sorted({action for each in counted.values() for action in each})
    rows = [f"| {action} | {' | '.join(f'{counted[key].get(action, 0):g}' for key in present)} |" for action in actions]
    head = f"| API calls of one target, {case.machines} | {' | '.join(TITLES[key] for key in present)} |"
    return "\n".join([head, "|---" * (len(present) + 1) + "|", *rows]) if rows else ""


def _failures_section(runs: Iterable[Run]) -> str:
    lines = [
        f"- round {run.round}, {run.cloud}, {run.targets} on {run.machines} machines, {run.contender}: "
        f"{' '.join(error.split())}"
        for run in runs
        for error in run.errors
    ]
    return "\n".join(["### Failures", "", *lines]) if lines else ""
