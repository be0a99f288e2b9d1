#!/bin/sh
# The cloud client of the sandbox's Nimbus sites: what users of Nimbus start, with the same commands, texts, streams and
# exit codes. The sandbox installs it at each start. Of an option that is given twice the first one counts.
set -eu

PYTHON=python3
SOURCE=src

home=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
export X509_CERT_DIR="$home/lib/certs" PYTHONPATH="$SOURCE"
exec "$PYTHON" -P -m imagesmith.sandbox.nimbus.client "$@" \
    --conf "$home/conf/cloud.properties" --history-dir "$home/history"
