#!/bin/sh
# Leaves behind .env, readable by its owner alone, with a fresh secret for each part of docker-compose.yaml.
# An .env that is there stays as it is: what it protects could not be read with other keys.
set -eu

cd "$(dirname -- "$0")/.."
if [ -e .env ]; then
    echo '.env is there already, and stays' >&2
    exit 0
fi

random() { head -c "$1" /dev/urandom | base64 | tr -d '\n' | tr '+/' '-_'; } # random BYTES: URL-safe base64
word() { random 24 | tr -d '='; }

umask 077
cat >.env.new <<EOF
# Secrets of docker-compose.yaml, written once by \`make env\`. Keep it; never commit it.
AIRFLOW_PORT=8080
AIRFLOW_ADMIN_PASSWORD=$(word)
AIRFLOW_FERNET_KEY=$(random 32)
AIRFLOW_JWT_SECRET=$(random 48)
AIRFLOW_API_SECRET_KEY=$(random 32)
POSTGRES_PASSWORD=$(word)
REDIS_PASSWORD=$(word)
IMAGESMITH_SECRET=$(random 32)
EOF
mv .env.new .env
echo 'wrote .env; the password of the user admin is in it' >&2
