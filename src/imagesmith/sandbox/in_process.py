"""A sandbox inside this process, with its own port and directory: for tests on simulated machines."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from imagesmith.sandbox import config
from imagesmith.sandbox.server import application


@contextlib.contextmanager
def sandbox(directory: Path) -> Iterator[str]:
    """The endpoint of a sandbox that serves until the end of the block; its state stays in the directory."""
    listener = socket.create_server((config.HOST, 0))
    port = listener.getsockname()[1]
    app = application(config.Places(directory), port=port, accelerator="tcg")
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        yield f"http://{config.HOST}:{port}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
