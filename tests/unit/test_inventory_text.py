"""Inventories of four distributions' roots, and what is one machine's own business."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imagesmith import settings
from imagesmith.errors import ImagesmithError, InventoryUnreadable
from imagesmith.inventory_rules import FILES, WORDS
from imagesmith.inventory_text import PARTS, Reading, read_inventory

SCRIPT = settings.PROJECT_ROOT / "include" / "scripts" / "inventory.sh"
FILE_SHA = "a" * 64


def text(**parts: str) -> bytes:
    """An inventory's text with these parts."""
    lines = ["== imagesmith inventory 1"]
    for name in PARTS:
        lines += [f"== {name}", *parts.get(name, "x86_64" if name == "architecture" else "").splitlines()]
    return ("\n".join(lines) + "\n").encode()


def packages(reading: Reading) -> list[tuple[str, str, str, str, str]]:
    return [(p.manager, p.name, p.version, p.architecture, p.origin) for p in reading.inventory.packages]


DPKG = """\
Package: zlib1g
Status: install ok installed
Maintainer: A Maintainer <maintainer@example.org>
Architecture: amd64
Version: 1:1.2.13.dfsg-1
Package: old
Status: deinstall ok config-files
Architecture: all
Version: 1
Package: dstat
Status: hold ok installed
Maintainer: A: B
Architecture: all
Version: 0.7.4-6.1
Origin: Ubuntu
"""
RPM = """\
bash\t5.2.26-3.fc40\tx86_64\tFedora Project
dnsmasq\t1:2.90-1.fc40\tx86_64\tFedora Project
gpg-pubkey\ta15b79cc-63d04c2c\t(none)\t(none)
"""
APK = """\
P:musl
V:1.2.5-r0
A:x86_64
m:Timo Teräs <timo.teras@iki.fi>
P:busybox
V:1.36.1-r29
A:x86_64
"""
PACMAN = """\
%NAME%
linux
--
%VERSION%
6.12.1.arch1-1
--
%ARCH%
x86_64
--
%PACKAGER%
Jan Alexander Steffens (heftig) <heftig@archlinux.org>
--
%NAME%
bash
--
%VERSION%
5.2.037-1
"""


def test_packages_of_debian():
    assert packages(read_inventory(text(dpkg=DPKG))) == [
        ("dpkg", "dstat", "0.7.4-6.1", "all", "Ubuntu"),
        ("dpkg", "zlib1g", "1:1.2.13.dfsg-1", "amd64", "A Maintainer <maintainer@example.org>"),
    ]


def test_packages_of_fedora():
    assert packages(read_inventory(text(rpm=RPM))) == [
        ("rpm", "bash", "5.2.26-3.fc40", "x86_64", "Fedora Project"),
        ("rpm", "dnsmasq", "1:2.90-1.fc40", "x86_64", "Fedora Project"),
        ("rpm", "gpg-pubkey", "a15b79cc-63d04c2c", "", ""),
    ]


def test_packages_of_alpine():
    assert packages(read_inventory(text(apk=APK))) == [
        ("apk", "busybox", "1.36.1-r29", "x86_64", ""),
        ("apk", "musl", "1.2.5-r0", "x86_64", "Timo Teräs <timo.teras@iki.fi>"),
    ]


def test_packages_of_arch():
    assert packages(read_inventory(text(pacman=PACMAN))) == [
        ("pacman", "bash", "5.2.037-1", "", ""),
        (
            *("pacman", "linux", "6.12.1.arch1-1", "x86_64"),
            "Jan Alexander Steffens (heftig) <heftig@archlinux.org>",
        ),
    ]


