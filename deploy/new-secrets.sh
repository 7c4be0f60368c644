#!/bin/sh
# Make a folder of random secrets for the compose files: new-secrets.sh FOLDER. A file that is there already is left as it is.
# Passwords of the database and of Redis, the two addresses in which the node needs them, and the key of the export's pseudonyms; for
# deploy/monitoring.yaml the token that Prometheus shows, and the passwords of Grafana's administrator and of its role in the database.
set -eu

folder=${1:?usage: new-secrets.sh FOLDER}
random() { openssl rand -hex 24; }
umask 077
mkdir -p "$folder"
made=
# The folder is closed to others; the files are readable, because each is mounted into a container with another account.
keep() {
    [ -e "$folder/$1" ] && return
    printf '%s' "$2" >"$folder/$1.new"
    chmod 444 "$folder/$1.new"
    mv "$folder/$1.new" "$folder/$1"
    made="$made $1"
}
keep postgres_password "$(random)"
keep redis_conf "requirepass $(random)"
database=$(cat "$folder/postgres_password")
broker=$(cut -d ' ' -f 2 "$folder/redis_conf")
keep ptx_database "{\"url\": \"postgresql+psycopg://ptx:$database@postgres:5432/ptx\"}"
keep ptx_broker "{\"url\": \"redis://:$broker@redis:6379/0\"}"
keep ptx_export "{\"secret\": \"$(openssl rand -hex 32)\"}"
keep metrics_token "ptx_$(openssl rand -hex 32)"
keep grafana_admin_password "$(random)"
keep dashboards_password "$(random)"
if [ -z "$made" ]; then
    echo "$folder holds every secret already; nothing was changed" >&2
    exit 1
fi
echo "made in $folder:$made"
