#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A database under load while the daemon that serves its files is replaced twice and killed once.
# Prints what happens, each line with its second; docs/replace.txt is such a recording.
#
#   STASIS_BUILD  build folder with bin/stasis in it (default: build/release)
#
# Exits with 0 if no transaction failed and the database is sound. Needs root, for PostgreSQL wants a
# user of its own, and a sandbox without root has only one.

set -euo pipefail
export LC_ALL=C

project=$(cd "$(dirname "$0")/../.." && pwd)
build=${STASIS_BUILD:-$project/build/release}
stasis=$(cd "$build" && pwd)/bin/stasis
seconds=${REPLACE_SECONDS:-10} # of load
scratch=$(mktemp -d /tmp/stasis-replace-XXXXXX)
export STASIS_RUNTIME_DIR=$scratch/run

die() { printf 'replace: %s\n' "$*" >&2; exit 1; }
cleanup() {
  "$stasis" stop --all --timeout 1 >/dev/null 2>&1 || true
  rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

[[ $(id -u) == 0 ]] || die "needs root"
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1) || true
[[ -n $bin ]] || die "PostgreSQL is needed: apt-get install postgresql"

# Each line of the input, with the second it came in and who says it.
begin=${EPOCHREALTIME/./}
stamp() {
  local line now
  while IFS= read -r line; do
    now=$((${EPOCHREALTIME/./} - begin))
    printf '%3d.%02d  %-8s %s\n' $((now / 1000000)) $((now / 10000 % 100)) "$1" "$line"
  done
}
# Shows a command and runs it.
show() {
  printf '$ %s\n' "$*" | sed "s|$stasis|stasis|" | stamp ''
  "$@" 2>&1 | stamp ''
}
# As PostgreSQL's user, in its directory in the sandbox.
in_box() { "$stasis" exec db -- setpriv --reuid=postgres --regid=postgres --clear-groups env HOME=/db "$@"; }
sql() { in_box "$bin/psql" -h /db -XAtq -v ON_ERROR_STOP=1 postgres -c "$1"; }
daemon() { "$stasis" ps --json | grep -o '"daemon_pid": *[0-9]*' | grep -o '[0-9]*$'; }

show "$stasis" run --keeper --name db --detach -- sleep infinity
"$stasis" exec db -- install -d -o postgres -g postgres -m 700 /db
in_box "$bin/initdb" -D /db/data -k --locale=C.UTF-8 -A trust >/dev/null
in_box "$bin/pg_ctl" start -w -D /db/data -l /db/log \
  -o "-k /db -c listen_addresses='' -c shared_buffers=16MB" >/dev/null
in_box "$bin/pgbench" -i -q -s 5 -h /db postgres 2>/dev/null

printf '$ pgbench --client 4 --time %s --progress 1\n' "$seconds" | stamp ''
in_box "$bin/pgbench" -n -c 4 -j 2 -T "$seconds" -P 1 -h /db postgres > >(tee "$scratch/load" | stamp pgbench) 2>&1 &
load=$!
pause() { sleep "$(awk -v s="$seconds" -v part="$1" 'BEGIN {print s * part}')"; }
pause 0.2
show "$stasis" upgrade db
pause 0.2
show "$stasis" upgrade db
pause 0.2
show kill -9 "$(daemon)"
wait $load || die "pgbench failed"
grep -q 'number of failed transactions: 0 ' "$scratch/load" || die "transactions failed"
show "$stasis" ps

# What every transaction adds to three tables and one history is the same sum.
[[ $(sql "SELECT count(*) FROM (SELECT sum(abalance) FROM pgbench_accounts UNION
    SELECT sum(tbalance) FROM pgbench_tellers UNION SELECT sum(bbalance) FROM pgbench_branches UNION
    SELECT sum(delta) FROM pgbench_history) AS sums") == 1 ]] || die "the balances differ"
count=$(grep -o 'transactions actually processed: [0-9]*' "$scratch/load" | grep -o '[0-9]*$')
[[ $(sql "SELECT count(*) FROM pgbench_history") == "$count" ]] || die "a transaction is missing"
echo "all $count transactions are there, and the balances agree" | stamp ''
in_box "$bin/pg_ctl" stop -w -m fast -D /db/data >/dev/null
in_box "$bin/pg_checksums" --check -D /db/data | grep 'Bad checksums' | stamp ''
show "$stasis" stop db
