#!/bin/sh
# Reads KC_..._FILE variables, as secrets come in files, then starts Keycloak.
set -eu
for name in KC_DB_PASSWORD KC_BOOTSTRAP_ADMIN_PASSWORD; do
    file=$(printenv "${name}_FILE" || true)
    if [ -n "$file" ]; then
        export "$name=$(cat "$file")"
    fi
done
exec /opt/keycloak/bin/kc.sh "$@"
