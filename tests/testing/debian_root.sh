#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Makes a small Debian root directory, for sandboxes to run on.
#
# usage: debian_root.sh DIR
#
# DIR must not be there yet. Its directory /packages has packages to install without a network: hello
# and tree. The root is made with debootstrap once and kept as a tar file in $STASIS_DEBIAN_CACHE
# (default: /var/tmp/stasis-debian). Needs root, and the first time a Debian mirror.

set -euo pipefail
export LC_ALL=C

suite=bookworm
cache=${STASIS_DEBIAN_CACHE:-/var/tmp/stasis-debian}
archive=$cache/$suite-minbase-$(dpkg --print-architecture)-hello-tree.tar

die() { printf 'debian_root.sh: %s\n' "$*" >&2; exit 1; }

[[ $# == 1 ]] || die "usage: debian_root.sh DIR"
[[ ! -e $1 ]] || die "$1 is there already"
[[ $(id -u) == 0 ]] || die "needs root"

make_archive() {
  local work status=0
  work=$(mktemp -d "$cache/making-XXXXXX")
  {
    debootstrap --variant=minbase "$suite" "$work/root" &&
      cp /etc/resolv.conf "$work/root/etc/resolv.conf" &&
      chroot "$work/root" /bin/sh -ec '
        apt-get -q -y update
        mkdir /packages
        cd /packages
        apt-get -q -y -o APT::Sandbox::User=root download hello tree'
  } >"$work/log" 2>&1 || status=$?
  if [[ $status == 0 ]]; then
    rm -rf "$work/root"/var/cache/apt/archives/*.deb "$work/root"/var/lib/apt/lists/*
    tar --xattrs --numeric-owner -C "$work/root" -cf "$work/tar" .
    mv "$work/tar" "$archive"
  else
    tail -n 5 "$work/log" >&2
  fi
  rm -rf "$work"
  return $status
}

if [[ ! -e $archive ]]; then
  command -v debootstrap >/dev/null || die "debootstrap is not installed: apt-get install debootstrap"
  mkdir -p "$cache"
  # One at a time; who waited finds it made.
  exec {lock}>"$cache/lock"
  flock "$lock"
  [[ -e $archive ]] || make_archive || die "debootstrap failed; is a Debian mirror within reach?"
fi
mkdir "$1"
tar --xattrs --xattrs-include='*' --numeric-owner -C "$1" -xpf "$archive"
