#!/bin/sh
# Makes of the sandbox's base image a disk that boots by itself: boot loader, partition table and the base's file system.
#   whole_disk.sh DIRECTORY
# Reads DIRECTORY/disk.qcow2, leaves DIRECTORY/whole-disk.qcow2. Kernel and initrd are those in the file system. Needs no
# root, mounts nothing; a failed run leaves nothing.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
directory=$(cd "$1" && pwd)
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
grub=/usr/lib/grub/i386-pc

building=$(mktemp -d "$directory/building.XXXXXX")
trap 'rm -rf "$building"' EXIT
cd "$building"

# The disk is as large as the base's, 8 GiB: the file system makes room for the first MiB.
partition='disk.raw?offset=1048576'
truncate -s 8193M disk.raw
qemu-img convert -n -f qcow2 --target-image-opts "$directory/disk.qcow2" \
    driver=raw,offset=1048576,file.driver=file,file.filename=disk.raw
e2fsck -fp "$partition" || [ $? = 1 ] # 1: what it found, it has mended
resize2fs "$partition" "$((8191 * 1024))K"
truncate -s 8192M disk.raw

cp "$here/grub.cfg" .
debugfs -w -f - "$partition" <<'END_OF_COMMANDS'
mkdir /boot/grub
cd /boot/grub
write grub.cfg grub.cfg
set_inode_field grub.cfg uid 0
set_inode_field grub.cfg gid 0
set_inode_field grub.cfg mode 0100644
END_OF_COMMANDS
# debugfs says well done whatever happened.
debugfs -R 'cat /boot/grub/grub.cfg' "$partition" | cmp - grub.cfg

echo 'start=2048, type=83, bootable' | sfdisk --quiet --no-tell-kernel disk.raw
grub-mkimage -O i386-pc -d "$grub" -o core.img -p '(,msdos1)/boot/grub' \
    biosdisk part_msdos ext2 normal linux serial terminal terminfo
# As they are made, the first 440 bytes go on at sector 1, and what lies there goes on at sector 2.
dd if="$grub/boot.img" of=disk.raw bs=440 count=1 conv=notrunc status=none
dd if=core.img of=disk.raw bs=512 seek=1 conv=notrunc status=none

qemu-img convert -O qcow2 disk.raw whole-disk.qcow2
mv whole-disk.qcow2 "$directory/"
