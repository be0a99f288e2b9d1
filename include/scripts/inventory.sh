#!/bin/sh
# Prints what is inside this machine, as text that src/imagesmith/inventory_text.py reads. Runs as root, reads files and
# starts few programs, since on an emulated machine each of them takes a moment; leaves nothing behind. No password, not
# even its hash, and no private key is printed.
#
# A line `== NAME` begins a part. What a file holds comes behind the file's name, as grep prints it. A path that a line
# can't hold comes in base64, behind `base64`.
set -eu
LC_ALL=C
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
export LC_ALL PATH

part() { printf '== %s\n' "$1"; }

# grep, to whom finding nothing is no failure; not started where none of the files is there.
find_lines() {
  for path in "$@"; do
    if [ -f "$path" ]; then
      grep -as "$@" || true
      return 0
    fi
  done
}

each() { for path in "$@"; do if [ -e "$path" ] || [ -L "$path" ]; then printf '%s\n' "$path"; fi; done; }

# The words of /proc/mounts that are disks, and the root.
disks() {
  echo /
  while read -r device mount _; do
    case $device in /dev/loop*) ;; /dev/*) if [ "$mount" != / ]; then printf '%s\n' "$mount"; fi ;; esac
  done </proc/mounts
}

# A path with a line end or a backslash in it: programs disagree on how to print such.
odd='*[\\
]*'

# Only whether there is one.
passwords() {
  while IFS=: read -r name hash _; do
    case $hash in '') state=open ;; '*'* | '!'*) state=locked ;; *) state='set' ;; esac
    printf '%s:%s\n' "$name" "$state"
  done
}

machine() {
  part files
  find_lines -H '' /etc/os-release /usr/lib/os-release /etc/passwd /etc/group /proc/cmdline /proc/sys/kernel/osrelease \
    /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6 /proc/sys/net/ipv4/ip_local_port_range \
    /etc/machine-id /etc/ssh/ssh_host_*_key.pub
  part architecture
  if [ -r /proc/sys/kernel/arch ]; then read -r arch </proc/sys/kernel/arch && printf '%s\n' "$arch"; else uname -m; fi
  part kernels
  each /lib/modules/*/modules.builtin /usr/lib/modules/*/modules.builtin
  part passwords
  if [ -r /etc/shadow ]; then passwords </etc/shadow; fi
}

packages() {
  part dpkg
  find_lines -hE '^(Package|Status|Architecture|Version|Origin|Maintainer): ' /var/lib/dpkg/status
  part rpm
  if command -v rpm >/dev/null 2>&1 && [ ! -e /var/lib/dpkg/status ]; then
    rpm -qa --qf '%{NAME}\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\t%{ARCH}\t%{VENDOR}\n' 2>/dev/null || true
  fi
  part apk
  find_lines -hE '^[PVAm]:' /lib/apk/db/installed /usr/lib/apk/db/installed
  part pacman
  find_lines -h -A1 -E '^%(NAME|VERSION|ARCH|PACKAGER)%$' /var/lib/pacman/local/*/desc
  part pip
  set --
  for place in /usr/lib/python3*/dist-packages /usr/lib/python3*/site-packages /usr/lib64/python3*/site-packages \
    /usr/local/lib/python3*/dist-packages /usr/local/lib/python3*/site-packages /opt/*/lib/python3*/site-packages; do
    if [ -d "$place" ] && [ ! -L "$place" ]; then
      set -- "$@" "$place"/*.dist-info/METADATA "$place"/*.egg-info/PKG-INFO "$place"/*.egg-info
    fi
  done
  find_lines -HE -m2 '^(Name|Version): ' "$@"
  part npm
  find_lines -H '' /usr/lib/node_modules/*/package.json /usr/lib/node_modules/@*/*/package.json \
    /usr/local/lib/node_modules/*/package.json /usr/local/lib/node_modules/@*/*/package.json
  part gem
  for place in /usr/share/rubygems-integration/*/specifications /var/lib/gems/*/specifications \
    /usr/lib/ruby/gems/*/specifications /usr/lib64/ruby/gems/*/specifications /usr/share/gems/specifications \
    /usr/local/lib/ruby/gems/*/specifications; do
    each "$place"/*.gemspec "$place"/default/*.gemspec
  done
}

services() {
  part services
  each /etc/systemd/system/*.wants/* /etc/systemd/system/*.requires/* /etc/runlevels/*/*
  if [ ! -d /run/systemd/system ]; then each /etc/rc[2-5].d/S*; fi
}

# What prints paths that no line can hold: each as base64, then what the command says of it.
armored() {
  # shellcheck disable=SC2016  # for the inner shell
  printf 'for path; do printf "base64 "; printf %%s "$path" | base64 | tr -d "\\n"; printf " "; %s "$path"; done' "$1"
}

setuid() {
  part setuid
  # shellcheck disable=SC2046  # one word each
  find $(disks) -xdev -type f -perm /6000 \( \
    -path "$odd" -exec sh -c "$(armored 'stat -c "%a %U:%G"')" sh {} + -o \
    -exec stat -c '%a %U:%G %n' {} + \) 2>/dev/null || true
}

configuration() {
  part configuration
  # What is large there and made from the rest is not read.
  find /etc -xdev -type f ! -path /etc/udev/hwdb.bin ! -path '/etc/selinux/*/policy/*' \( \
    -path "$odd" -exec sh -c "$(armored 'sha256sum <')" sh {} + -o \
    -exec sha256sum {} + \) 2>/dev/null || true
  # Links of units stand among the services.
  find /etc -xdev -type l ! -path '*.wants/*' ! -path '*.requires/*' \( \
    -path "$odd" -exec sh -c "$(armored 'printf "link "; readlink')" sh {} + -o \
    -exec ls -ldn {} + \) 2>/dev/null || true
}

{
  echo '== imagesmith inventory 1'
  machine
  packages
  services
  setuid
  configuration
  part end
} </dev/null
