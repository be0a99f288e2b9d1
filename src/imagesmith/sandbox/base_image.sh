#!/bin/sh
# Makes the sandbox's base image once: a minimal Debian 12 that behaves like a cloud image.
#   base_image.sh OUTPUT_DIRECTORY [APT_OPTION...]
# Leaves in OUTPUT_DIRECTORY: disk.qcow2 (root file system without partitions), vmlinuz and initrd (booted directly by
# QEMU), packages.txt. Each APT_OPTION (how this host reaches the archive) also goes into the image, whose guests share
# the host's way out. Needs root or user namespaces; a failed run leaves nothing.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
output=$1
shift

mkdir -p "$output"
output=$(cd "$output" && pwd)
building=$(mktemp -d "$output/building.XXXXXX")
trap 'rm -rf "$building"' EXIT

# python3 is here because Debian's own cloud images carry it, and installing it costs a build half of its time.
packages=systemd-sysv,udev,kmod,e2fsprogs,iproute2,netbase,procps,dbus,openssh-server,sudo,python3,ca-certificates
packages=$packages,linux-image-cloud-amd64,busybox-static

# An emulated `apt-get update` is most of what a small build takes, so it gets by with less work for the same result:
# no descriptions in the user's language (a third of its time, and no script reads them), indexes in the form that is
# cheaper to unpack (gz takes 3 MB more to fetch than xz), and below one keyring named for the archive, as Debian's
# container images do, instead of nine files to be unpacked and merged for each of three signatures. Measured: 30 s of
# processor without the last two, 20 s with them.
set -- "$@" 'Acquire::Languages "none"' 'Acquire::CompressionTypes::Order:: "gz"'
for option in "$@"; do
    set -- "$@" "--aptopt=$option"
    shift
done

# shellcheck disable=SC2016  # mmdebstrap gives the hooks their $1
mmdebstrap --variant=minbase --format=tar --include="$packages" \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    "$@" \
    --customize-hook='mkdir "$1/root/guest"' \
    --customize-hook="sync-in '$here/guest' /root/guest" \
    --customize-hook='chroot "$1" sh /root/guest/customize.sh' \
    bookworm "$building/root.tar"

if [ "$(id -u)" = 0 ]; then
    as_root() { "$@"; }
else
    as_root() { mmdebstrap --unshare-helper "$@"; }
fi

tar -C "$building" -xf "$building/root.tar" ./boot/sandbox
# The tree must belong to root while mke2fs copies it; dev/ is filled by the kernel at boot.
# shellcheck disable=SC2016  # the inner shell expands these
as_root sh -eu -c '
    mkdir "$1/tree"
    tar -C "$1/tree" --exclude="./dev/*" --exclude="./boot/sandbox" --numeric-owner -xf "$1/root.tar"
    mke2fs -q -t ext4 -L sandbox-root -m 1 -E lazy_itable_init=1,lazy_journal_init=1 -d "$1/tree" "$1/disk.raw" 8G
    rm -rf "$1/tree"
' sh "$building"
qemu-img convert -O qcow2 "$building/disk.raw" "$building/disk.qcow2"

# The disk last: its presence says that the image is whole.
mv "$building/boot/sandbox/vmlinuz" "$building/boot/sandbox/initrd" "$building/boot/sandbox/packages.txt" "$output/"
mv "$building/disk.qcow2" "$output/disk.qcow2"
