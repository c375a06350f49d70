#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The main job, end to end: real programs write to a real tree, a checkpoint is taken in the middle,
# everything is killed, the tree comes back, and it is compared.
#
#   STASIS_BUILD  build folder with bin/stasis in it (default: build/release)
#   DEMO_TREE     the tree to take (default: /usr/share/doc, or this checkout)
#
# Exits with 0 if nothing differs.

set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)
build=${STASIS_BUILD:-$project/build/release}
stasis=$(cd "$build" && pwd)/bin/stasis
scratch=$(mktemp -d /tmp/stasis-demo-XXXXXX)
export STASIS_RUNTIME_DIR=$scratch/run
cd "$scratch"
begin=$(date +%s%N)

say() { printf '\n== %s\n' "$*"; }
die() { printf 'demo: %s\n' "$*" >&2; exit 1; }

cleanup() {
  "$stasis" stop --all --timeout 1 >/dev/null 2>&1 || true
  cd /
  rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

[[ -x $stasis ]] || die "$stasis is not there; build it first, or set STASIS_BUILD"
for program in git sqlite3 sha256sum make cc python3; do
  command -v $program >/dev/null || die "$program is needed: apt-get install git sqlite3 coreutils make gcc python3"
done
"$stasis" check >check.txt || { cat check.txt; die "this host cannot run a sandbox; see above"; }

tree=${DEMO_TREE:-/usr/share/doc}
[[ -d $tree && -n $(ls -A "$tree") ]] || tree=$project

# --- helpers ---------------------------------------------------------------------------------------

# The number behind "NAME": in a JSON document.
field() { grep -o "\"$2\": *[0-9]*" "$1" | head -1 | grep -o '[0-9]*$'; }
milliseconds() { awk -v ns="$1" 'BEGIN {printf "%.1f ms", ns / 1e6}'; }
bytes() { awk -v b="$1" 'BEGIN {printf b < 1048576 ? "%.1f KiB" : "%.1f MiB", b < 1048576 ? b / 1024 : b / 1048576}'; }
in_box() { "$stasis" exec "$1" -- /bin/bash -euc "$2"; }

# Every name, attribute (ctime and inode number too) and byte below a directory.
fingerprint='
  cd "$1"
  find . -printf "%P %y %m %U %G %s %n %i %l %T@ %C@\n" | sort
  find . -type f -print0 | sort -z | xargs -0 sha256sum'
# The same as far as two different filesystems, and users, can agree.
owner=
[[ $(id -u) != 0 ]] || owner="%U %G"
portable='
  cd "$1"
  find . ! -type d -printf "%P %y %m '$owner' %s %l %T@\n" | sort
  find . -type d -printf "%P %y %m '$owner' %l %T@\n" | sort
  find . -type f -print0 | sort -z | xargs -0 sha256sum'

same() {
  cmp -s "$1" "$2" || { diff "$1" "$2" | head -20 >&2; die "$3 differs"; }
  echo "   equal: $3 ($(wc -l <"$1") lines of attributes and digests)"
}

# kill -9 on the daemon; nothing of the sandbox is left then but what `stop` clears up.
kill_everything() {
  local pid
  "$stasis" ps --json >ps.json
  pid=$(field ps.json daemon_pid)
  kill -9 "$pid"
  while [[ -e /proc/$pid/stat && $(awk '{print $3}' "/proc/$pid/stat" 2>/dev/null) != Z ]]; do
    sleep 0.01
  done
  "$stasis" stop --all
  ! grep -q "stasis:demo" /proc/mounts || die "a mount was left behind"
}

# --- the programs ----------------------------------------------------------------------------------

mkdir programs
cat >programs/commits.sh <<'PROGRAM'
# Commits to a git repository, for ever.
export HOME=/work GIT_AUTHOR_NAME=demo GIT_AUTHOR_EMAIL=demo@localhost
export GIT_COMMITTER_NAME=demo GIT_COMMITTER_EMAIL=demo@localhost
mkdir -p /work/repository
cd /work/repository
[ -d .git ] || git init -q .
number=$(git rev-list --count HEAD 2>/dev/null || echo 0)
rm -f .git/index.lock
while [ ! -e /work/enough ]; do
  number=$((number + 1))
  echo "line $number" >>"file$((number % 7)).txt"
  git add -A
  git commit -qm "commit $number"
done
PROGRAM
cat >programs/rows.sh <<'PROGRAM'
# Writes to a database, one transaction after the other, for ever.
echo "CREATE TABLE IF NOT EXISTS log(id INTEGER PRIMARY KEY, text TEXT, again TEXT);" |
  sqlite3 /work/rows.db
while [ ! -e /work/enough ]; do
  i=0
  while [ $i -lt 50 ]; do
    i=$((i + 1))
    echo "BEGIN; INSERT INTO log(text) VALUES (hex(randomblob(200)));"
    echo "UPDATE log SET again = text WHERE id = last_insert_rowid(); COMMIT;"
  done | sqlite3 /work/rows.db
done
PROGRAM
start_programs() {
  in_box "$1" 'rm -f /work/enough
    for program in commits rows; do
      setsid sh /programs/$program.sh >>/work/$program.log 2>&1 </dev/null &
    done'
}
# Waits until the programs have come further than $2 commits and $3 rows.
await_work() {
  for ((i = 0; i < 600; ++i)); do
    if in_box "$1" "[[ \$(git -C /work/repository rev-list --count HEAD 2>/dev/null || echo 0) -gt $2 &&
        \$(sqlite3 -cmd '.timeout 5000' /work/rows.db 'SELECT count(*) FROM log' 2>/dev/null || echo 0) -gt $3 ]]"; then
      return
    fi
    sleep 0.05
  done
  in_box "$1" 'tail /work/*.log' >&2 || true
  die "the programs do not get on"
}
check_data() {
  in_box "$1" '
    rm -f /work/repository/.git/index.lock
    git -C /work/repository fsck --strict --no-progress --no-dangling
    echo "   git fsck: sound, $(git -C /work/repository rev-list --count HEAD) commits"
    [[ $(sqlite3 /work/rows.db "PRAGMA integrity_check") == ok ]]
    [[ $(sqlite3 /work/rows.db "SELECT count(*) FROM log WHERE again IS NOT text") == 0 ]]
    echo "   sqlite integrity_check: ok, $(sqlite3 /work/rows.db "SELECT count(*) FROM log") rows"'
}
restore() {
  local from=$(date +%s%N)
  "$stasis" restore "snaps:$1" --name demo --env HOME=/work --detach --json >"restore-$1.json"
  in_box demo true
  eval "restore_$1=$(($(date +%s%N) - from))"
}