def test_packages_of_languages():
    pip = (
        "/usr/lib/python3/dist-packages/six-1.16.0.egg-info/PKG-INFO:Name: six\n"
        "/usr/lib/python3/dist-packages/six-1.16.0.egg-info/PKG-INFO:Version: 1.16.0\n"
        "/usr/local/lib/python3.11/dist-packages/rich-13.dist-info/METADATA:Name: rich\n"
        "/usr/local/lib/python3.11/dist-packages/rich-13.dist-info/METADATA:Version: 13.7.1\n"
    )
    npm = (
        '/usr/lib/node_modules/@a/b/package.json:{"name": "@a/b",\n'
        '/usr/lib/node_modules/@a/b/package.json: "author": {"name": "me"}, "version": "2.0.0"}\n'
        "/usr/lib/node_modules/broken/package.json:{\n"
    )
    gem = (
        "/var/lib/gems/3.1.0/specifications/rack-2.2.7.gemspec\n"
        "/usr/lib/ruby/gems/3.1.0/specifications/default/json-2.6.3-x86_64-linux.gemspec\n"
    )
    assert packages(read_inventory(text(pip=pip, npm=npm, gem=gem))) == [
        ("gem", "json", "2.6.3", "x86_64-linux", "/usr/lib/ruby/gems/3.1.0"),
        ("gem", "rack", "2.2.7", "", "/var/lib/gems/3.1.0"),
        ("npm", "@a/b", "2.0.0", "", "/usr/lib"),
        ("pip", "rich", "13.7.1", "", "/usr/local/lib/python3.11/dist-packages"),
        ("pip", "six", "1.16.0", "", "/usr/lib/python3/dist-packages"),
    ]


MACHINE = """\
/etc/os-release:NAME="Debian GNU/Linux"
/etc/os-release:ID=debian
/etc/passwd:root:x:0:0:root:/root:/bin/bash
/etc/passwd:guest:x:1001:1001::/home/guest:/bin/sh
/etc/passwd:+::::::
/etc/group:sudo:x:27:zoe,admin
/proc/cmdline:BOOT_IMAGE=/vmlinuz-6.1 root=UUID=0e5cf2f1-9a4b-4d1c-8a0e-3d4d5c1b2a3f ip=10.0.0.7 quiet
/proc/net/tcp:   0: 00000000:0016 00000000:0000 0A 0
/proc/net/tcp:   1: 0100007F:1F90 00000000:0000 0A 0
/proc/net/tcp:   2: 0F02000A:01BB 00000000:0000 0A 0
/proc/net/tcp:   3: 00000000:0016 0202000A:E0A2 01 0
/proc/net/tcp:   4: 00000000:9C40 00000000:0000 0A 0
/proc/net/tcp6:   0: 00000000000000000000000001000000:0019 00000000000000000000000000000000:0000 0A 0
/proc/net/udp:   0: 0F02000A:0044 00000000:0000 07 0
/proc/net/udp:   1: 00000000:0035 00000000:0000 07 0
/proc/sys/net/ipv4/ip_local_port_range:32768\t60999
/proc/sys/kernel/osrelease:6.1.0-9-amd64
/etc/machine-id:0123456789abcdef0123456789abcdef
/etc/ssh/ssh_host_ed25519_key.pub:ssh-ed25519 AAAA root@host
"""


def test_what_else_a_machine_has():
    reading = read_inventory(
        text(
            files=MACHINE,
            kernels="/lib/modules/6.1.0-9-amd64/modules.builtin\n/lib/modules/6.1.0-10-amd64/modules.builtin",
            passwords="root:locked\nguest:set",
            services="/etc/systemd/system/multi-user.target.wants/ssh.service\n/etc/runlevels/default/crond",
            setuid="4755 root:root /usr/bin/my tool\n2755 root:tty /usr/bin/wall",
        )
    )
    inventory = reading.inventory
    assert inventory.os == {"ID": "debian", "NAME": "Debian GNU/Linux"}
    assert inventory.kernel == "6.1.0-10-amd64"
    assert [(user.name, user.uid, user.locked) for user in inventory.users] == [
        ("guest", 1001, False),
        ("root", 0, True),
    ]
    assert [(group.name, group.members) for group in inventory.groups] == [("sudo", ("admin", "zoe"))]
    assert inventory.services == ("default/crond", "ssh.service")
    assert inventory.sockets == (
        *("tcp 0.0.0.0:22", "tcp 127.0.0.1:8080", "tcp ADDRESS:443"),
        *("tcp [::1]:25", "udp 0.0.0.0:53"),
    )
    assert [(file.path, file.mode) for file in inventory.setuid] == [
        ("/usr/bin/my tool", "4755"),
        ("/usr/bin/wall", "2755"),
    ]
    assert inventory.boot == ("ip=ADDRESS", "quiet", "root=UUID=UUID")
    known = hashlib.sha256(b"ssh-ed25519 AAAA").hexdigest()
    assert f"ssh_host_ed25519_key.pub {known}" in reading.identity
    assert [line.split()[0] for line in reading.identity] == ["machine-id", "ssh_host_ed25519_key.pub"]


