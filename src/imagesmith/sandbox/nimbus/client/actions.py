"""What the cloud client does for each of its actions. All raise a Problem (problems.py)."""

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from imagesmith.sandbox.nimbus.client import history, printing
from imagesmith.sandbox.nimbus.client.configuration import Configuration
from imagesmith.sandbox.nimbus.client.history import History
from imagesmith.sandbox.nimbus.client.options import Options
from imagesmith.sandbox.nimbus.client.printing import Printer
from imagesmith.sandbox.nimbus.client.problems import ExecutionProblem, ParameterProblem, Problem
from imagesmith.sandbox.nimbus.client.repository import Repository
from imagesmith.sandbox.nimbus.client.service import REFUSED, Service
from imagesmith.sandbox.nimbus.states import CORRUPTED, RUNNING, SAVED

# A shell's exit code for a program that signal 9 has ended.
_KILLED = 137


class CloudClient:
    """One invocation."""

    def __init__(self, options: Options, configuration: Configuration, printer: Printer) -> None:
        self._options = options
        self._configuration = configuration
        self._printer = printer
        self._service = Service(configuration)
        self._history = History(options.values.get("history-dir", ""))
        self._planned: dict[str, Any] = {}

    def act(self) -> None:
        """Does what was asked for."""
        action = self._options.action
        self._learn_behaviour(action)
        actions: dict[str, Callable[[], None]] = {
            "run": self._run,
            "status": self._status,
            "save": self._save,
            "terminate": self._terminate,
            "list": self._list,
        }
        actions[action]()
        self._hang("hang_at_end")

    def _run(self) -> None:
        options, say = self._options, self._printer.say
        name, hours = options.need("name", "Running"), options.need("hours", "Running")
        minutes = _minutes(hours)
        public_key = _public_key(options.values.get("ssh-pubkey", ""), self._printer)
        options.need("history-dir", "Running")
        self._history.create()
        location = self._configuration.image_url(Repository(self._configuration).find(name))
        mount_as = self._configuration.mount_as
        handle = self._history.new_handle(location=location, mount_as=mount_as)
        say("\nLaunching workspace.\n")
        say(f"Workspace Factory Service:\n    https://{self._service.address}/wsrf/services/WorkspaceFactoryService\n")
        say(f'Creating workspace "{handle}"...', end="")
        self._hang("hang_before")
        workspace = self._service.ask(
            "WorkspaceFactoryService",
            "create",
            image_url=location,
            mount_as=mount_as,
            minutes=minutes,
            memory_mb=self._configuration.memory_mb,
            public_key=public_key,
        )
        self._hang("hang_after")
        self._history.note(handle, workspace["key"], factory=self._service.address)
        say(" done.")
        say(printing.created(workspace))
        say("Waiting for updates.\n")
        self._await_running(handle, workspace["key"])

    def _await_running(self, handle: str, key: str) -> None:
        workspace = self._await(key, RUNNING)
        if workspace["state"] == RUNNING:
            self._printer.say(f"\n\"{handle}\" reached target state: {RUNNING}\n\nRunning: '{handle}'")
            return
        self._printer.complain(f"\nProblem with {handle}: {workspace['problem']}\n")
        raise ExecutionProblem(f'"{handle}" did NOT reach target state "{RUNNING}"')

    def _status(self) -> None:
        if {"handle", "epr-file"} & set(self._options.values):
            key = self._key("Checking status of one workspace")
            self._hang("hang_before")
            workspace = self._service.ask("WorkspaceService", "currentState", key=key)
            self._hang("hang_after")
            self._printer.say(printing.one(workspace))
            return
        self._printer.say("Querying for ALL instances.\n")
        self._hang("hang_before")
        found = self._service.ask("WorkspaceStatusService", "queryCurrentWorkspaces")["workspaces"]
        self._hang("hang_after")
        if not found:
            self._printer.say("There's nothing running on this cloud that you own.")
        for number, workspace in enumerate(found):
            handles = self._history.handles_of(workspace["key"]) if "history-dir" in self._options.values else []
            image = self._history.image(handles[0]) if handles else ""
            self._printer.say(("\n" if number else "") + printing.entry(workspace, handles=handles, image=image))

    def _save(self) -> None:
        say = self._printer.say
        key = self._key("Saving")
        name = self._options.values.get("newname", "")
        target = self._target(name)
        say(f"\nSaving workspace.\n  - Workspace handle (EPR): '{self._epr_path()}'")
        if name:
            say(f"  - New name: '{name}'")
        self._hang("hang_before")
        self._service.ask("WorkspaceService", "shutdownWorkspace", key=key, target=target)
        self._hang("hang_after")
        say("\nWaiting for updates.\n")
        workspace = self._await(key, SAVED)
        if workspace["state"] == SAVED:
            self._printer.complain("\nThe image has successfully been transferred to your repository directory.\n")
        else:  # the real one goes on as if nothing had happened, up to its exit code
            self._printer.complain(f"\nProblem with Workspace #{key}: {workspace['problem']}\n")
        say("Finalizing the deployment now (terminating the resource lease).")
        self._service.ask("WorkspaceService", "Destroy", key=key)

    def _target(self, name: str) -> str:
        """Where the image goes; an empty string means over the one that the workspace was made from."""
        if not name:
            return ""
        if "/" in name or " " in name:
            raise ParameterProblem(f"Problem with save's newname '{name}': it may have neither a blank nor a /")
        common = "common" in self._options.flags
        prefix = self._configuration.common_prefix() if common else self._configuration.own_prefix()
        return self._configuration.image_url(prefix + name)

    def _terminate(self) -> None:
        say = self._printer.say
        key = self._key("Terminating")
        say(f"\nTerminating workspace.\n  - Workspace handle (EPR): '{self._epr_path()}'\n")
        say(f"Destroying {self._options.values.get('handle', f'#{key}')}...", end="")
        self._hang("hang_before")
        try:
            self._service.ask("WorkspaceService", "Destroy", key=key)
        except Problem:
            say()
            raise
        self._hang("hang_after")
        say(" destroyed.")

    def _list(self) -> None:
        repository = Repository(self._configuration)
        self._hang("hang_before")
        own = repository.list(self._configuration.own_prefix())
        common = repository.list(self._configuration.common_prefix())
        self._hang("hang_after")
        entries = [printing.image_entry(each.name, each.size, each.modified, rights="Read/write") for each in own]
        if own and common:
            entries.append("----\n")
        entries += [printing.image_entry(each.name, each.size, each.modified, rights="Read only") for each in common]
        for entry in entries or ["No files."]:
            self._printer.say(entry)

    def _await(self, key: str, target: str) -> dict[str, Any]:
        """The workspace in the target state, or corrupted."""
        while True:
            workspace = self._service.ask("WorkspaceService", "currentState", key=key)
            if workspace["state"] in (target, CORRUPTED):
                return workspace
            time.sleep(self._configuration.poll_s)

    def _key(self, action: str) -> str:
        values = self._options.values
        if "handle" in values:
            self._options.need("history-dir", action)
            return self._history.key(values["handle"])
        if "epr-file" not in values:
            raise ParameterProblem(f"{action} requires either 'handle' or path to specific EPR file using 'epr-file'")
        return history.key_of(Path(values["epr-file"]))

    def _epr_path(self) -> Path:
        values = self._options.values
        return self._history.epr_path(values["handle"]) if "handle" in values else Path(values["epr-file"]).absolute()

    def _learn_behaviour(self, action: str) -> None:
        """What a test has planned for this invocation. A service that can't be asked fails again, and is heard then."""
        try:
            self._planned = self._service.ask("WorkspaceFactoryService", "behave", action=action)
        except Problem:
            return
        self._printer.noisy = self._planned["noise"]
        self._printer.silent = self._planned.get("kind") == "silent"
        if self._planned.get("kind") == "crash":
            raise Problem(self._planned["text"])
        if self._planned.get("kind") == "killed":
            os._exit(_KILLED)
        if self._planned.get("kind") == "busy":
            raise ExecutionProblem(REFUSED)

    def _hang(self, kind: str) -> None:
        planned = self._planned.get("kind")
        if planned == kind:
            time.sleep(self._planned["seconds"])
        if planned == "crash_after" and kind == "hang_after":
            raise Problem(self._planned["text"])


def _minutes(hours: str) -> int:
    """Whole minutes, which the real one cuts off as well."""
    try:
        value = float(hours)
    except ValueError:
        raise ParameterProblem(f'For input string: "{hours}"') from None
    return int(value * 60) if math.isfinite(value) else 0


def _public_key(path: str, printer: Printer) -> str:
    if not path:
        printer.complain("WARNING: no SSH public key is configured")
        return ""
    try:
        return Path(path).expanduser().read_text().strip()
    except OSError:
        raise ParameterProblem(f"SSH public key file does not exist or is not readable: '{path}'") from None
