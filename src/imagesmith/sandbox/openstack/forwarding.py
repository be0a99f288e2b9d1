"""Floating addresses: what connects to one is passed on to the server that has it, as long as it has it."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Coroutine
from typing import Any

log = logging.getLogger(__name__)

_CHUNK = 65536


class Forwarder:
    """One associated address. `permits` is asked for each new connection with the caller's address."""

    def __init__(self, address: str, target: str, *, port: int, permits: Callable[[str], bool]) -> None:
        self._target = target
        self._port = port
        self._permits = permits
        self._server: asyncio.Server | None = None
        self._ways: set[asyncio.Transport | asyncio.WriteTransport] = set()
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((address, port))
        self._socket.listen(128)
        self._socket.setblocking(False)

    def serve(self) -> Coroutine[Any, Any, None]:
        """The work of accepting connections, to be done in the background."""
        return self._serve()

    def close(self) -> None:
        """Answers no more, and ends what is connected."""
        if self._server is not None:
            self._server.close()
        self._socket.close()
        for way in list(self._ways):
            way.abort()

    async def _serve(self) -> None:
        if self._socket.fileno() == -1:
            return  # closed before it began
        self._server = await asyncio.start_server(self._accept, sock=self._socket)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ways.add(writer.transport)
        try:
            if self._permits(writer.get_extra_info("peername")[0]):
                await self._pass_on(reader, writer)
        finally:
            self._ways.discard(writer.transport)
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            behind_reader, behind_writer = await asyncio.open_connection(self._target, self._port)
        except OSError:
            return  # the server does not answer: neither do we
        self._ways.add(behind_writer.transport)
        try:
            await asyncio.gather(_pump(reader, behind_writer), _pump(behind_reader, writer))
        finally:
            self._ways.discard(behind_writer.transport)
            behind_writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Passes on all bytes, then the end of the stream; a broken connection breaks the other half."""
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()
    except OSError:
        writer.transport.abort()