def test_the_running_kernel_counts_where_none_is_installed():
    assert read_inventory(text(files=MACHINE)).inventory.kernel == "6.1.0-9-amd64"


# For each rule, what another boot changes.
OWN = {
    "identity": "/etc/ssh/ssh_host_rsa_key",
    "host name": "/etc/hostname",
    "network": "/etc/resolv.conf",
    "cloud-init": "/etc/sudoers.d/90-cloud-init-users",
    "passwords": "/etc/shadow",
    "backups": "/etc/passwd-",
    "derived": "/etc/ld.so.cache",
}


@pytest.mark.parametrize("rule", FILES, ids=lambda rule: rule.name)
def test_a_rule_leaves_out_what_another_boot_changes(rule):
    path = OWN[rule.name]
    assert rule.reason
    assert rule.paths.fullmatch(path)
    one = read_inventory(text(configuration=f"{'b' * 64}  {path}\n{FILE_SHA}  /etc/motd"))
    two = read_inventory(text(configuration=f"{'c' * 64}  {path}\n{FILE_SHA}  /etc/motd"))
    assert one.inventory.configuration == {"/etc/motd": FILE_SHA}
    assert one.inventory.digest == two.inventory.digest


WORDS_OF_TWO_BOOTS = {
    "loader": ("BOOT_IMAGE=/boot/vmlinuz-6.1", "BOOT_IMAGE=/boot/vmlinuz-6.2"),
    "uuid": ("root=UUID=0e5cf2f1-9a4b-4d1c-8a0e-3d4d5c1b2a3f", "root=UUID=11111111-9a4b-4d1c-8a0e-3d4d5c1b2a3f"),
    "hardware address": ("BOOTIF=01-52-54-00-12-34-56", "BOOTIF=01-52-54-00-99-99-99"),
    "address": ("ip=10.0.0.1", "ip=10.0.0.2"),
}


@pytest.mark.parametrize("rule", WORDS, ids=lambda rule: rule.name)
def test_a_rule_takes_out_of_a_kernel_parameter_what_another_boot_changes(rule):
    assert rule.reason
    boots = [read_inventory(text(files=f"/proc/cmdline:{word} quiet")) for word in WORDS_OF_TWO_BOOTS[rule.name]]
    assert boots[0].inventory.digest == boots[1].inventory.digest
    assert "quiet" in boots[0].inventory.boot


@pytest.mark.parametrize(
    "path", ["/etc/motd", "/etc/ssh/sshd_config", "/etc/network/interfaces", "/etc/cloud/cloud.cfg"]
)
def test_configuration_is_content(path):
    assert read_inventory(text(configuration=f"{FILE_SHA}  {path}")).inventory.configuration == {path: FILE_SHA}


def test_a_path_that_no_line_can_hold():
    odd = "base64 L2V0Yy9hCmJc/w== " + FILE_SHA + "  -"
    found = read_inventory(text(configuration=odd)).inventory.configuration
    assert found == {"/etc/a\\x0ab\\\\xff": FILE_SHA}


LINK = "lrwxrwxrwx 1 0 0 {} Jan  1  2026 /etc/{} -> {}"


