"""What the cloud client prints, and the noise that its logging makes in between when a test wants it."""

import sys
import time
from typing import Any, TextIO

_NOISE = (
    "log4j:WARN No appenders could be found for logger (org.apache.axis.i18n.ProjectResourceBundle).",
    "2014-03-06 10:09:04,123 INFO  utils.ServiceUtils [main,<init>:91] Loading properties: jets3t.properties",
)


class Printer:
    """Lines on standard output (`say`) and standard error (`complain`), written at once."""

    def __init__(self) -> None:
        self.noisy = False
        self.silent = False

    def say(self, text: str = "", *, end: str = "\n") -> None:
        """On standard output."""
        self._write(sys.stdout, text, end)

    def complain(self, text: str) -> None:
        """On standard error."""
        self._write(sys.stderr, text, "\n")

    def _write(self, stream: TextIO, text: str, end: str) -> None:
        if self.silent:
            return
        if self.noisy:
            for noise, target in zip(_NOISE, (sys.stderr, sys.stdout), strict=True):
                print(noise, file=target, flush=True)
        print(text, end=end, file=stream, flush=True)


def moment(seconds: float) -> str:
    """A time as Java writes it, in the zone of this machine: `Thu Mar 06 10:09:04 CST 2014`."""
    return time.strftime("%a %b %d %H:%M:%S %Z %Y", time.localtime(seconds))


def created(workspace: dict[str, Any]) -> str:
    """What is printed of a new workspace."""
    facts = (
        ("IP address", workspace["address"]),
        ("Hostname", workspace["hostname"]),
        ("Start time", moment(workspace["started_at"])),
        ("Shutdown time", moment(workspace["shutdown_at"])),
        ("Termination time", moment(workspace["termination_at"])),
    )
    return "\n\n" + "".join(f"{name:>17}: {value}\n" for name, value in facts)


def one(workspace: dict[str, Any]) -> str:
    """The status of one workspace."""
    return (
        "\nNIC: eth0\n  - Association: public\n"
        f"  - IP: {workspace['address']}\n  - Hostname: {workspace['hostname']}\n  - Gateway: 127.0.0.1\n"
        "\nSchedule:\n"
        f"  -        Start time: {moment(workspace['started_at'])}\n"
        f"  -          Duration: {workspace['minutes']} minutes.\n"
        f"  -     Shutdown time: {moment(workspace['shutdown_at'])}\n"
        f"  -  Termination time: {moment(workspace['termination_at'])}\n"
        f"\nState: {workspace['state']}\n"
    )


def entry(workspace: dict[str, Any], *, handles: list[str], image: str) -> str:
    """A workspace in the list of all."""
    lines = [
        f"[*] - Workspace #{workspace['key']}. {workspace['address']} [ {workspace['hostname']} ]",
        f"      State: {workspace['state']}",
    ]
    if workspace["problem"]:
        cut = workspace["problem"][:60] + (" [TRUNCATED]" if len(workspace["problem"]) > 60 else "")
        lines.append(f"      ** PROBLEM: {cut}")
    else:
        lines.append(f"      Duration: {workspace['minutes']} minutes.")
        lines.append(f"      Start time: {moment(workspace['started_at'])}")
        lines.append(f"      Shutdown time: {moment(workspace['shutdown_at'])}")
    lines.append(f"      Termination time: {moment(workspace['termination_at'])}")
    if not handles:
        lines.append("      No matching handle found in history directory.")
    elif len(handles) > 1:
        lines.append(f"      *Possible handles: {' '.join(handles)}")
    else:
        lines += [f"      *Handle: {handles[0]}", f"       Image: {image}"]
    return "\n".join(lines)


def image_entry(name: str, size: int, modified: str, *, rights: str) -> str:
    """An image in a listing; `modified` as the store writes it."""
    date = time.strptime(modified, "%Y-%m-%dT%H:%M:%S.000Z")
    when = time.strftime("%b ", date) + f"{date.tm_mday} {date.tm_year} @ {date.tm_hour:02}:{date.tm_min:02}"
    quoted = f"'{name}'".ljust(33)
    return f"[Image] {quoted}{rights}\n        Modified: {when}   Size: {size} bytes (~{size // 1024 // 1024} MB)\n"
