# Sourced: installs the Debian packages that `missing` names, if any. Needs root.
# `else_hint`, if set, is what to do instead.
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "setup: missing:$missing (install them as root${else_hint:-})" >&2
    exit 78
fi
echo "setup: installing$missing" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 - a list of packages
apt-get install -y -qq --no-install-recommends $missing >/dev/null
