#!/bin/sh
# For maintainers: leaves behind src/imagesmith/web/static/vendor (and axe-core in tests/web/vendor), made anew from the
# versions in tools/vendor/package.json, with their licences and a note of their checksums. Needs npm; users never do.
# Where `git diff` shows nothing afterwards, the vendored files are what the registry has.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
served="$root/src/imagesmith/web/static/vendor"
tested="$root/tests/web/vendor"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

version() { node -p "require('$work/node_modules/$1/package.json').version"; }

take() { # take FOLDER PACKAGE LICENCE SCRIPT NAME: copies the script and the licence, and notes them
    cp "$work/node_modules/$2/$4" "$1/$5"
    cp "$work/node_modules/$2/LICENSE" "$1/${5%%.*}.LICENSE"
    note "$1" "$5" "$2@$(version "$2")" "$3"
}

note() { # note FOLDER NAME ORIGIN LICENCE
    printf '| %s | %s | %s | %s |\n' "$2" "$3" "$4" "$(sha256sum "$1/$2" | cut -d' ' -f1)" >>"$1/README.md"
}

begin() { # begin FOLDER TITLE SENTENCE
    mkdir -p "$1"
    # shellcheck disable=SC2016  # the backticks are Markdown's
    printf '# %s\n\n%s `tools/vendor_scripts.sh` makes them anew.\n\n' "$2" "$3" >"$1/README.md"
    printf '| file | from npm | licence | sha256 |\n|---|---|---|---|\n' >>"$1/README.md"
}

bundle_codemirror() {
    (cd "$work" && node_modules/.bin/esbuild codemirror.js --bundle --minify --format=iife --global-name=CodeMirror \
        --target=es2022 --legal-comments=none --log-level=warning --outfile="$served/codemirror.min.js")
    : >"$served/codemirror.LICENSE"
    origin=''
    for folder in "$work"/node_modules/@codemirror/* "$work"/node_modules/@lezer/* "$work"/node_modules/@marijn/* \
        "$work"/node_modules/crelt "$work"/node_modules/style-mod "$work"/node_modules/w3c-keyname; do
        name=${folder#"$work"/node_modules/}
        origin="$origin $name@$(version "$name")"
        printf '%s\n\n' "== $name" | cat - "$folder/LICENSE" >>"$served/codemirror.LICENSE"
        printf '\n' >>"$served/codemirror.LICENSE"
    done
    note "$served" codemirror.min.js "tools/vendor/codemirror.js with${origin}" MIT
}

cp "$root/tools/vendor/package.json" "$root/tools/vendor/codemirror.js" "$work/"
(cd "$work" && npm install --silent --no-audit --no-fund --no-package-lock)
begin "$served" "Other people's scripts" 'Served as they are.'
take "$served" htmx.org 0BSD dist/htmx.min.js htmx.min.js
take "$served" htmx-ext-sse 0BSD dist/sse.min.js htmx-ext-sse.min.js
bundle_codemirror
begin "$tested" "Other people's scripts, for tests" 'Never served.'
take "$tested" axe-core MPL-2.0 axe.min.js axe.min.js
