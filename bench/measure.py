"""Runs every contender in every case, round by round, so that a slow minute of the machine meets them all."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from bench import memory
from bench.children import Command, run_together
from bench.contenders import Case, Contender
from bench.figures import Run
from bench.parts import parts_of
from bench.stage import Stage

LIMIT_S = {"real": 900.0, "simulated": 300.0}
SETTLE_S = 2.0

Say = Callable[[str], None]


def rounds(
    stage: Stage, cases: Sequence[tuple[Case, int]], contenders: Sequence[Contender], *, minutes: float, say: Say
) -> Iterator[Run]:
    """Every run as it is over; each case comes with how many rounds it has.

    No round begins that would end after so many minutes if it took as long as the longest before it.
    """
    began, longest_s = time.monotonic(), 0.0
    for number in range(1, max(count for _, count in cases) + 1):
        round_began = time.monotonic()
        if longest_s and round_began - began + longest_s > minutes * 60:
            say(f"no time for round {number}: {minutes:g} minutes would be over before its end")
            return
        for case in [case for case, count in cases if number <= count]:
            for contender in contenders:
                if contender.takes_part(case):
                    run = measure(stage, case, contender, number=number)
                    say(_line(run))
                    yield run
        longest_s = max(longest_s, time.monotonic() - round_began)


def warm_up(stage: Stage, cases: Sequence[Case], contenders: Sequence[Contender], say: Say) -> None:
    """Each once in each case and uncounted, so that nobody's first run pays for reading programs from the disk."""
    for case in cases:
        for contender in contenders:
            if contender.takes_part(case):
                run = measure(stage, case, contender, number=0)
                say(f"warm-up, not counted: {_line(run)}")


def measure(stage: Stage, case: Case, contender: Contender, *, number: int) -> Run:
    """One run with what it took; `errors` of the run say what went wrong with it."""
    stage.fresh(case.cloud)
    time.sleep(SETTLE_S)
    standing = stage.airflow_pids() if contender.uses_airflow else []
    idle, cpu_before = memory.sample(standing), memory.cpu_s(standing)
    commands = contender.commands(stage, case)
    began = datetime.now(UTC)
    with memory.Watch(standing) as watch:
        outcome = run_together(commands, limit_s=LIMIT_S[case.machines], started=watch.add)
    return Run(
        cloud=case.cloud_key,
        machines=case.machines,
        targets=case.targets,
        contender=contender.key,
        round=number,
        seconds=round(outcome.seconds, 2),
        cpu_s=round(outcome.cpu_s + memory.cpu_s(standing) - cpu_before, 1),
        calls=stage.calls(case.cloud),
        processes=watch.peak.processes,
        memory_mib=round(watch.peak.memory_mib, 1),
        idle_mib=round(idle.memory_mib, 1),
        parts_s=_parts(commands, began=began, seconds=outcome.seconds),
        errors=(*outcome.errors, *stage.complaints(case.cloud, images=case.targets)),
    )


def _parts(commands: Sequence[Command], *, began: datetime, seconds: float) -> dict[str, float]:
    if len(commands) > 1:
        return {}
    log = commands[0].log.read_text(errors="replace")
    found = parts_of(log, began=began, ended=began + timedelta(seconds=seconds))
    return {name: round(took, 2) for name, took in found.items()}


def _line(run: Run) -> str:
    where = f"{run.cloud}, {run.targets} on {run.machines} machines"
    head = f"round {run.round}: {where}, {run.contender}: {run.seconds:.1f} s"
    calls = sum(run.calls.values())
    what = f"{run.cpu_s:.1f} CPU s, {calls} calls, {run.processes} processes, {run.memory_mib:.0f} MiB"
    return f"{head}, {what}" + "".join(f"\n  FAILED: {error}" for error in run.errors)