# --- the show --------------------------------------------------------------------------------------

if [[ $(id -u) == 0 ]]; then
  privileges="root (mount, pid, uts and ipc namespaces)"
else
  privileges="no privileges (a user namespace too)"
fi
say "A sandbox filled from $tree, with $privileges"
"$stasis" run --name demo --detach --json --env HOME=/work \
  --import "$tree:/work/tree" --import programs:/programs >run.json
export HOME=/work
grep -E 'freezer' check.txt || true
in_box demo 'echo "   $(find /work/tree | wc -l) names, $(du -sh --apparent-size /work/tree | cut -f1)"'

say "Two programs write: git commits, sqlite transactions"
start_programs demo
await_work demo 3 100

say "A checkpoint while they write"
"$stasis" checkpoint demo snaps:v1 --json >v1.json
echo "   programs waited $(milliseconds "$(field v1.json pause_ns)")"
await_work demo 6 200

say "Everything is killed, and comes back"
kill_everything
"$stasis" verify snaps:v1
restore v1
check_data demo
in_box demo "set -- /work/tree; $portable" >restored.txt
bash -euc "set -- $tree; $portable" >original.txt
same original.txt restored.txt "the imported tree and the restored one"

say "The programs go on in the restored sandbox; a second checkpoint; killed again"
start_programs demo
await_work demo 8 300
in_box demo 'touch /work/enough; while pgrep -f "programs/(commits|rows).sh" >/dev/null; do sleep 0.05; done'
in_box demo "set -- /work; $fingerprint" >before.txt
"$stasis" checkpoint demo snaps:v2 --json >v2.json
kill_everything
restore v2
in_box demo "set -- /work; $fingerprint" >after.txt
same before.txt after.txt "the live tree and the restored one"
check_data demo

