# The part of Imagesmith that runs on the instance: POSIX shell, nothing to install.
#
# Never a file of its own over there. Every call is `sh -s -- imagesmith VERB BUILD_ID ARGUMENTS...` with this text on
# stdin, then the line that calls `imagesmith_main`, with the call's data behind it in base64, in braces: a text that a
# broken connection cut short does not parse, so nothing of it runs. It leaves one directory,
# ~/.imagesmith/BUILD_ID (0700): scripts, their output (N.out), exit code (N.rc) and process id (N.pid), which clean-up
# removes. A script's environment comes in a file in memory (/dev/shm) whose name is gone before anything is in it.
# shellcheck shell=sh
set -eu
umask 077

# A fifth of a second where `sleep` knows such, else a whole one.
nap() { sleep 0.2 2>/dev/null || sleep 1; }

boot_id() { cat /proc/sys/kernel/random/boot_id 2>/dev/null || echo unknown; }

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi; }

memory_dir() { if [ -d /dev/shm ] && [ -w /dev/shm ]; then echo /dev/shm; else echo "$work"; fi; }

# Whether what is written to /dev/shm stays off the disk.
shm_is_memory() {
  if ! [ -d /dev/shm ] || ! [ -w /dev/shm ]; then return 1; fi
  real=$(readlink -f /dev/shm) || real=/dev/shm
  at_it="" above_it=""
  while read -r _ place kind _; do
    if [ "$place" = "$real" ]; then at_it=$kind; elif [ "$place" = "${real%/*}" ]; then above_it=$kind; fi
  done </proc/mounts
  case ${at_it:-$above_it} in tmpfs | ramfs | devtmpfs) return 0 ;; *) return 1 ;; esac
}

# Before the call's data is read: bash writes a here-document to a file, deleted at once, where TMPDIR says. With the
# call's arguments; what must not touch the disk ends here (66) on a machine that has no place for it.
keep_here_documents_in_memory() {
  if [ "${8-}" = memory ] && ! shm_is_memory; then
    echo "its secret parameters must not touch the disk, and /dev/shm is not in memory; mount a tmpfs there" >&2
    exit 66
  fi
  their_tmpdir=${TMPDIR-} had_tmpdir=${TMPDIR+yes}
  if [ -d /dev/shm ] && [ -w /dev/shm ]; then TMPDIR=/dev/shm; fi
}

restore_tmpdir() { if [ "$had_tmpdir" = yes ]; then TMPDIR=$their_tmpdir; else unset TMPDIR; fi; }

# What this machine is like: one KEY=VALUE a line.
verb_look() {
  echo "boot=$(boot_id)"
  if [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; then echo root=yes; else echo root=no; fi
  if command -v cloud-init >/dev/null 2>&1; then
    case "$(cloud-init status 2>/dev/null)" in
      *running* | *"not run"* | *"not started"*) echo cloud_init=running ;;
      *error*) echo cloud_init=error ;;
      *) echo cloud_init=done ;;
    esac
  else
    echo cloud_init=absent
  fi
}

