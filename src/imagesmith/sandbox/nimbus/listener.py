"""A door on an address of its own, which can be shut and opened while the sandbox runs.

The address is of the instances' network (addresses.py), in a part of it that no instance is given. uvicorn's own
server would serve it, too, but its loop wakes up ten times a second for each.
"""

import asyncio
import socket
import ssl
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

_HOSTS = 250
_STEP = 2  # the two sites never ask for each other's


class Listener:
    """Answers at `address` once it was opened. `host` is the first to be tried; the next ones are for a crowd."""

    def __init__(self, app: ASGIApp, *, network: str, host: int, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._prefix = network.rsplit(".", 2)[0] + ".255."
        self._first = host
        self._port = port
        self._tls = tls
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self._config = uvicorn.Config(app, lifespan="off", access_log=False, log_config=None, ws="none")
        self.address = f"{self._prefix}{host}:{port}"

    @property
    def is_open(self) -> bool:
        """Whether it answers."""
        return self._server is not None

    async def open(self) -> None:
        """Listens, at the address it had before if there was one; raises OSError if there is no free address."""
        if self._server is not None:
            return
        if not self._config.loaded:
            self._config.load()
        kind: Any = self._config.http_protocol_class  # one of two that are made alike
        protocol = partial(kind, config=self._config, server_state=self._state, app_state={})
        self._server = await asyncio.get_running_loop().create_server(protocol, sock=self._bound(), ssl=self._tls)

    def close(self) -> None:
        """Refuses connections and drops those there are."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for connection in list(self._state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()

    def _bound(self) -> socket.socket:
        for host in range(self._first, _HOSTS, _STEP):
            try:
                found = socket.create_server((f"{self._prefix}{host}", self._port))
            except OSError:
                continue  # another sandbox has it
            self.address = f"{self._prefix}{host}:{self._port}"
            self._first = host
            return found
        raise OSError(f"port {self._port} is taken on every address of {self._prefix}0/24")
