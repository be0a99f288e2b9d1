"""In what two inventories differ, told so that somebody can act on it."""

from __future__ import annotations

from imagesmith.differences import differences, shown
from imagesmith.inventory import Inventory, Package, SetuidFile, User

BASE = Inventory(
    os={"ID": "debian"},
    kernel="6.1",
    architecture="x86_64",
    packages=(Package(manager="dpkg", name="bash", version="5.2"), Package(manager="dpkg", name="sl", version="5")),
    services=("ssh.service",),
    users=(User(name="root", uid=0, gid=0, home="/root", shell="/bin/sh"),),
    sockets=("tcp 0.0.0.0:22",),
    setuid=(SetuidFile(path="/usr/bin/su", mode="4755", owner="root:root"),),
    configuration={"/etc/motd": "a" * 64},
)


def test_nothing_differs_from_itself():
    assert differences(BASE, BASE) == []


def test_each_part_is_told():
    other = BASE.model_copy(
        update={
            "kernel": "6.2",
            "packages": (Package(manager="dpkg", name="bash", version="5.3"),),
            "services": ("cron.service", "ssh.service"),
            "users": (User(name="root", uid=0, gid=0, home="/root", shell="/bin/sh", locked=False),),
            "sockets": (),
            "setuid": (),
            "configuration": {"/etc/motd": "b" * 64},
        }
    )
    found = differences(BASE, other)
    assert [str(each) for each in found] == [
        "kernel is 6.2 instead of 6.1",
        "dpkg package bash is 5.3 instead of 5.2",
        "dpkg package sl is missing (5)",
        "service cron.service is new",
        "user root is uid 0, gid 0, home /root, shell /bin/sh, locked False instead of uid 0, gid 0, home /root, shell "
        "/bin/sh, locked True",
        "socket tcp 0.0.0.0:22 is missing",
        "setuid file /usr/bin/su is missing (4755 root:root)",
        "/etc/motd is sha256 bbbbbbbbbbbb instead of sha256 aaaaaaaaaaaa",
    ]
    assert [each.part for each in found if each.part == "sockets"] == ["sockets"]


def test_of_many_the_first_are_shown():
    many = BASE.model_copy(update={"configuration": {f"/etc/{n:02}": "c" * 64 for n in range(30)}})
    lines = shown(differences(BASE, many)).splitlines()
    assert (len(lines), lines[-1]) == (21, "and 11 more")
