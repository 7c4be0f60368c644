#!/bin/sh
# Make a folder of random secrets for the compose file: new-secrets.sh FOLDER. What is there already is left as it is.
# Passwords of the database and of Redis, the two addresses in which the node needs them, and the key of the export's pseudonyms.
set -eu

folder=${1:?usage: new-secrets.sh FOLDER}
if [ -e "$folder/postgres_password" ]; then
    echo "$folder holds secrets already; nothing was changed" >&2
    exit 1
fi
random() { openssl rand -hex 24; }
umask 077
mkdir -p "$folder"
database=$(random)
broker=$(random)
printf '%s' "$database" >"$folder/postgres_password"
printf 'requirepass %s\n' "$broker" >"$folder/redis_conf"
printf '{"url": "postgresql+psycopg://ptx:%s@postgres:5432/ptx"}\n' "$database" >"$folder/ptx_database"
printf '{"url": "redis://:%s@redis:6379/0"}\n' "$broker" >"$folder/ptx_broker"
printf '{"secret": "%s"}\n' "$(openssl rand -hex 32)" >"$folder/ptx_export"
# The folder is closed to others; the files are readable, because each is mounted into a container with another account.
chmod 444 "$folder/postgres_password" "$folder/redis_conf" "$folder/ptx_database" "$folder/ptx_broker" "$folder/ptx_export"
