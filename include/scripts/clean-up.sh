#!/bin/sh
# Last act on an instance before its image is saved. Runs as root, from memory. Leaves no key, host key, machine-id,
# cloud-init state, shell history, log, mail, temporary file or package cache of the build; then powers the machine off.
# Repeatable: each line finds its work done or does it. It stops at the first failure, while the build's key still works.
#
# IMAGESMITH_PUBLIC_KEY is the key to forget (type and base64), IMAGESMITH_WORK the build's
# directory there; IMAGESMITH_POWER_OFF is `yes` where the cloud shows a stopped machine as the proof that this ended.
set -eu

homes() { cut -d: -f6 /etc/passwd | sort -u | while read -r home; do [ -d "$home/" ] && echo "$home"; done; true; }

empty() { for file in "$@"; do if [ -f "$file" ]; then : >"$file"; fi; done; }

forget_packages() {
  if command -v apt-get >/dev/null; then rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb; fi
  if command -v dnf >/dev/null; then dnf -q clean all; rm -rf /var/cache/dnf/*; elif command -v yum >/dev/null; then yum -q clean all; fi
  if command -v zypper >/dev/null; then zypper -q clean --all; fi
  if command -v apk >/dev/null; then rm -rf /var/cache/apk/*; fi
  if command -v pacman >/dev/null; then rm -rf /var/cache/pacman/pkg/*; fi
}

forget_identity() {
  rm -f /etc/ssh/ssh_host_*key /etc/ssh/ssh_host_*key.pub
  if [ -e /etc/machine-id ]; then : >/etc/machine-id; fi
  if [ -f /var/lib/dbus/machine-id ] && [ ! -L /var/lib/dbus/machine-id ]; then rm -f /var/lib/dbus/machine-id; fi
  rm -f /var/lib/systemd/random-seed /etc/udev/rules.d/70-persistent-net.rules
  rm -rf /var/lib/dhcp/*.leases /var/lib/dhclient/*.lease* /var/lib/NetworkManager/*.lease
  # The logs of cloud-init go with the other logs below; its own `clean` leaves some of this behind.
  rm -rf /var/lib/cloud/instance /var/lib/cloud/instances/* /var/lib/cloud/data/* /var/lib/cloud/sem/* /run/cloud-init
}

forget_people() {
  homes | while read -r home; do
    rm -f "$home"/.*_history "$home/.lesshst" "$home/.viminfo" "$home/.wget-hsts" "$home/.sudo_as_admin_successful"
  done
  rm -rf /var/lib/sudo/ts/* /run/sudo/ts/*
  empty /var/mail/* /var/spool/mail/*
}

forget_logs() {
  rm -rf /var/log/journal/* /run/log/journal/*
  find /var/log -type f \( -name '*.gz' -o -name '*.xz' -o -name '*.old' -o -name '*.[0-9]' \) -exec rm -f {} +
  find /var/log -type f -exec sh -c 'for file; do : >"$file"; done' sh {} +
  find /tmp /var/tmp -mindepth 1 -xdev -delete 2>/dev/null || true
}

# The branch this script sits on: after it, nobody can log in with the build's key.
forget_key() {
  homes | while read -r home; do
    keys="$home/.ssh/authorized_keys"
    if [ -f "$keys" ] && grep -qF "$IMAGESMITH_PUBLIC_KEY" "$keys"; then
      grep -vF "$IMAGESMITH_PUBLIC_KEY" "$keys" >"$keys.kept" || true
      cat "$keys.kept" >"$keys"
      rm -f "$keys.kept"
      if [ ! -s "$keys" ]; then rm -f "$keys"; fi
    fi
  done
}

# The environment of a script whose start was cut off.
forget_environments() { rm -f /dev/shm/imagesmith-*.env; }

forget_packages
forget_identity
forget_people
forget_logs
forget_environments
forget_key
rm -rf "$IMAGESMITH_WORK"
rmdir "$(dirname "$IMAGESMITH_WORK")" 2>/dev/null || true
sync
if [ "$IMAGESMITH_POWER_OFF" = yes ]; then
  # To systemd itself: SIGRTMIN+4 starts poweroff.target (systemd(1)), without a client that first asks other services.
  if [ -d /run/systemd/system ] && kill -38 1 2>/dev/null; then exit 0; fi
  poweroff || shutdown -h now
fi
