#!/bin/sh
# Leaves behind .venv with exactly what the lock names, this project installed in it (editable), and the
# system packages of the groups that are asked for:
#
#   tools/setup.sh            Python only: enough for the tests that need no virtual machine
#   tools/setup.sh sandbox    and what makes and runs virtual machines
#   tools/setup.sh check      and the linter of shell scripts
#   tools/setup.sh browser    and the browser that tests look at pages with, where it can be had
#   tools/setup.sh peers      and the programs the system tests and the benchmark measure against, where they can be had
#
# Repeatable, and over in a blink when there is nothing to do.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
venv="$root/.venv"
stamp="$venv/.setup-stamp"
missing=''

say() { printf '%s\n' "$*" >&2; }
die() { say "setup: $*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
need() { have "$1" || missing="$missing $2"; } # need COMMAND PACKAGE

as_root() {
    if [ "$(id -u)" = 0 ]; then
        env "$@"
    elif have sudo; then
        sudo env "$@"
    else
        die "must install$missing, but this is not root and there is no sudo; install them as root and start again"
    fi
}

apt_install() {
    have apt-get || die "this machine has no apt-get; install what these Debian packages hold and start again: $*"
    say "setup: installing $*"
    as_root DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 update
    as_root DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=600 install --no-install-recommends "$@" >&2
}

fits() { # fits PYTHON: it runs and is of a version the lock was made for
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if fits "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    die "needs Python 3.11, 3.12 or 3.13; install one, or name one: PYTHON=/path/to/python3.12 make …"
}

want_python() {
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        missing="$missing $("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    need ssh openssh-client
}

want_sandbox() {
    need qemu-system-x86_64 qemu-system-x86
    need qemu-img qemu-utils
    need mmdebstrap mmdebstrap
    need grub-mkimage grub-common
    [ -e /usr/lib/grub/i386-pc/boot.img ] || missing="$missing grub-pc-bin"
    [ -x /usr/sbin/sfdisk ] || need sfdisk fdisk
    [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || missing="$missing debian-archive-keyring"
}

install_where_possible() { # install_where_possible PACKAGE...: what needs a missing one is skipped
    for peer in "$@"; do
        case $peer in
            awscli) command=aws ;;
            python3-openstackclient) command=openstack ;;
            *) command=$peer ;;
        esac
        have "$command" || apt_install "$peer" || say "setup: no $peer to be had here; what needs it will be skipped"
    done
}

make_venv() {
    wanted=$({ "$venv/bin/python" -V 2>/dev/null || echo none; } |
        cat - "$root/requirements.txt" "$root/requirements-dev.txt" "$root/pyproject.toml" | sha256sum)
    [ ! -e "$stamp" ] || [ "$wanted" != "$(cat "$stamp")" ] || return 0
    fits "$venv/bin/python" || "$python" -m venv --clear "$venv"
    uv=$(sed -n 's/^uv==\([^ ;]*\).*/uv==\1/p' "$root/requirements-dev.txt")
    "$venv/bin/python" -m pip --quiet --disable-pip-version-check install "$uv"
    set -- --quiet --python "$venv/bin/python"
    # Compiled now, or each of Airflow's processes compiles for itself while the first start is waited for.
    "$venv/bin/uv" pip sync "$@" --compile-bytecode "$root/requirements.txt" "$root/requirements-dev.txt"
    "$venv/bin/uv" pip install "$@" --no-deps --editable "$root"
    { "$venv/bin/python" -V; cat "$root/requirements.txt" "$root/requirements-dev.txt" "$root/pyproject.toml"; } |
        sha256sum >"$stamp"
}

want_python
wished=''
for group in "$@"; do
    case $group in
        sandbox) want_sandbox ;;
        check) need shellcheck shellcheck ;;
        browser) wished="$wished chromium" ;;
        peers) wished="$wished packer chromium awscli python3-openstackclient" ;;
        *) die "no group is called $group; there are sandbox, check, browser and peers" ;;
    esac
done
# Word splitting is wanted: one package a word.
# shellcheck disable=SC2086
[ -z "$missing" ] || apt_install $missing
# shellcheck disable=SC2086
install_where_possible $wished
make_venv
