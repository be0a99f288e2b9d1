#!/bin/sh
# Prints what a build may have left in the image this machine was booted from, for src/imagesmith/remains.py to judge. Runs
# as root, reads files, leaves nothing behind but, while it runs, the values it searches for in memory (/dev/shm).
#
# `secrets`, set in front of this text, are the values: NUMBER:BASE64 for each, with blanks between. They are on no command
# line and are not printed: what is told of a file that holds one is NUMBER PATH. A line `== NAME` begins a part.
set -eu
umask 077
LC_ALL=C
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
export LC_ALL PATH

part() { printf '== %s\n' "$1"; }

# Without a program for each: on a machine that is emulated every one of them takes a moment.
each_home() {
  while IFS=: read -r _ _ _ _ _ home _; do
    if [ "$home" != / ] && [ -d "$home/" ]; then "$1" "$home"; fi
  done </etc/passwd
}

authorized_keys() {
  for file in "$1"/.ssh/authorized_keys*; do
    if [ -f "$file" ]; then grep -aH '' "$file" || true; fi
  done
}

histories() { for file in "$1"/.*_history; do if [ -s "$file" ]; then printf '%s\n' "$file"; fi; done; }

directories() { for path in "$1"/.imagesmith/*; do if [ -e "$path" ]; then printf '%s\n' "$path"; fi; done; }

# What packages alone write is left out, and what this machine's own verification does.
search() {
  memory=$(mktemp -d "$(if [ -d /dev/shm ] && [ -w /dev/shm ]; then echo /dev/shm; else echo /run; fi)/imagesmith-XXXXXX")
  trap 'rm -rf "$memory"' EXIT
  # shellcheck disable=SC2086  # words
  for word in $secrets; do printf '%s' "${word#*:}" | base64 -d; echo; done >"$memory/all"
  find /etc /root /home /opt /srv /usr/local /boot /var /tmp -xdev \
    \( -path /var/lib/dpkg/info -o -path /var/lib/apt/lists -o -path '/var/lib/rpm' -o -path '*/.imagesmith' \) -prune -o \
    -type f -exec grep -laF -f "$memory/all" {} + >"$memory/found" 2>/dev/null || true
  if [ ! -s "$memory/found" ]; then return 0; fi
  # shellcheck disable=SC2086  # words
  for word in $secrets; do
    printf '%s' "${word#*:}" | base64 -d >"$memory/one"
    while IFS= read -r path; do
      if grep -qaF -f "$memory/one" "$path" 2>/dev/null; then printf '%s %s\n' "${word%%:*}" "$path"; fi
    done <"$memory/found"
  done
}

{
  echo '== imagesmith remains 1'
  part keys
  each_home authorized_keys
  part histories
  each_home histories
  part directories
  each_home directories
  part secrets
  if [ -n "${secrets:-}" ]; then search; fi
  part end
} </dev/null
