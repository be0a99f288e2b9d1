"""`python -m bench`: starts a sandbox and an Airflow of its own, measures, prints the tables, ends everything."""

import argparse
import os
import re
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from bench import measure, report
from bench.clouds import CLOUDS
from bench.contenders import Case, Contender, contenders
from bench.figures import Run
from bench.stage import Stage, open_stage
from imagesmith import settings
from imagesmith.errors import ImagesmithError
from imagesmith.proxies import leave_out_loopback


def main(words: Sequence[str] | None = None) -> int:
    """0 when every run ended well, 1 when some did not; what was measured is written in any case."""
    arguments = _parser().parse_args(words)
    leave_out_loopback(os.environ)
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGHUP, _end)
    if arguments.only in ("catalog", "pages"):
        return _over_a_catalog(arguments)
    counts, cases = target_counts(arguments), planned(arguments)
    extra = dict(arguments.set)
    runs: list[Run] = []
    try:
        with open_stage(counts, extra) as stage:
            stands = report.conditions(str(stage.ask("/health")["acceleration"]), extra)
            try:
                _run(stage, cases, arguments, runs)
            finally:
                where = settings.home() / "bench" / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
                print(f"\n{report.write(runs, where, stands=stands)}\nwritten to {where}.md and .json", flush=True)
    except ImagesmithError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 1 if any(run.errors for run in runs) else 0


def _over_a_catalog(arguments: argparse.Namespace) -> int:
    """0 after the catalog's questions, or the pages, were asked of many; that needs neither sandbox nor Airflow."""
    from bench import catalog, pages

    measured = pages.measure if arguments.only == "pages" else catalog.measure
    counts = {"generators": 50, "builds": 500} if arguments.quick and arguments.only == "pages" else {}
    try:
        print(measured(arguments.runs, _say, **counts), flush=True)
    except ImagesmithError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def target_counts(arguments: argparse.Namespace) -> dict[str, tuple[int, ...]]:
    """By cloud the numbers of simulated machines at once."""
    return {key: arguments.targets or CLOUDS[key].targets for key in CLOUDS if key in (arguments.cloud or CLOUDS)}


def planned(arguments: argparse.Namespace) -> list[tuple[Case, int]]:
    """The cases with the number of their rounds, cloud by cloud."""
    runs, simulated_runs = arguments.runs, arguments.simulated_runs or arguments.runs
    cases = []
    for key, counts in target_counts(arguments).items():
        if arguments.quick:
            cases.append((Case(key, "simulated", min(counts)), 1))
            continue
        if arguments.only != "simulated":
            cases.append((Case(key, "real", 1), runs))
        if arguments.only != "real":
            cases += [(Case(key, "simulated", count), simulated_runs) for count in counts]
    return cases


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--runs", type=_positive, default=5, help="rounds; the tables show medians of them (5)")
    parser.add_argument("--simulated-runs", type=_positive, help="another number of rounds for simulated machines")
    parser.add_argument("--minutes", type=_positive, default=90, help="begin no round that would end later (90)")
    parser.add_argument(
        "--only",
        choices=("real", "simulated", "catalog", "pages"),
        help="machines of this kind; the catalog, or the pages, only",
    )
    parser.add_argument("--quick", action="store_true", help="one round of the smallest simulated case, no warm-up")
    parser.add_argument("--cloud", action="append", choices=CLOUDS, help="only this one; may be given again")
    usual = "; ".join(f"{','.join(map(str, each.targets))} on {each.title}" for each in CLOUDS.values())
    parser.add_argument("--targets", type=_counts, help=f"simulated machines at once ({usual})")
    keys = [each.key for each in contenders()]
    parser.add_argument("--contender", action="append", choices=keys, help="only this one; may be given again")
    parser.add_argument(
        "--set", type=_pair, action="append", default=[], metavar="NAME=VALUE", help="a setting of Airflow to try"
    )
    return parser


def _positive(word: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", word) or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word!r:.80} is no whole number from 1 on; write digits only")
    return int(word)


def _pair(word: str) -> tuple[str, str]:
    name, sign, value = word.partition("=")
    if not name or not sign:
        raise argparse.ArgumentTypeError(f"{word!r:.80} is no NAME=VALUE; write --set NAME=VALUE")
    return name, value


def _counts(word: str) -> tuple[int, ...]:
    return tuple(sorted({_positive(each) for each in word.split(",")}))


def _chosen(keys: Sequence[str] | None) -> list[Contender]:
    return [each for each in contenders() if not keys or each.key in keys]


def _run(stage: Stage, cases: Sequence[tuple[Case, int]], arguments: argparse.Namespace, runs: list[Run]) -> None:
    """Appends each run as it ends, so that an interruption loses none."""
    chosen = _chosen(arguments.contender)
    if max(count for _, count in cases) > 1:
        clouds = dict.fromkeys(case.cloud_key for case, _ in cases)
        measure.warm_up(stage, [Case(key, "simulated", 1) for key in clouds], chosen, _say)
    for run in measure.rounds(stage, cases, chosen, minutes=arguments.minutes, say=_say):
        runs.append(run)


def _say(text: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", flush=True)


def _end(number: int, frame: object) -> None:
    """Ends as on Ctrl-C, with everything that was started."""
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
