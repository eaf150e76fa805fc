#!/bin/sh
# Reads secrets from files, then runs an n8n command.
set -eu
for name in DB_POSTGRESDB_PASSWORD N8N_ENCRYPTION_KEY; do
    file=$(printenv "${name}_FILE" || true)
    if [ -n "$file" ]; then
        export "$name=$(cat "$file")"
        unset "${name}_FILE"
    fi
done
exec node /opt/n8n/node_modules/n8n/bin/n8n "$@"
