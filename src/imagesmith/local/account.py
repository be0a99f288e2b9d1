"""The operating system's account PostgreSQL runs under: it refuses to be started by root."""

import os
import pwd
import stat
import subprocess
from collections.abc import Iterable
from pathlib import Path

from imagesmith.errors import SetupError

NAME = "imagesmith-db"
_READ_SEARCH = ("dac_read_search", 2)  # name and bit, as in linux/capability.h
_OVERRIDE = ("dac_override", 1)


def own_account() -> pwd.struct_passwd | None:
    """The account to run as, made if it is missing; None if we are not root and need none."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(NAME)
    except KeyError:
        _make()
        return pwd.getpwnam(NAME)


def prefix(account: pwd.struct_passwd | None, paths: Iterable[Path]) -> list[str]:
    """What to put before a command so that it runs as the account and reaches the paths.

    Where a directory above them is closed to others, as /root is, the command may read through it by
    capability; no directory's mode is touched.
    """
    if account is None:
        return []
    drop = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    if all(_open_to_all(path) for path in paths):
        return [*drop, "--inh-caps=-all", "--no-new-privs"]
    capability = _allowed_capability()
    return [*drop, f"--inh-caps=-all,+{capability}", f"--ambient-caps=-all,+{capability}", "--no-new-privs"]


def _make() -> None:
    argv = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    made = subprocess.run([*argv, "--shell", "/usr/sbin/nologin", NAME], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise SetupError(
            f"PostgreSQL refuses root, and its account {NAME} could not be made: {made.stderr.strip()}; "
            "start as another user, or name a database: AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=postgresql+psycopg2://…"
        )


def _open_to_all(path: Path) -> bool:
    return all(above.stat().st_mode & stat.S_IXOTH for above in path.resolve().parents if above.exists())


def _allowed_capability() -> str:
    """The lesser of two that gets through a closed directory; containers often grant only the greater."""
    status = Path("/proc/self/status").read_text()
    bounding = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapBnd:"))
    for name, bit in (_READ_SEARCH, _OVERRIDE):
        if bounding >> bit & 1:
            return name
    raise SetupError(
        f"the account {NAME} cannot reach this directory, and no capability helps it here; "
        "move the project out of the closed directory, or start as another user"
    )
