#!/bin/sh
# Installs what tests with a browser need: Chromium, its driver, and the tool that makes its store of
# trusted certificates. Debian; needs root.
set -eu

missing=""
command -v chromedriver >/dev/null || missing="$missing chromium chromium-driver"
command -v certutil >/dev/null || missing="$missing libnss3-tools"
. "$(dirname "$0")/install-missing.sh"