# --- second act: files of the host -------------------------------------------------------------------

kill_everything
say "A sandbox on a directory of the host"
mkdir host
cp -a "$project/docs" "$project/README.md" host/
ln -s README.md host/link
"$stasis" run --name demo --detach --root "data=$scratch/host" --mount data:/data >/dev/null
in_box demo '
  find /data -type f -exec cat {} + | wc -c >/data/size
  ln /data/size /data/same
  mkdir /data/made; echo "from inside" >/data/made/note
  ls -lR /data >/dev/null'
[[ $(cat host/made/note) == "from inside" && host/size -ef host/same ]] || die "the host does not have what was written"
echo "   $(find host | wc -l) names on the host"
"$stasis" checkpoint demo snaps:host --digest all --stop --json >host.json
echo "   programs waited $(milliseconds "$(field host.json pause_ns)"), stored $(bytes "$(field host.json stored_bytes)")"

say "The directory is copied elsewhere, and changes there"
cp -a host copy
"$stasis" drift snaps:host --root data=copy --validate size,mtime,mode,owner,content
rm copy/size
chmod 600 copy/README.md
echo "one line more" >>copy/made/note
rm copy/link && ln -s docs copy/link && touch -hr host/link copy/link
touch copy/docs/new
status=0
"$stasis" drift snaps:host --root data=copy --validate mode,owner,size,content --json >drift.json || status=$?
[[ $status == 4 ]] || die "stasis drift gave $status instead of 4"
"$stasis" drift snaps:host --root data=copy --validate mode,owner,size,content || true
python3 - drift.json <<'CHECK'
import json, sys
found = {(f["kind"], f["path"]) for f in json.load(open(sys.argv[1]))["findings"]}
wanted = {("missing", "/data/size"), ("mode", "/data/README.md"), ("size", "/data/made/note"),
          ("content", "/data/made/note"), ("content", "/data/link"), ("new", "/data/docs/new")}
if found != wanted:
    sys.exit(f"demo: the report is not the changes: {sorted(found ^ wanted)}")
CHECK
echo "   the report is the changes, neither more nor less"

say "Each policy does what it says"
status=0
"$stasis" restore snaps:host --root data=copy -- true 2>/dev/null || status=$?
[[ $status == 4 ]] || die "a restore with drift gave $status instead of 4"
echo "   fail: refused, exit code 4"
"$stasis" restore snaps:host --name demo --root data=copy --on-drift adopt \
  --drift-rule '/data/README.md=heal' --drift-rule '/data/link=heal' -- /bin/bash -euc '
    [[ $(tail -n 1 /data/made/note) == "one line more" && ! -e /data/size && -e /data/docs/new ]]
    [[ $(readlink /data/link) == README.md ]]'
[[ $(stat -c %a copy/README.md) == $(stat -c %a host/README.md) && $(readlink copy/link) == README.md ]] ||
  die "what was to be healed is not"
echo "   adopt: the sandbox has what the host has; heal: the host has again what was saved"

# --- third act: a Debian root ------------------------------------------------------------------------

# Everything of the tree but what is mounted in it, and what a chroot and a container may differ in.
system='
  cd "$1"
  mine() { find . -xdev \( -path ./dev -o -path ./proc \) -prune -o "$@"; }
  mine ! -type d -printf "%P %y %m %U %G %s %l\n" | sort
  mine -type d -printf "%P %y %m %U %G\n" | sort
  mine -type f -print0 | sort -z | xargs -0 sha256sum'

