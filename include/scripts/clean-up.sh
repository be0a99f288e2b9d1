#!/bin/sh
# Last act on an instance before its image is saved. Runs as root, from memory. Leaves no key, host key, machine-id,
# cloud-init state, shell history, log, mail, temporary file or package cache of the build; then powers the machine off.
# Repeatable: each line finds its work done or does it. It stops at the first failure, while the build's key still works.
#
# IMAGESMITH_PUBLIC_KEY is the key to forget (type and base64), IMAGESMITH_WORK the build's
# directory there; IMAGESMITH_POWER_OFF is `yes` where the cloud shows a stopped machine as the proof that this ended.
set -eu

# Without a program of its own for each line: on a machine that is emulated every one of them takes a moment.
each_home() {
  while IFS=: read -r _ _ _ _ _ home _; do
    if [ -d "$home/" ]; then "$1" "$home"; fi
  done </etc/passwd
}

empty() { for file in "$@"; do if [ -f "$file" ]; then : >"$file"; fi; done; }

forget_packages() {
  if command -v dnf >/dev/null; then dnf -q clean all; elif command -v yum >/dev/null; then yum -q clean all; fi
  if command -v zypper >/dev/null; then zypper -q clean --all; fi
  rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb /var/cache/dnf/* /var/cache/apk/* \
    /var/cache/pacman/pkg/*
}

forget_identity() {
  if [ -e /etc/machine-id ]; then : >/etc/machine-id; fi
  if [ -f /var/lib/dbus/machine-id ] && [ ! -L /var/lib/dbus/machine-id ]; then rm -f /var/lib/dbus/machine-id; fi
  # The logs of cloud-init go with the other logs below; its own `clean` leaves some of this behind.
  rm -rf /var/lib/systemd/random-seed /etc/udev/rules.d/70-persistent-net.rules /var/lib/dhcp/*.leases \
    /var/lib/dhclient/*.lease* /var/lib/NetworkManager/*.lease /var/lib/cloud/instance /var/lib/cloud/instances/* \
    /var/lib/cloud/data/* /var/lib/cloud/sem/* /run/cloud-init
}

forget_habits() {
  for file in "$1"/.*_history "$1/.lesshst" "$1/.viminfo" "$1/.wget-hsts" "$1/.sudo_as_admin_successful"; do
    if [ -e "$file" ] || [ -L "$file" ]; then rm -f "$file"; fi
  done
}

forget_people() {
  each_home forget_habits
  rm -rf /var/lib/sudo/ts/* /run/sudo/ts/*
  empty /var/mail/* /var/spool/mail/*
}

forget_logs() {
  rm -rf /var/log/journal/* /run/log/journal/*
  # shellcheck disable=SC2016  # for the inner shell
  find /var/log -type f \( -name '*.gz' -o -name '*.xz' -o -name '*.old' -o -name '*.[0-9]' \) -exec rm -f {} + \
    -o -type f -exec sh -c 'for file; do : >"$file"; done' sh {} +
  find /tmp /var/tmp -mindepth 1 -xdev -delete 2>/dev/null || true
}

# The branch this script sits on: without host keys sshd greets nobody, and nobody can log in with the build's key.
forget_host_keys() { rm -f /etc/ssh/ssh_host_*key /etc/ssh/ssh_host_*key.pub; }

forget_key() {
  keys="$1/.ssh/authorized_keys"
  if [ -f "$keys" ] && grep -qF "$IMAGESMITH_PUBLIC_KEY" "$keys"; then
    grep -vF "$IMAGESMITH_PUBLIC_KEY" "$keys" >"$keys.kept" || true
    cat "$keys.kept" >"$keys"
    rm -f "$keys.kept"
    if [ ! -s "$keys" ]; then rm -f "$keys"; fi
  fi
}

# The environment of a script whose start was cut off.
forget_environments() { rm -f /dev/shm/imagesmith-*.env; }

forget_packages
forget_identity
forget_people
forget_logs
forget_environments
forget_host_keys
each_home forget_key
rm -rf "$IMAGESMITH_WORK"
rmdir "$(dirname "$IMAGESMITH_WORK")" 2>/dev/null || true
sync
if [ "$IMAGESMITH_POWER_OFF" = yes ]; then
  # To systemd itself: SIGRTMIN+4 starts poweroff.target (systemd(1)), without a client that first asks other services.
  if [ -d /run/systemd/system ] && kill -38 1 2>/dev/null; then exit 0; fi
  poweroff || shutdown -h now
fi