# place PATH: the call's data becomes the file PATH on the machine, owned by root where we may.
verb_place() {
  base64 -d >"$work/place.part"
  if [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; then
    as_root mkdir -p "$(dirname "$1")"
    as_root install -m 0644 -o root -g root "$work/place.part" "$1"
    rm -f "$work/place.part"
  else
    mkdir -p "$(dirname "$1")"
    chmod 0644 "$work/place.part"
    mv "$work/place.part" "$1"
  fi
}

# A start that died between its mark and its process leaves the mark alone: no process id for ten seconds, same boot.
start_was_cut_off() {
  for pause in 0 1 2 3 4; do
    sleep "$pause"
    if [ -e "$work/$1.pid" ] || [ -e "$work/$1.rc" ]; then return 1; fi
  done
  [ "$(cat "$work/$1.once/boot" 2>/dev/null || boot_id)" = "$(boot_id)" ]
}

# run NAME AS SIZE OFFSET WHERE: run a script detached, once however often this is called, and give its output from byte
# OFFSET on, as it comes, until it ends; AS is `user` or `root`; WHERE is `memory` if its environment must not touch the disk. The call's data is base64 once more: one line of its
# environment, as shell assignments, then the script of SIZE bytes. Exits 66 if it could not be started, 67 if output was
# read before (OFFSET) and now the script's files are gone: it must not run a second time.
verb_run() {
  if [ "$4" -gt 0 ] && [ ! -d "$work/$1.once" ]; then exit 67; fi
  trap 'exit 66' EXIT
  base64 -d | start "$1" "$2" "$3"
  trap - EXIT
  follow "$1" "$4"
}

# Start what stdin holds, unless it was started before.
start() {
  if ! mkdir "$work/$1.once" 2>/dev/null && ! start_was_cut_off "$1"; then return; fi
  boot_id >"$work/$1.once/boot"
  env_file="$(memory_dir)/imagesmith-$build-$1-$$.env"
  exec 4>"$env_file"
  exec 3<"$env_file"
  rm -f "$env_file"
  IFS= read -r environment
  echo "$environment" | base64 -d >&4
  exec 4>&-
  unset environment
  base64 -d >"$work/$1"
  if [ "$(($(wc -c <"$work/$1")))" -ne "$3" ]; then echo "$1 did not come whole" >&2; return 1; fi
  chmod 0700 "$work/$1"
  cat >"$work/run" <<'RUN'
#!/bin/sh
# Runs one file with its output and exit code kept; a shutdown that stops it leaves a mark. Its environment is on stdin.
work=$1 name=$2
echo $$ >"$work/$name.pid"
trap 'cat /proc/sys/kernel/random/boot_id >"$work/$name.stopping"; sync' TERM HUP INT
cd "$HOME" || exit 1
export IMAGESMITH_WORK="$work"
set -a
# shellcheck disable=SC1091
. /dev/stdin
set +a
exec </dev/null
umask 022
# Its place on the disk is taken before the script can fill that.
echo pending >"$work/$name.rc.part"
"$work/$name" </dev/null >>"$work/$name.out" 2>&1 &
child=$!
wait "$child"
rc=$?
while kill -0 "$child" 2>/dev/null; do
  wait "$child"
  rc=$?
done
echo "$rc" 1<>"$work/$name.rc.part"
mv "$work/$name.rc.part" "$work/$name.rc"
sync "$work/$name.rc" 2>/dev/null || sync
RUN
  : >>"$work/$1.out"
  boot_id >"$work/$1.boot"
  detach="nohup"
  if command -v setsid >/dev/null 2>&1; then detach="setsid"; fi
  if [ "$2" = root ]; then
    as_root "$detach" sh "$work/run" "$work" "$1" <&3 3<&- >/dev/null 2>&1 &
  else
    "$detach" sh "$work/run" "$work" "$1" <&3 3<&- >/dev/null 2>&1 &
  fi
  exec 3<&-
}

# No process has the number 0, though `kill -0 0` finds one: our own group.
process_runs() { [ "${1:-0}" -gt 0 ] 2>/dev/null && { [ -d "/proc/$1" ] || kill -0 "$1" 2>/dev/null; }; }

# status NAME: `state=` absent, running, done (with `rc=`), rebooted (an orderly restart ended it) or lost; `size=` of its output.
verb_status() {
  echo "boot=$(boot_id)"
  if [ -e "$work/$1.out" ]; then echo "size=$(($(wc -c <"$work/$1.out")))"; else echo size=0; fi
  if [ ! -d "$work/$1.once" ]; then echo state=absent; return; fi
  marked=no
  if [ -e "$work/$1.stopping" ]; then marked=$(cat "$work/$1.stopping"); fi
  if [ -e "$work/$1.rc" ]; then
    read -r rc <"$work/$1.rc"
    echo "rc=$rc"
    if [ "$rc" = 0 ] || [ "$marked" = no ]; then
      echo state=done
    elif [ "$marked" = "$(boot_id)" ]; then
      echo state=running
    else
      echo state=rebooted
    fi
    return
  fi
  started_in=$(cat "$work/$1.boot" 2>/dev/null || cat "$work/$1.once/boot" 2>/dev/null || boot_id)
  if [ "$started_in" != "$(boot_id)" ]; then
    if [ "$marked" = no ]; then echo state=lost; else echo state=rebooted; fi
    return
  fi
  # The process id is written a moment after the start.
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    if [ -e "$work/$1.pid" ] || [ -e "$work/$1.rc" ]; then break; fi
    nap
  done
  if process_runs "$(cat "$work/$1.pid" 2>/dev/null || echo 0)"; then
    echo state=running
  elif [ -e "$work/$1.rc" ]; then
    read -r rc <"$work/$1.rc"
    echo "rc=$rc"
    echo state=done
  else
    echo state=lost
  fi
}

# inspect: the call's data is a script that root runs out of memory, attached; nothing of it stays here.
verb_inspect() { base64 -d | as_root sh -s; }

# sync: what was written is on the disk.
verb_sync() { sync; }

# The output from byte OFFSET on.
follow() {
  tries=0
  while [ ! -e "$work/$1.pid" ] && [ ! -e "$work/$1.rc" ] && [ "$tries" -lt 25 ]; do
    tries=$((tries + 1))
    nap
  done
  pid=$(cat "$work/$1.pid" 2>/dev/null || echo 0)
  # After a restart the number belongs to somebody else.
  if [ "$(cat "$work/$1.boot" 2>/dev/null || boot_id)" != "$(boot_id)" ]; then pid=0; fi
  if [ "$pid" -gt 0 ] && tail --pid=1 -c 0 /dev/null 2>/dev/null; then
    if process_runs "$pid"; then
      exec tail -s 0.3 --pid="$pid" -c "+$(($2 + 1))" -f "$work/$1.out"
    fi
    exec tail -c "+$(($2 + 1))" "$work/$1.out"
  fi
  offset=$2
  while :; do
    ended=no
    if [ -e "$work/$1.rc" ] || ! process_runs "$pid"; then ended=yes; fi
    size=$(($(wc -c <"$work/$1.out")))
    if [ "$size" -gt "$offset" ]; then
      tail -c "+$((offset + 1))" "$work/$1.out" | head -c "$((size - offset))"
      offset=$size
    fi
    if [ "$ended" = yes ]; then break; fi
    sleep 1
  done
}

imagesmith_main() {
  verb=$2 build=$3
  shift 3
  restore_tmpdir
  work="$HOME/.imagesmith/$build"
  # Only verbs that write make the directory: a late question must not leave one in a machine that was cleaned up.
  case $verb in place | run) mkdir -p "$work" ;; esac
  "verb_$verb" "$@"
}