if [[ $(id -u) == 0 ]]; then
  say "A Debian root as the base, a package installed on top"
  "$here/../testing/debian_root.sh" "$scratch/base"
  bash -euc "set -- base; $system" >base.txt
  "$stasis" run --name demo --rootfs base --detach >/dev/null
  in_box demo '
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q -y install --no-install-recommends /packages/hello_*.deb' >apt.txt 2>&1 ||
    { tail -n 5 apt.txt >&2; die "apt-get failed in the sandbox"; }
  "$stasis" checkpoint demo snaps:debian --stop --json >debian.json
  echo "   programs waited $(milliseconds "$(field debian.json pause_ns)"), stored $(bytes "$(field debian.json stored_bytes)")"
  bash -euc "set -- base; $system" | cmp -s - base.txt || die "the base was changed"
  echo "   the base is what it was"

  say "Restored on a copy of the base: what was installed, and an image of it"
  cp -a base base2
  "$stasis" restore snaps:debian --name demo --root rootfs=base2 --detach >/dev/null
  echo "   $(in_box demo hello)"
  "$stasis" diff demo --json >diff.json
  in_box demo 'dpkg -L hello; echo /var/lib/dpkg/info/hello.list; echo /var/lib/dpkg/info/hello.md5sums' >installed.txt
  python3 - diff.json installed.txt <<'CHECK'
import json, sys
changes = json.load(open(sys.argv[1]))["changes"]
installed = set(open(sys.argv[2]).read().split())
kept = ("/var/lib/apt/", "/var/lib/dpkg/", "/var/cache/", "/var/log/", "/etc/ld.so.cache", "/usr/share/info/dir")
package = {c["path"] for c in changes if c["kind"] == "added" and not c["path"].startswith(kept)}
odd = [c for c in changes if c["path"] not in installed and not c["path"].startswith(kept)]
missing = [p for p in installed if "/hello" in p and p not in {c["path"] for c in changes}
           and not p.startswith(("/usr/share/man", "/usr/share/locale", "/usr/share/doc"))]
if odd or missing:
    sys.exit(f"demo: the diff is not what was installed: {odd[:5]} {missing[:5]}")
print(f"   stasis diff: {len(changes)} changes, {len(package)} of them the package's files, the rest dpkg's and apt's own")
CHECK
  "$stasis" commit demo oci:images:hello -m "hello installed" >/dev/null
  in_box demo "set -- /; $system" >live.txt
  umoci unpack --image images:hello bundle >/dev/null
  bash -euc "set -- bundle/rootfs; $system" >unpacked.txt
  same live.txt unpacked.txt "the sandbox and the image that umoci unpacks"
  "$stasis" stop demo
fi

# --- fourth act: a running build ---------------------------------------------------------------------

say "A build that runs: five checkpoints, a fork, a rollback"
mkdir project
python3 - project <<'SOURCES'
import os, sys
os.chdir(sys.argv[1])
units = 120
for i in range(units):
    with open(f"unit{i}.c", "w") as out:
        for k in range(40):
            out.write(f"int f{i}_{k}(int x) {{ int s = {k}; for (int j = 0; j < x; ++j) s += j % {i + k + 2}; return s; }}\n")
with open("main.c", "w") as out:
    out.write("#include <stdio.h>\n" + "".join(f"int f{i}_0(int);\n" for i in range(units)))
    out.write("int main(void) { long s = 0;\n" + "".join(f"  s += f{i}_0(100);\n" for i in range(units)))
    out.write('  printf("%ld\\n", s); return 0; }\n')
with open("Makefile", "w") as out:
    out.write(f"objects = main.o $(patsubst %,unit%.o,$(shell seq 0 {units - 1}))\n")
    out.write("program: $(objects)\n\tcc -o $@ $(objects)\n%.o: %.c\n\tcc -O2 -c -o $@ $<\n")
SOURCES
objects() { in_box "$1" 'ls /work/project/*.o 2>/dev/null | wc -l'; }
await_objects() {
  for ((i = 0; i < 1200 && $(objects "$1") < $2; ++i)); do sleep 0.05; done
  [[ $(objects "$1") -ge $2 ]] || die "the build does not get on"
}
"$stasis" run --name demo --detach --import project:/work/project -- make -C /work/project >/dev/null
for number in 1 2 3 4 5; do
  await_objects demo $((number * 20))
  "$stasis" checkpoint demo "snaps:build$number" --json >"build$number.json"
  if [[ $number == 3 ]]; then
    objects demo >at_fork.txt
    from=$(date +%s%N)
    "$stasis" fork demo other --json >fork.json
    fork_ns=$(($(date +%s%N) - from))
  fi
