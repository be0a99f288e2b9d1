"""What builds look like in a terminal: a table that moves, or lines where there is no terminal to move in."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol, TextIO

from imagesmith.catalog.records import BuildRecord, StepRecord
from imagesmith.consistency import Comparison, sentence, table
from imagesmith.core import TargetState
from imagesmith.progress import BuildProgress, TargetProgress

if TYPE_CHECKING:
    from rich.table import Table

COLOURS = {
    TargetState.SUCCESSFUL: "green",
    TargetState.FAILED: "red",
    TargetState.CANCELLED: "yellow",
}
LAST_LINE_CHARS = 60
# So many differences of a build's images; all are in the JSON.
MOST_ROWS = 20
# A build begins within two seconds; after this many something is the matter.
LONG_S = 20.0
NOT_BEGUN = "Airflow has not begun the build yet; it may be busy, or not well: `imagesmith airflow status` tells"


class Screen(Protocol):
    """Where the looks at a build go."""

    def show(self, progress: BuildProgress | None) -> None:
        """The newest look; None before the build began."""

    def close(self) -> None:
        """Leave the last look standing."""


def open_screen(stream: TextIO = sys.stdout) -> Screen:
    """A moving table in a terminal, else lines."""
    return MovingTable(stream) if stream.isatty() else ChangedLines(stream)


class ChangedLines:
    """A line whenever a target has changed, with the seconds since the start."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._since = time.monotonic()
        self._said: dict[str, str] = {}

    def show(self, progress: BuildProgress | None) -> None:
        """Says what is new."""
        if progress is None:
            if time.monotonic() - self._since > LONG_S:
                self._say("", NOT_BEGUN)
            return
        build = progress.build
        self._say("", f"build {build.build_id} of {build.generator} {build.version} began")
        for each in progress.targets:
            self._say(each.cloud, f"{each.cloud}: {_in_words(each)}")
            if each.target.error:
                self._say(f"{each.cloud} error", _first_line(each.target.error))

    def close(self) -> None:
        """Nothing: lines stand as they are."""

    def _say(self, key: str, text: str) -> None:
        if self._said.get(key) != text:
            self._said[key] = text
            print(f"{time.monotonic() - self._since:7.1f} s  {text}", file=self._stream, flush=True)


class MovingTable:
    """A table that is drawn anew at every look."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live

        self._since = time.monotonic()
        self._stack = ExitStack()
        self._live = self._stack.enter_context(Live(console=Console(file=stream), auto_refresh=False))

    def show(self, progress: BuildProgress | None) -> None:
        """Draws the table."""
        waiting = NOT_BEGUN if time.monotonic() - self._since > LONG_S else "waiting for Airflow to begin the build"
        self._live.update(waiting if progress is None else targets_table(progress), refresh=True)

    def close(self) -> None:
        """Leaves the table on the screen."""
        self._stack.close()


def targets_table(progress: BuildProgress) -> Table:
    """The build's targets, a row each."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    now, build = datetime.now(UTC), progress.build
    title = f"build {build.build_id} of {build.generator} {build.version}: {progress.state}"
    table = Table(
        title=f"{title}, {progress.seconds(now):.0f} s", title_justify="left", title_style="bold", box=box.SIMPLE
    )
    for heading in ("cloud", "state", "instance", "step", "image", ""):
        table.add_column(heading, overflow="fold")
    for each in progress.targets:
        target = each.target
        state = Text(str(target.state), style=COLOURS.get(target.state, "cyan"))
        remark = _first_line(target.error) if target.error else last_line(each)
        image = each.image.image_id if each.image else ""
        row = (target.cloud, state, target.instance_id, _step_in_words(each.step, now), image, Text(remark))
        table.add_row(*row)
    return table


def last_line(progress: TargetProgress) -> str:
    """The end of what the script has printed, while it runs."""
    if progress.target.state is not TargetState.CUSTOMIZING:
        return ""
    lines = progress.target.output_tail.rstrip().replace("\r", "\n").splitlines()
    return _printable(lines[-1])[:LAST_LINE_CHARS] if lines else ""


def summary(progress: BuildProgress) -> list[str]:
    """What a build came to, for people: a line for it, some for each target."""
    now, build = datetime.now(UTC), progress.build
    took = "in" if progress.ended else "after"
    head = f"build {build.build_id} of {build.generator} {build.version}: {progress.state}"
    lines = [f"{head} {took} {progress.seconds(now):.1f} s"]
    for each in progress.targets:
        lines += _target_lines(each, now)
    return lines + _verdict_lines(build)


def _verdict_lines(build: BuildRecord) -> list[str]:
    """Whether the images are the same, and in what they are not."""
    if not build.comparison:
        return []
    comparison = Comparison.model_validate(build.comparison)
    return [f"  images are {sentence(comparison)}", *(f"    {line}" for line in table(comparison, most=MOST_ROWS))]


def _target_lines(progress: TargetProgress, now: datetime) -> list[str]:
    target, image = progress.target, progress.image
    optional = "" if target.required else " (not required)"
    lines = [f"  {target.cloud}{optional}: {target.state}"]
    if image is not None:
        lines.append(f"    image     {image.image_id}  {image.name}{'  public' if image.public else ''}")
    if image is not None and target.kept_image_id:
        lines.append(f"    unchanged since build {image.build_id}, so nothing was built")
    if target.source_image_id:
        lines.append(f"    made from {target.source_image_id}  {target.source_image_name}")
    if progress.steps:
        steps = (_step_in_words(step, now) for step in progress.steps)
        lines.append(f"    steps     {', '.join(steps)}")
    if target.error:
        lines.append("    reason    " + target.error.strip().replace("\n", "\n              "))
    return lines


def _in_words(progress: TargetProgress) -> str:
    """What is worth a line of its own when it changes."""
    target = progress.target
    step = progress.step
    words = [str(target.state)]
    if step is not None and step.ended_at is None:
        words.append(step.step)
    if target.instance_id and not target.state.ended:
        words.append(target.instance_id + (f" at {target.address}" if target.address else ""))
    if progress.image is not None:
        words.append(f"image {progress.image.image_id} {progress.image.name}")
    return ", ".join(words)


def _step_in_words(step: StepRecord | None, now: datetime) -> str:
    if step is None:
        return ""
    return f"{step.step} {((step.ended_at or now) - step.started_at).total_seconds():.1f} s"


def _first_line(text: str) -> str:
    return _printable(text.strip().partition("\n")[0])


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()
