"""Which of QEMU's accelerators works here: found out by booting something, and remembered.

`/dev/kvm` may exist and yet hang its guests (nested virtual machines do that), so it proves nothing.
"""

import json
import os
import platform
import subprocess
from pathlib import Path

PROBE_LIMIT_S = 15.0
_MARK = b"sandbox: probe ok"


def chosen(*, kernel: Path, initrd: Path, memory_file: Path) -> str:
    """`kvm` or `tcg`; `memory_file` keeps the answer until the host's kernel or QEMU changes."""
    here = _circumstances()
    try:
        remembered = json.loads(memory_file.read_text())
    except (OSError, ValueError):
        remembered = {}
    if remembered.get("circumstances") != here:
        acceleration = "kvm" if kvm_boots(kernel=kernel, initrd=initrd) else "tcg"
        remembered = {"circumstances": here, "acceleration": acceleration}
        memory_file.parent.mkdir(parents=True, exist_ok=True)
        memory_file.write_text(json.dumps(remembered))
    return str(remembered["acceleration"])


def kvm_boots(*, kernel: Path, initrd: Path, limit_s: float = PROBE_LIMIT_S) -> bool:
    """True if a kernel reached its first process under KVM within the limit."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    argv = [
        *("qemu-system-x86_64", "-M", "q35", "-accel", "kvm", "-cpu", "host", "-m", "256"),
        *("-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio"),
        *("-kernel", str(kernel), "-initrd", str(initrd)),
        *("-append", "console=ttyS0 quiet sandbox.probe"),
    ]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        return False
    return _MARK in done.stdout


def _circumstances() -> str:
    qemu = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=True)
    device = "kvm device" if os.access("/dev/kvm", os.R_OK | os.W_OK) else "no kvm device"
    return f"{platform.release()}; {qemu.stdout.splitlines()[0]}; {device}"
