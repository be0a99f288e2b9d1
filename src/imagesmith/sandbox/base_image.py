"""The base image: made once with mmdebstrap, in about a minute, and kept; and the same as a whole disk, made of it."""

import fcntl
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from imagesmith.errors import SetupError
from imagesmith.sandbox import config

_HERE = Path(__file__).resolve().parent
_TOOLS = {
    "mmdebstrap": "mmdebstrap",
    "qemu-img": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
    "mke2fs": "e2fsprogs",
    "grub-mkimage": "grub-common",
    "sfdisk": "fdisk",
}
_FILES = {"/usr/lib/grub/i386-pc/boot.img": "grub-pc-bin"}
_ANNOUNCED = {
    "base_image": "making the sandbox's base image in {directory} (once, 1 to 3 minutes)",
    "whole_disk": "making a disk with a boot loader of it in {directory} (once, some seconds)",
}
# How this host reaches the archive must hold for its guests too; nothing else of its apt does.
_SHARED_APT_OPTIONS = (
    "Acquire::http::Proxy",
    "Acquire::https::Proxy",
    "Acquire::Check-Valid-Until",
    "Acquire::Check-Date",
)


def ensure(directory: Path, *, announce: Callable[[str], None]) -> None:
    """The base image is in the directory, in both layouts; makes what is not. Raises SetupError with the cure."""
    check_tools()
    if not _missing(directory):
        return
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "making.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two that start at once one makes it and one finds it made
        for script in _missing(directory):
            announce(_ANNOUNCED[script].format(directory=directory))
            _make(script, directory, *(apt_options() if script == "base_image" else ()))


def _missing(directory: Path) -> list[str]:
    """The scripts whose image is not there, or is older than what it is made of."""
    base, whole = (directory / config.BASE_DISKS[layout] for layout in (config.PARTITION, config.WHOLE_DISK))
    if not base.exists():
        return ["base_image", "whole_disk"]
    if not whole.exists() or whole.stat().st_mtime < base.stat().st_mtime:
        return ["whole_disk"]
    return []


def check_tools() -> None:
    """Raises SetupError that names the packages of the missing tools."""
    tools = [package for tool, package in _TOOLS.items() if _which(tool) is None]
    files = [package for file, package in _FILES.items() if not Path(file).exists()]
    missing = sorted(tools + files)
    if missing:
        raise SetupError(f"the sandbox needs {', '.join(missing)}; try: sudo apt-get install {' '.join(missing)}")


def apt_options(dump: Callable[[], str] | None = None) -> list[str]:
    """The host's apt options that its guests need as well, in apt's own form without the semicolon."""
    lines = (dump or _apt_config)().splitlines()
    return [line.rstrip(";") for line in lines if line.split(" ", 1)[0] in _SHARED_APT_OPTIONS and '""' not in line]


def _make(script: str, directory: Path, *arguments: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / f"{script}.log"
    argv = ["sh", str(_HERE / f"{script}.sh"), str(directory), *arguments]
    with log.open("wb") as output:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False)
    if done.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise SetupError(f"the sandbox's base image could not be made; the end of {log}:\n{tail}")


def _apt_config() -> str:
    if shutil.which("apt-config") is None:
        return ""
    return subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout


def _which(tool: str) -> str | None:
    return shutil.which(tool, path=":".join(("/usr/local/sbin", "/usr/sbin", "/sbin"))) or shutil.which(tool)
