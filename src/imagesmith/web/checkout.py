"""Where `include/` is a git checkout: each save is a commit of that one file, by whoever saved it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from imagesmith.errors import SetupError
from imagesmith.findings import on_one_line

LIMIT_S = 30
OURS = {"GIT_COMMITTER_NAME": "Imagesmith", "GIT_COMMITTER_EMAIL": "imagesmith@localhost"}
# Never a question on a terminal, never a key that asks for its passphrase.
QUIET = ("-c", "commit.gpgsign=false", "-c", "core.quotepath=off")


class Checkout:
    """The git checkout a file lies in."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def around(cls, path: Path) -> Checkout | None:
        """The checkout that keeps the file, or would; None where there is none, or it is told to ignore the file."""
        if not any((folder / ".git").exists() for folder in path.absolute().parents):
            return None
        found = cls(path.parent)
        return None if found._git("check-ignore", "--quiet", "--", path.name, code=(0, 1)).returncode == 0 else found

    def commit(self, path: Path, message: str, *, author: str) -> str:
        """The new commit's id, "" where the file is as in the last one; nothing else gets into it.

        Raises SetupError with git's own words.
        """
        if path.exists():
            self._git("add", "--", path.name)
        elif self._git("ls-files", "--", path.name).stdout == "":
            return ""
        if self._git("diff", "--quiet", "HEAD", "--", path.name, code=(0, 1, 128)).returncode == 0:
            return ""
        self._git("commit", "--quiet", "--only", f"--author={_author(author)}", "-m", message, "--", path.name)
        return self._git("rev-parse", "HEAD").stdout.strip()

    def forget(self, path: Path) -> None:
        """Takes a file that was added and not committed out of the index again."""
        self._git("reset", "--quiet", "--", path.name, code=(0, 1, 128))

    def _git(self, *arguments: str, code: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        # Of a git that calls us nothing is taken over: it would mean another repository.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        try:
            done = subprocess.run(
                ["git", *QUIET, *arguments],
                cwd=self._folder,
                env={**kept, **OURS, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=LIMIT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SetupError(f"include/ is a git checkout, and git can't be run: {error}; install git") from error
        if done.returncode not in code:
            said = on_one_line(" ".join((done.stderr or done.stdout).split()))[:400]
            raise SetupError(f"git {arguments[0]} in {self._folder.name}/ failed: {said}; mend the checkout")
        return done


def _author(name: str) -> str:
    """`Name <address>`, whatever the name holds."""
    plain = " ".join(re.sub(r"[<>\x00-\x1f\x7f]", " ", name).split())[:100].strip(".,:;\"' ") or "unknown"
    address = (
        plain if re.fullmatch(r"[\w.+-]+@[\w.-]+", plain) else f"{re.sub(r'[^A-Za-z0-9._-]', '-', plain)}@localhost"
    )
    return f"{plain} <{address}>"
