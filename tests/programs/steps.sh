# SPDX-License-Identifier: Apache-2.0
#
# What the scripts of the programs have in common; see program_test.cc for who runs them when.
#
# A script defines before() and after(), and prepare() and recover() if it needs them, says in
# after() when it is at work, prints what must be the same on every filesystem, and ends with "$@".

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

# at_work [COMMAND...]: says that now is the moment for a checkpoint. A command is run again until
# the checkpoint was taken, so that it finds it at work however little time that takes; it must
# leave the same each time.
meeting=${STASIS_MEETING:-} # a folder that program_test.cc sees; none where no checkpoint is taken
at_work() {
  [[ -z $meeting ]] || touch "$meeting/at_work"
  (($#)) || return 0
  "$@"
  [[ -z $meeting ]] || until [[ -e $meeting/taken ]]; do "$@" >/dev/null; done
}

prepare() { :; }
recover() { :; }
