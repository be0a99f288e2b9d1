"""What a build has left in an image: what the script prints of a machine's folders, and how that is judged."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesmith import settings
from imagesmith.errors import ImagesmithError, InventoryUnreadable
from imagesmith.remains import given_words, judge, search_words

SCRIPT = settings.PROJECT_ROOT / "include" / "scripts" / "remains.sh"
OWN = "ssh-ed25519 AAAAown"
SECRETS = {"token": "s3cr3t 'quoted' \\value", "pem": "-----BEGIN-----\nthe-longest-line-of-it\n-----END-----\n"}


def judged(printed: bytes, *, meant: list[str] | None = None, secrets: list[str] | None = None) -> list[str]:
    return judge(printed, own_key=OWN, meant=meant or [], own_directory="b1-verify", secrets=secrets or [])


def printed_of(root: Path, *, given: str = "") -> bytes:
    """What the script prints of a root of its own, its absolute paths led there."""
    script = SCRIPT.read_text().replace("</etc/passwd", f"<{root}/etc/passwd")
    for folder in ("etc", "root", "home", "opt", "srv", "usr/local", "boot", "var", "tmp"):
        script = script.replace(f" /{folder} ", f" {root}/{folder} ")
    return subprocess.run(["sh"], input=(given + script).encode(), capture_output=True, check=True).stdout


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path, text in {
        "etc/passwd": f"root:x:0:0::{tmp_path}/root:/bin/sh\nzoe:x:1:1::{tmp_path}/home/zoe:/bin/sh\nx:x:2:2::/no:\n",
        "root/.ssh/authorized_keys": f'no-pty,command="echo no" {OWN} build\n# a comment\n',
        "home/zoe/.imagesmith/b1-verify/test-0": "",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def test_a_clean_machine(root):
    assert judged(printed_of(root)) == []


def test_what_is_left_is_named(root):
    (root / "home/zoe/.ssh").mkdir()
    (root / "home/zoe/.ssh/authorized_keys2").write_text("ssh-rsa AAAAB3NzaStranger== them\n")
    (root / "root/.bash_history").write_text("ls\n")
    (root / "root/.imagesmith/b1").mkdir(parents=True)
    printed = printed_of(root)
    assert judged(printed) == [
        f"{root}/home/zoe/.ssh/authorized_keys2 lets in a key that ends in 3NzaStranger and that no script, file or "
        "parameter of the generator names",
        f"{root}/root/.bash_history holds a shell's history",
        f"{root}/root/.imagesmith/b1 is left of a build",
    ]
    assert len(judged(printed, meant=["echo ssh-rsa AAAAB3NzaStranger== >keys"])) == 2


def test_secrets_are_found_where_they_are_and_nowhere_told(root):
    wanted, too_short = search_words({**SECRETS, "pin": "1234"})
    assert too_short == ["pin"]
    (root / "var/lib").mkdir(parents=True)
    (root / "root/notes").write_text(f"export TOKEN={SECRETS['token']}\n")
    (root / "var/lib/key.pem").write_text(f"x\n{SECRETS['pem']}")
    (root / "root/other").write_text("-----BEGIN-----\n-----END-----\n")
    printed = printed_of(root, given=given_words(wanted))
    assert judged(printed, secrets=list(wanted)) == [
        f"{root}/root/notes holds the value of the secret parameter token",
        f"{root}/var/lib/key.pem holds the value of the secret parameter pem",
    ]
    assert b"s3cr3t" not in printed
    assert list(Path("/dev/shm").glob("imagesmith-??????")) == []


def test_what_breaks_off_is_refused():
    with pytest.raises(InventoryUnreadable, match="breaks off before 'secrets'"):
        judged(b"== imagesmith remains 1\n== keys\n== histories\n== directories\n")


@given(st.binary(max_size=300))
def test_any_bytes_are_judged_or_refused(printed):
    try:
        judged(printed)
    except ImagesmithError:
        pass
