#!/bin/sh
# Dumps the database to the volume, and reads it back.
set -eu
dump=/var/lib/postgresql/data/backup.sql
case "$1" in
    backup) pg_dump --clean --if-exists -U "$POSTGRES_USER" "$POSTGRES_DB" > "$dump.part"
            mv "$dump.part" "$dump" ;;
    restore) psql --quiet -U "$POSTGRES_USER" "$POSTGRES_DB" < "$dump" >/dev/null ;;
    *) echo "usage: $0 backup|restore" >&2; exit 2 ;;
esac
