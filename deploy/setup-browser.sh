#!/bin/sh
# Installs what tests with a browser need: Chromium, its driver, and the tool that makes its store of
# trusted certificates. Debian; needs root.
set -eu

missing=""
command -v chromedriver >/dev/null || missing="$missing chromium chromium-driver"
command -v certutil >/dev/null || missing="$missing libnss3-tools"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "setup: missing:$missing (install them as root)" >&2
    exit 78
fi
echo "setup: installing$missing" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 - a list of packages
apt-get install -y -qq --no-install-recommends $missing >/dev/null
