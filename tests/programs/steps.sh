# SPDX-License-Identifier: Apache-2.0
#
# What the scripts of the programs have in common; see program_test.cc for who runs them when.
#
# A script defines before() and after(), and prepare() and recover() if it needs them, prints
# what must be the same on every filesystem, and ends with "$@".

set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
seconds=${STASIS_PROGRAM_SECONDS:-1} # how long that may go on which takes a duration
export PYTHONDONTWRITEBYTECODE=1 HOME=$PWD TMPDIR=$PWD/tmp LC_ALL=C.UTF-8 TZ=UTC0
mkdir -p "$TMPDIR"

fail() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# needs COMMAND PACKAGE
needs() { command -v "$1" >/dev/null || fail "$1 is not installed: apt-get install $2"; }

# Prints the output of a command only if it fails.
quietly() { "$@" >"$TMPDIR/quiet" 2>&1 || { cat "$TMPDIR/quiet" >&2; fail "failed: $*"; }; }

prepare() { :; }
recover() { :; }