def test_a_link_is_content_by_where_it_leads():
    here = text(configuration=LINK.format(9, "alternatives/vi", "/usr/bin/vim tiny -> x"))
    later = text(configuration=LINK.format(7, "alternatives/vi", "/usr/bin/vim tiny -> x"))
    elsewhere = text(configuration=LINK.format(9, "alternatives/vi", "/usr/bin/nvi"))
    found = read_inventory(here).inventory
    assert list(found.configuration) == ["/etc/alternatives/vi"]
    assert found == read_inventory(later).inventory != read_inventory(elsewhere).inventory
    armored = text(configuration="base64 L2V0Yy9hbHRlcm5hdGl2ZXMvdmk= link /usr/bin/vim tiny -> x")
    assert read_inventory(armored).inventory == found
    for own in (LINK.format(9, "mtab", "x"), LINK.format(9, "ssl/certs/0a1b2c3d.0", "x"), "link /etc/x", "l /etc/x"):
        assert read_inventory(text(configuration=own)).inventory.configuration == {}


def test_a_name_that_is_not_utf_8():
    raw = text(configuration="SHA  /etc/NAME").replace(b"SHA", b"a" * 64).replace(b"NAME", b"caf\xe9")
    assert read_inventory(raw).inventory.configuration == {"/etc/caf\\xe9": FILE_SHA}


def test_what_a_login_shell_prints_first_is_passed_over():
    assert read_inventory(b"Welcome!\n" + text(dpkg=DPKG)) == read_inventory(text(dpkg=DPKG))


def test_a_line_like_a_part_begins_none():
    files = "/etc/passwd:root:x:0:0::/root:/bin/sh\n== end\n/etc/group:sudo:x:27:"
    assert read_inventory(text(files=files)).inventory.groups


@pytest.mark.parametrize(
    ("printed", "words"),
    [
        (b"", "printed no inventory"),
        (b"sudo: a password is required\n", "printed no inventory"),
        (text()[:-20], "breaks off before its part"),
        (text(architecture=""), "did not say what architecture"),
    ],
)
def test_what_is_not_whole_is_refused(printed, words):
    with pytest.raises(InventoryUnreadable, match=words):
        read_inventory(printed)


@given(st.binary(max_size=400))
@example(text(configuration="base64 \nbase64 ####  \n  /etc/x"))
@example(text(setuid="base64 L3g="))
def test_any_bytes_are_read_or_refused(printed):
    try:
        read_inventory(printed)
    except ImagesmithError:
        pass


@given(st.sampled_from(PARTS[:-1]), st.binary(max_size=200))
@example("npm", b"/a/node_modules/b/package.json:" + b"[" * 100_000)
@example("passwords", b"\xff:\x00:")
@example("files", "/etc/passwd:a:x:\N{SUPERSCRIPT TWO}:0:::".encode())
def test_any_bytes_in_any_part_are_read_or_refused(part, content):
    name = f"== {part}\n".encode()
    printed = text().replace(name, name + content + b"\n")
    try:
        digest = read_inventory(printed).inventory.digest
    except ImagesmithError:
        return
    assert digest == read_inventory(printed).inventory.digest


def _printed(root: Path) -> bytes:
    """What the script prints of a root of its own, its absolute paths led there."""
    script = SCRIPT.read_text()
    for folder in ("etc", "usr", "lib", "var", "opt", "proc"):
        script = script.replace(f" /{folder}/", f" {root}/{folder}/").replace(f"'/{folder}/", f"'{root}/{folder}/")
    script = (
        script.replace("</etc/", f"<{root}/etc/")
        .replace("find /etc ", f"find {root}/etc ")
        .replace("echo /\n", f"echo {root}\n")
    )
    script = script.replace(f"<{root}/proc/mounts", "</dev/null").replace("</proc/mounts", "</dev/null")
    done = subprocess.run(["sh"], input=script.encode(), capture_output=True, check=True)
    return done.stdout.replace(str(root).encode(), b"")


def _write(root: Path, files: dict[str, str]) -> None:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)


