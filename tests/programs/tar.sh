# SPDX-License-Identifier: Apache-2.0
#
# tar of every kind of file, out of the tree and into it again.

. "$(dirname "$0")/steps.sh"
needs tar tar
. "$here/every_kind_of_file.sh"

create=(tar --xattrs --xattrs-include='*' --acls --sparse --format=pax --numeric-owner --sort=name)

prepare() {
  make_tree tree
  rm tree/socket tree/fifo_link # tar leaves out the one, and makes two of the other
  describe tree >expected
  quietly "${create[@]}" -cf tree.tar -C tree .
  rm -r tree
}

extract() {
  mkdir $2
  quietly tar --xattrs --xattrs-include='*' --acls --numeric-owner -xpf $1 -C $2
  check_holes $2
}

before() {
  extract tree.tar out
  describe out >described
  diff expected described && echo same
}

after() {
  at_work "${create[@]}" -cf again.tar -C out .
  tar --compare -f again.tar -C out --numeric-owner && echo compared
  extract again.tar again
  describe again | diff described - && echo same
  tar -tvf again.tar --numeric-owner | wc -l
  # More than 4 GiB of nothing.
  mkdir huge
  truncate -s 5G huge/hole
  echo end >>huge/hole
  tar -Scf huge.tar huge
  rm huge/hole
  tar -xf huge.tar
  tail -c 6 huge/hole | tr '\0' 0
  (($(stat -c %b huge/hole) <= 64 && $(stat -c %s huge.tar) < 20000)) && echo small
  # In portions, and with a file that changes its name meanwhile.
  echo more >>out/a/file20
  mv out/a/file21 out/a/renamed
  tar --listed-incremental=snapshot -cf full.tar out
  rm out/a/file22
  echo more >>out/a/file23
  touch out/a/new
  tar --listed-incremental=snapshot -cf changes.tar out
  mkdir restored
  for part in full changes; do
    quietly tar --listed-incremental=/dev/null -xpf $part.tar -C restored --numeric-owner
  done
  diff -r --no-dereference out/a restored/out/a && echo same
  rm -rf out again restored huge
  ls
}

recover() {
  extract tree.tar anew
  describe anew | diff expected - >/dev/null
}

"$@"
