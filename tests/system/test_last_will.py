"""That what was started ends with the process that started it, unless that has seen to it itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, signal, sys
sys.path.insert(0, {folder!r})
from last_will import last_will
with last_will(["sh", "-c", "echo ended >ended"], environment=os.environ):
    {act}
open("ended", "w").write("revoked")
"""


@pytest.mark.parametrize(
    ("act", "said"), [("os.kill(os.getpid(), signal.SIGKILL)", "ended\n"), ("pass", "revoked")], ids=["killed", "left"]
)
def test_the_will_is_done_only_after_a_death(tmp_path, act, said):
    os.mkfifo(tmp_path / "ended")
    program = PROGRAM.format(folder=str(Path(__file__).parent), act=act)
    child = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path)
    assert (tmp_path / "ended").read_text() == said
    child.wait()