ALPINE = {"lib/apk/db/installed": APK, "etc/runlevels/default/sshd": "", "etc/os-release": "ID=alpine\n"}
ARCH = {
    "var/lib/pacman/local/bash-5.2/desc": "%NAME%\nbash\n\n%VERSION%\n5.2-1\n\n%ARCH%\nx86_64\n\n%PACKAGER%\nJan\n\n",
    "var/lib/pacman/local/linux-6/desc": "%NAME%\nlinux\n\n%VERSION%\n6-1\n\n%ARCH%\nx86_64\n\n%LICENSE%\nGPL\n\n",
}
DEBIAN = {
    "var/lib/dpkg/status": DPKG.replace("Package: old", "\nPackage: old").replace("Package: ds", "\nPackage: ds"),
    "usr/local/lib/python3.11/dist-packages/rich-1.dist-info/METADATA": "Name: rich\nVersion: 1\n\nVersion: no\n",
    "usr/lib/node_modules/yarn/package.json": '{"name": "yarn", "version": "1.22"}',
    "var/lib/gems/3.1.0/specifications/rack-2.2.7.gemspec": "",
    "etc/motd": "hello\n",
    "etc/shadow": "root:*:1:\nadmin:$y$secret:1:\nopen::1:\n",
    "etc/passwd": "root:x:0:0::/root:/bin/sh\nadmin:x:1:1::/:/bin/sh\nopen:x:2:2::/:/bin/sh\n",
    "etc/odd\nname": "x",
    "etc/odd\\name": "y",
}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (ALPINE, ["busybox 1.36.1-r29", "musl 1.2.5-r0"]),
        (ARCH, ["bash 5.2-1", "linux 6-1"]),
        (DEBIAN, ["dstat 0.7.4-6.1", "zlib1g 1:1.2.13.dfsg-1", "rack 2.2.7", "yarn 1.22", "rich 1"]),
    ],
    ids=["alpine", "arch", "debian"],
)
def test_the_script_reads_a_root(tmp_path, files, expected):
    _write(tmp_path, files)
    inventory = read_inventory(_printed(tmp_path)).inventory
    assert [f"{package.name} {package.version}" for package in inventory.packages] == expected


def test_the_script_tells_where_links_lead(tmp_path):
    links = {
        "etc/nginx/sites-enabled/x": "../sites-available/x",
        "etc/systemd/system/ssh.service": "/dev/null",
        "etc/localtime": "/usr/share/zone info/UTC -> x",
        "etc/odd\nlink": "there",
        "etc/systemd/system/multi-user.target.wants/ssh.service": "/lib/x",
    }
    _write(tmp_path, DEBIAN)
    plain = read_inventory(_printed(tmp_path)).inventory
    for path, target in links.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).symlink_to(target)
    inventory = read_inventory(_printed(tmp_path)).inventory
    told = {
        path.removeprefix(str(tmp_path)): sha
        for path, sha in inventory.configuration.items()
        if path not in plain.configuration
    }
    *_, wanted = links
    assert inventory.services == ("ssh.service",)
    assert told == {
        "/" + path.replace("\n", "\\x0a"): hashlib.sha256(f"-> {target}".encode()).hexdigest()
        for path, target in links.items()
        if path != wanted
    }


def test_the_script_prints_no_password(tmp_path):
    _write(tmp_path, DEBIAN)
    setuid = tmp_path / "usr/bin/su do"
    _write(tmp_path, {"usr/bin/su do": ""})
    setuid.chmod(0o4755)
    inventory = read_inventory(_printed(tmp_path)).inventory
    assert {user.name: user.locked for user in inventory.users} == {"admin": False, "open": False, "root": True}
    assert [(file.path, file.mode) for file in inventory.setuid] == [("/usr/bin/su do", "4755")]
    odd = [path.rpartition("/")[2] for path in inventory.configuration if "odd" in path]
    assert odd == ["odd\\name", "odd\\x0aname"]
    assert inventory.configuration["/etc/motd"] == hashlib.sha256(b"hello\n").hexdigest()
    assert hashlib.sha256(b"x").hexdigest() in inventory.configuration.values()
    assert b"$y$secret" not in _printed(tmp_path)
