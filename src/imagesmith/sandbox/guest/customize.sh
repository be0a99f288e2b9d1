#!/bin/sh
# Runs inside the new root file system, once, while the base image is made. Leaves the sandbox's own units installed and
# enabled, what a throw-away VM never needs masked, and in /boot/sandbox the kernel, a small initrd and the package list.
set -eu

here=$(cd "$(dirname "$0")" && pwd)

useradd --create-home --shell /bin/bash --comment "Debian" admin
usermod --password '*' admin
printf 'admin ALL=(ALL) NOPASSWD:ALL\n' >/etc/sudoers.d/90-admin
chmod 0440 /etc/sudoers.d/90-admin
passwd --quiet --lock root

install -m 0755 "$here/sandbox-init" "$here/sandbox-final" "$here/sandbox-line" /usr/sbin/
install -m 0755 "$here/cloud-init" /usr/bin/
install -m 0644 "$here/sandbox-init.service" "$here/sandbox-final.service" "$here/sandbox-line.service" \
    /etc/systemd/system/
systemctl --quiet enable sandbox-init.service sandbox-final.service sandbox-line.service

printf 'PasswordAuthentication no\nUseDNS no\n' >/etc/ssh/sshd_config.d/10-sandbox.conf
printf '# The root file system is mounted by the initrd.\n' >/etc/fstab
printf 'localhost\n' >/etc/hostname
printf '127.0.0.1 localhost\n::1 localhost ip6-localhost\n' >/etc/hosts
printf 'nameserver 10.0.2.3\n' >/etc/resolv.conf

printf 'LANG=C.UTF-8\n' >/etc/default/locale
sed -i 's|^deb |deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] |' /etc/apt/sources.list

# Emulated processors make every unit at boot cost; these give a machine of minutes nothing.
systemctl --quiet mask \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer systemd-timesyncd.service getty.target getty@tty1.service serial-getty@ttyS0.service \
    systemd-udev-settle.service dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount \
    sys-kernel-tracing.mount sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount \
    systemd-binfmt.service systemd-modules-load.service modprobe@configfs.service modprobe@dm_mod.service \
    modprobe@drm.service modprobe@efi_pstore.service modprobe@fuse.service modprobe@loop.service \
    systemd-pstore.service systemd-random-seed.service systemd-update-utmp.service \
    systemd-update-utmp-runlevel.service systemd-logind.service systemd-user-sessions.service \
    systemd-remount-fs.service systemd-journal-flush.service
# Nobody lifts this ban on logins once systemd-user-sessions is masked.
ln -s /dev/null /etc/tmpfiles.d/systemd-nologin.conf
# D-Bus starts when somebody asks; its socket is enough until then.
systemctl --quiet disable dbus.service
rm -f /usr/lib/systemd/system/multi-user.target.wants/dbus.service
systemctl --quiet set-default multi-user.target
mkdir -p /etc/systemd/journald.conf.d /etc/systemd/system/systemd-udev-trigger.service.d
printf '[Journal]\nStorage=volatile\n' >/etc/systemd/journald.conf.d/10-sandbox.conf
# Only disks and network cards: a full coldplug loads a dozen modules for hardware that is not there.
printf '[Service]\nExecStart=\nExecStart=udevadm trigger --type=devices --action=add --subsystem-match=block --subsystem-match=net\n' \
    >/etc/systemd/system/systemd-udev-trigger.service.d/10-sandbox.conf

kernel=$(basename /lib/modules/*)
mkdir -p /boot/sandbox
sh "$here/make_initrd.sh" "$kernel" /boot/sandbox/initrd "$here/initrd-init"
cp "/boot/vmlinuz-$kernel" /boot/sandbox/vmlinuz
dpkg --purge busybox-static >/dev/null
dpkg-query -W -f '${Package} ${Version}\n' >/boot/sandbox/packages.txt

# The image is nobody's yet: identity and keys are made at the first boot of each instance.
rm -f /etc/ssh/ssh_host_*_key* /var/lib/dbus/machine-id
: >/etc/machine-id
# Saves each first boot the question whether users and caches have to be made anew.
touch /etc/.updated /var/.updated
rm -rf /root/guest /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb /var/log/*.log /var/log/apt/*
