#!/bin/sh
# Installs what tests with containers need: an engine, a registry, and debootstrap for the base
# image. Nothing is started, and an engine of the machine is left alone. Debian; needs root.
set -eu

missing=""
need() {
    [ -x "$1" ] || missing="$missing $2"
}
need /usr/sbin/dockerd docker.io
need /usr/bin/containerd containerd
need /usr/sbin/iptables iptables
need /usr/bin/docker-registry docker-registry
need /usr/sbin/debootstrap debootstrap
command -v git >/dev/null || missing="$missing git"
command -v runc >/dev/null || missing="$missing runc"
# In runlevel 1 Debian's scripts start no service: the engine of the tests is another one.
export RUNLEVEL=1
. "$(dirname "$0")/install-missing.sh"
