#!/bin/sh
# Leaves behind requirements.txt (what runs) and requirements-dev.txt (what tests and checks it), pinned for
# every Python that is supported. `tools/lock.sh --upgrade` takes the newest that fit; without it, only what
# pyproject.toml demands changes.
set -eu

cd "$(dirname -- "$0")/.."
uv=.venv/bin/uv
[ -x "$uv" ] || tools/setup.sh
note='# Written by "make lock"; edit pyproject.toml instead.'

compile() { # compile FILE ARGUMENT...: pins to FILE, without the address they were found at
    file=$1
    shift
    "$uv" pip compile --quiet --universal --python-version 3.11 --no-header \
        --no-emit-index-url --no-emit-find-links --output-file "$file" "$@" >/dev/null
    printf '%s\n%s\n' "$note" "$(grep -v "^$note" "$file")" >"$file.new"
    mv "$file.new" "$file"
}

compile requirements.txt pyproject.toml "$@"
compile requirements-dev.txt --group dev --constraints requirements.txt "$@"
