#!/bin/sh
# Makes the cluster the first time, then runs what it is told as the user postgres.
set -eu
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA"
    chown postgres: "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
user=${POSTGRES_USER:-postgres}
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    password=${POSTGRES_PASSWORD_FILE:?a file with the password of the database user is needed}
    # In another folder first: a cluster that was half made is never taken for one.
    rm -rf "$PGDATA/.making" && mkdir -m 0700 "$PGDATA/.making"
    initdb --pgdata="$PGDATA/.making" --username="$user" --pwfile="$password" \
        --auth-local=trust --auth-host=scram-sha-256 --no-sync >/dev/null
    echo "host all all all scram-sha-256" >> "$PGDATA/.making/pg_hba.conf"
    if [ "${POSTGRES_DB:-$user}" != postgres ]; then
        echo "CREATE DATABASE \"${POSTGRES_DB:-$user}\"" |
            postgres --single -D "$PGDATA/.making" postgres >/dev/null
    fi
    sync
    rm -rf "$PGDATA/.making/lost+found"
    (cd "$PGDATA/.making" && find . -mindepth 1 -maxdepth 1 ! -name PG_VERSION -exec mv {} "$PGDATA/" \;)
    mv "$PGDATA/.making/PG_VERSION" "$PGDATA/"
    rmdir "$PGDATA/.making"
    chmod 0700 "$PGDATA"
fi
exec "$@" -c listen_addresses='*' -c unix_socket_directories=/tmp,/var/run/postgresql
