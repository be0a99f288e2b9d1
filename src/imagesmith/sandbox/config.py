"""Fixed facts of the sandbox: its accounts, its region, its instance types, where its files lie."""

from dataclasses import dataclass
from pathlib import Path

from imagesmith import settings

HOST = "127.0.0.1"
REGION = "us-east-1"
ZONE = "us-east-1a"
OWNER_ID = "123456789012"
USER_ARN = f"arn:aws:iam::{OWNER_ID}:user/sandbox"
# Shaped like real ones because some clients check; they open nothing but this machine's sandbox.
ACCESS_KEY_ID = "AKIASANDBOX000000000"
SECRET_ACCESS_KEY = "sandbox-secret-key"
BASE_OWNER_ID = "136693071363"  # Debian's account on EC2, so that real filters for its images match here
DEFAULT_USER = "admin"

TERMINATED_VISIBLE_S = 1800.0  # EC2 shows terminated instances for about an hour
STOP_LIMIT_S = 60.0  # an emulated guest under load needs 10 to 20 s to power off
CORE_LIMIT_S = 120.0  # a machine that stays on no longer keeps others from booting
CONSOLE_BYTES = 64 * 1024  # what GetConsoleOutput returns at most
MAX_VMS = 12
ROOT_DEVICE = "/dev/xvda"
BASE_DISK_GIB = 8

# How a disk is laid out: one file system, for which somebody brings a kernel, or partitions and a boot loader.
PARTITION = "partition"
WHOLE_DISK = "whole disk"
BASE_DISKS = {PARTITION: "disk.qcow2", WHOLE_DISK: "whole-disk.qcow2"}


@dataclass(frozen=True)
class InstanceType:
    """What a client is told about a type, and what a VM of it really gets."""

    name: str
    vcpus: int
    memory_mib: int
    vm_memory_mib: int


INSTANCE_TYPES = {
    each.name: each
    for each in (
        InstanceType("m1.small", 1, 1740, 512),
        InstanceType("t2.nano", 1, 512, 512),
        InstanceType("t2.micro", 1, 1024, 512),
        InstanceType("t2.small", 1, 2048, 640),
        InstanceType("t2.medium", 2, 4096, 768),
        InstanceType("t3.nano", 2, 512, 512),
        InstanceType("t3.micro", 2, 1024, 512),
        InstanceType("t3.small", 2, 2048, 640),
        InstanceType("t3.medium", 2, 4096, 768),
        InstanceType("t3.large", 2, 8192, 768),
        InstanceType("m5.large", 2, 8192, 768),
    )
}


@dataclass(frozen=True)
class Flavor:
    """An instance type in OpenStack's words, with what a VM of it really gets."""

    id: str
    name: str
    vcpus: int
    memory_mib: int
    disk_gib: int
    vm_memory_mib: int


# Disks are as large as the base image where they can be: growing a file system costs an emulated machine seconds.
FLAVORS = {
    each.name: each
    for each in (
        Flavor("1", "m1.tiny", 1, 512, 8, 512),
        Flavor("2", "m1.small", 1, 2048, 8, 512),
        Flavor("3", "m1.medium", 2, 4096, 20, 768),
        Flavor("42", "m1.nano", 1, 128, 1, 512),  # too small for any image that is there from the start
    )
}


def vm_memory_mib(name: str) -> int:
    """What a virtual machine of this instance type or flavor gets."""
    sizes: list[InstanceType | Flavor] = [*INSTANCE_TYPES.values(), *FLAVORS.values()]
    return next(each.vm_memory_mib for each in sizes if each.name == name)


@dataclass(frozen=True)
class Places:
    """The files of one account of a sandbox; the base image belongs to all. EC2's account has no site name."""

    root: Path
    site: str = ""

    @property
    def base(self) -> Path:
        """The base image with its kernel; survives `reset`."""
        return self.root / "base"

    @property
    def home(self) -> Path:
        """All that is the account's own."""
        return self.sites / self.site if self.site else self.root

    @property
    def sites(self) -> Path:
        """The homes of the accounts that have a site name."""
        return self.root / "sites"

    @property
    def state(self) -> Path:
        """The database of everything clients have made."""
        return self.home / "state.db"

    @property
    def disks(self) -> Path:
        """Disks of instances and of saved images."""
        return self.home / "disks"

    @property
    def machines(self) -> Path:
        """One directory per instance: console, pid file, sockets, seed."""
        return self.home / "machines"


def places() -> Places:
    """The files of this machine's sandbox."""
    return Places(settings.home() / "sandbox")


def endpoint() -> str:
    """The URL under which the EC2 door answers."""
    return f"http://{HOST}:{settings.sandbox_port()}"