done
echo "   $(objects demo) of 121 objects in the sandbox, $(objects other) in its fork, which has no program"

say "The fork builds the rest, and so does the sandbox"
in_box other 'make -s -C /work/project; /work/project/program' >other.txt
await_objects demo 121
for ((i = 0; i < 200; ++i)); do in_box demo '[[ -x /work/project/program ]]' && break; sleep 0.05; done
in_box demo 'make -s -C /work/project; /work/project/program' >demo.txt
same demo.txt other.txt "what the two programs print"

say "A rollback to the second checkpoint"
in_box demo 'rm -r /work/project/unit1*'
from=$(date +%s%N)
"$stasis" rollback demo snaps:build2 --json >rollback.json
rollback_ns=$(($(date +%s%N) - from))
rolled=$(objects demo)
[[ $rolled -ge 40 && $rolled -lt 121 ]] || die "there are $rolled objects after the rollback"
in_box demo 'make -s -C /work/project; /work/project/program' >again.txt
same demo.txt again.txt "the program built after the rollback and the first one"
[[ $("$stasis" log snaps: --json | grep -c before-rollback) -ge 1 ]] || die "there is no safety checkpoint"

printf '\n%-12s %14s %14s %14s %14s\n' '' 'waited' 'changed' 'stored' 'all of it'
for number in 1 2 3 4 5; do
  printf '%-12s %14s %14s %14s %14s\n' "build$number" \
    "$(milliseconds "$(field build$number.json pause_ns)")" "$(bytes "$(field build$number.json dirty_bytes)")" \
    "$(bytes "$(field build$number.json stored_bytes)")" "$(milliseconds "$(field build$number.json wall_ns)")"
done
printf '%-12s %14s %14s %14s %14s\n' fork "$(milliseconds "$(field fork.json pause_ns)")" \
  "$(bytes "$(field fork.json shared_bytes)")" '-' "$(milliseconds "$fork_ns")"
printf '%-12s %14s %14s %14s %14s\n' rollback "$(milliseconds "$(field rollback.json down_ns)")" - - \
  "$(milliseconds "$rollback_ns")"
"$stasis" stop --all >/dev/null
"$stasis" log snaps:
"$stasis" rm snaps:build1 snaps:build3 >/dev/null
"$stasis" gc snaps:
"$stasis" verify snaps:build5

# --- fifth act: a daemon that is replaced ------------------------------------------------------------

if [[ $(id -u) == 0 ]]; then
  say "A database under load, and another daemon, twice; then one that is killed"
  REPLACE_SECONDS=6 "$here/replace.sh"
fi

say "Measured ($(uname -m), $(nproc) processors, $(id -un))"
printf '%-34s %14s %14s\n' '' 'first' 'second'
row() { printf '%-34s %14s %14s\n' "$@"; }
row 'programs waited' "$(milliseconds "$(field v1.json pause_ns)")" "$(milliseconds "$(field v2.json pause_ns)")"
row 'checkpoint, all of it' "$(milliseconds "$(field v1.json wall_ns)")" "$(milliseconds "$(field v2.json wall_ns)")"
row 'files' "$(field v1.json files)" "$(field v2.json files)"
row 'file data that had changed' "$(bytes "$(field v1.json dirty_bytes)")" "$(bytes "$(field v2.json dirty_bytes)")"
row 'stored' "$(bytes "$(field v1.json stored_bytes)")" "$(bytes "$(field v2.json stored_bytes)")"
row 'restore until a program ran' "$(milliseconds "$restore_v1")" "$(milliseconds "$restore_v2")"
printf '%-34s %14s\n' 'the whole demo' "$(milliseconds $(($(date +%s%N) - begin)))"
