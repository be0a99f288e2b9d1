"""QEMU's monitor protocol (QMP): one JSON document a line over a Unix socket."""

import asyncio
import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from imagesmith.sandbox.machines import MachineError

_RETRY_S = 0.05


class Monitor:
    """A connection to one QEMU; `on_end` is called once, when QEMU is gone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reading: asyncio.Task[None] | None = None
        self.ended = asyncio.Event()
        self.resets = 0

    @classmethod
    async def connect(
        cls,
        path: Path,
        *,
        on_end: Callable[[], None],
        alive: Callable[[], bool] = lambda: True,
        limit_s: float = 15.0,
    ) -> "Monitor":
        """A monitor ready for commands; raises MachineError if nobody answers within `limit_s`, or ever will."""
        try:
            async with asyncio.timeout(limit_s):
                monitor = cls(*await _open(path, alive))
                await monitor._reader.readline()  # the greeting
                monitor._reading = asyncio.create_task(monitor._read(on_end))
                await monitor.execute("qmp_capabilities")
        except TimeoutError as error:
            raise MachineError(f"no monitor answered at {path} within {limit_s:g} s") from error
        return monitor

    async def execute(self, command: str, **arguments: Any) -> Any:
        """The command's result; raises MachineError with QEMU's words, or if QEMU ends meanwhile."""
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        request = {"execute": command, "id": number, "arguments": arguments}
        self._writer.write(json.dumps(request).encode() + b"\n")
        document = await answer
        if "error" in document:
            raise MachineError(f"QEMU refused {command}: {document['error'].get('desc')}")
        return document["return"]

    def close(self) -> None:
        """Leaves QEMU running and its monitor free for another server."""
        if self._reading is not None:
            self._reading.cancel()
        self._writer.close()

    async def _read(self, on_end: Callable[[], None]) -> None:
        try:
            while line := await self._reader.readline():
                self._take(json.loads(line))
        except ConnectionError:
            pass  # QEMU was killed
        self._writer.close()
        for answer in self._waiting.values():
            answer.set_result({"error": {"desc": "QEMU has ended"}})
        self._waiting.clear()
        self.ended.set()
        on_end()

    def _take(self, document: dict[str, Any]) -> None:
        if document.get("event") == "RESET":
            self.resets += 1
        answer = self._waiting.pop(document.get("id", -1), None)
        if answer is not None and not answer.done():
            answer.set_result(document)


async def connect(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to a Unix socket whose path may be longer than the 108 bytes that Linux allows."""
    directory = os.open(path.parent, os.O_PATH)
    try:
        return await asyncio.open_unix_connection(f"/proc/self/fd/{directory}/{path.name}")
    finally:
        os.close(directory)


async def _open(path: Path, alive: Callable[[], bool]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    while alive():
        try:
            return await connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            await asyncio.sleep(_RETRY_S)
    raise MachineError(f"QEMU ended before its monitor at {path} answered")
