# SPDX-License-Identifier: Apache-2.0
#
# PostgreSQL, by a user who is not root. It runs while the checkpoint is taken, and is not there
# any more where that is restored: it must recover from its log.

. "$(dirname "$0")/steps.sh"
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1) || true
[[ -n $bin ]] || fail "PostgreSQL is not installed: apt-get install postgresql"

transactions=$((seconds * 150))
clients=4

as_user() { setpriv --reuid=postgres --regid=postgres --clear-groups env HOME="$PWD/data" "$@"; }
pg() {
  local program=$1
  shift
  as_user "$bin/$program" "$@"
}
sql() { pg psql -h "$PWD/socket" -XAtq -v ON_ERROR_STOP=1 -d "$1" -c "$2"; }
start() {
  quietly pg pg_ctl start -w -t 120 -D data -l data/log \
    -o "-k '$PWD/socket' -c listen_addresses='' -c shared_buffers=8MB -c max_wal_size=64MB"
}
# In a sandbox that was restored there may be a process with the number of the server that was.
running() { pg pg_isready -q -h "$PWD/socket"; }
bench() {
  quietly pg pgbench -h "$PWD/socket" -n --random-seed=7 -c $clients -j 2 -t $transactions "$@"
}

before() {
  chmod 755 .
  install -d -o postgres -g postgres -m 700 data
  install -d -o postgres -g postgres socket
  quietly pg initdb -D data -k --locale=C.UTF-8 -A trust
  start
  quietly pg pgbench -i -q -s 2 -h "$PWD/socket" postgres
  bench postgres
  totals
}

totals() {
  sql postgres "SELECT sum(abalance), count(*) FROM pgbench_accounts;
    SELECT sum(tbalance) FROM pgbench_tellers; SELECT sum(bbalance) FROM pgbench_branches;
    SELECT sum(delta), count(*) FROM pgbench_history;"
}

after() {
  running || start
  at_work sql postgres "UPDATE pgbench_accounts SET filler = filler WHERE aid <= 2000"
  bench --random-seed=11 postgres
  totals
  sql postgres "SELECT aid, abalance FROM pgbench_accounts ORDER BY aid" | sha256sum
  sql postgres "
    CREATE EXTENSION amcheck;
    CREATE TABLE wide AS SELECT i, repeat(md5(i::text), 300) AS text FROM generate_series(1, 500) i;
    CREATE INDEX ON wide USING hash (text);
    CREATE INDEX ON wide USING gin (string_to_array(text, 'a'));
    DELETE FROM wide WHERE i % 3 = 0;"
  sql postgres "VACUUM FULL wide"
  sql postgres "SELECT count(*), sum(length(text)) FROM wide"
  quietly pg pg_amcheck -h "$PWD/socket" --heapallindexed --rootdescend postgres
  pg pg_dump -h "$PWD/socket" -Fc -f data/dump postgres
  pg createdb -h "$PWD/socket" copy
  pg pg_restore -h "$PWD/socket" -j 2 -d copy data/dump
  for each in postgres copy; do
    pg pg_dump -h "$PWD/socket" $each | sed '/^\\\(un\)\?restrict /d' >$each.sql
  done
  cmp postgres.sql copy.sql
  stop
}

stop() {
  quietly pg pg_ctl stop -w -D data -m fast
  pg pg_controldata data | grep 'cluster state'
  quietly pg pg_checksums --check -D data
}

recover() {
  start
  sql postgres "SELECT 1 / (count(*) = 1)::int FROM
    (SELECT sum(abalance) FROM pgbench_accounts UNION SELECT sum(tbalance) FROM pgbench_tellers
     UNION SELECT sum(bbalance) FROM pgbench_branches UNION SELECT sum(delta) FROM pgbench_history)
    AS sums" >/dev/null
  sql postgres "SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS amcheck"
  quietly pg pg_amcheck -h "$PWD/socket" --heapallindexed postgres
  stop >/dev/null
}

"$@"
