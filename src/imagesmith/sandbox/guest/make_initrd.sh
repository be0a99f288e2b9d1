#!/bin/sh
# Makes a small initrd: busybox, the few modules a QEMU guest needs, and our init.
#   make_initrd.sh KERNEL_VERSION OUTPUT INIT
# A distribution's initramfs starts udev a second time, which costs emulated machines two seconds.
set -eu

kernel=$1
output=$2
init=$3

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/bin" "$tree/modules" "$tree/proc" "$tree/sys" "$tree/dev" "$tree/disk"
install -m 0755 "$init" "$tree/init"
install -m 0755 "$(command -v busybox)" "$tree/bin/busybox"

for module in virtio_pci virtio_blk ext4 virtio_net virtio_rng; do
    modprobe --set-version "$kernel" --show-depends "$module" || true
done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$tree/paths"
while read -r path; do
    cp "$path" "$tree/modules/"
    basename "$path" >>"$tree/modules/order"
done <"$tree/paths"
rm "$tree/paths"

(cd "$tree" && find . | busybox cpio -o -H newc 2>/dev/null) >"$output"
