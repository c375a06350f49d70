# SPDX-License-Identifier: Apache-2.0
#
# SQLite: locks between processes (POSIX), and in WAL mode a shared mapping.

. "$(dirname "$0")/steps.sh"
needs sqlite3 sqlite3

accounts=100
modes=(delete truncate persist wal)

sql() {
  local db=$1
  shift
  sqlite3 -cmd '.timeout 60000' "$db" "$@"
}

before() {
  for mode in "${modes[@]}"; do
    sql $mode.db "
      PRAGMA journal_mode=$mode;
      CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER, pad TEXT);
      CREATE TABLE log(writer INTEGER, n INTEGER, PRIMARY KEY (writer, n));
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $accounts)
        INSERT INTO account SELECT i, 1000, hex(zeroblob(200)) FROM n;
      CREATE INDEX by_balance ON account(balance);
      CREATE TABLE bulk AS
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
        SELECT i, i * 7919 % 5003 AS j, printf('%0100d', i) AS text FROM n;
      CREATE INDEX by_j ON bulk(j);
      DELETE FROM bulk WHERE i % 3 = 0;
      VACUUM;"
  done
  sha256sum delete.db truncate.db persist.db
}

# Each transaction moves something from one account to another, and rolls back now and then.
writer() {
  local db=$1 writer=$2 n
  for ((n = 0; n < 150; ++n)); do
    echo "BEGIN IMMEDIATE;
      UPDATE account SET balance = balance - $n WHERE id = $((n * 7 % accounts + 1));
      UPDATE account SET balance = balance + $n WHERE id = $((n * 11 % accounts + 1));
      INSERT INTO log VALUES ($writer, $n);
      COMMIT;"
    ((n % 5)) ||
      echo "BEGIN IMMEDIATE; UPDATE account SET balance = 0; DELETE FROM log; ROLLBACK;"
    ((n % 7)) || echo "SELECT sum(balance) FROM account;"
  done | sql "$db" >"$TMPDIR/$db.$writer"
  # No reader saw the middle of a transaction.
  sort -u "$TMPDIR/$db.$writer"
}

check() {
  sql "$1" "PRAGMA integrity_check; SELECT sum(balance), count(*) FROM account;
            SELECT count(*), sum(j) FROM bulk;"
  # A writer's transactions came in their order.
  sql "$1" "SELECT writer FROM log GROUP BY writer HAVING max(n) <> count(*) - 1;"
}

change_and_change_back() {
  for mode in "${modes[@]}"; do
    sql $mode.db "BEGIN IMMEDIATE;
      UPDATE account SET balance = balance + 1;
      UPDATE account SET balance = balance - 1;
      COMMIT;"
  done
}

after() {
  at_work change_and_change_back
  for mode in "${modes[@]}"; do
    local writers=()
    for i in 1 2 3 4; do
      writer $mode.db $i >$mode.$i &
      writers+=($!)
    done
    for pid in "${writers[@]}"; do wait "$pid"; done
    cat $mode.?
    check $mode.db
    sql $mode.db "SELECT writer, count(*) FROM log GROUP BY writer;
                  SELECT id, balance FROM account" | sha256sum
  done
  sql wal.db "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode=delete;" ".backup copy.db"
  check copy.db
  ls
}

recover() {
  for mode in "${modes[@]}"; do
    [[ $(check $mode.db) == $'ok\n100000|100\n3334|'* ]] || fail "$mode: $(check $mode.db)"
  done
}

"$@"
