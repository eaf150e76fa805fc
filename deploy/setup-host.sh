#!/bin/sh
# Installs what the host lacks: a Java runtime of at least 17, and Maven to fetch the official
# Keycloak distribution with. Does nothing where both are there. Debian and Ubuntu; needs root.
set -eu

cache="${XDG_CACHE_HOME:-$HOME/.cache}/warminfra"

has_java() {
    for java in "${JAVA_HOME:-/nonexistent}/bin/java" "$(command -v java || true)" /usr/lib/jvm/*/bin/java; do
        [ -x "$java" ] || continue
        major=$("$java" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p')
        [ "${major:-0}" -ge 17 ] && return 0
    done
    return 1
}

has_distribution() {
    [ -n "${KEYCLOAK_HOME:-}" ] || ls "$cache"/downloads/sha256-* >/dev/null 2>&1 ||
        command -v mvn >/dev/null
}

missing=""
has_java || missing="$missing openjdk-17-jre-headless"
has_distribution || missing="$missing maven"
else_hint=", or set JAVA_HOME and KEYCLOAK_HOME"
. "$(dirname "$0")/install-missing.sh"
