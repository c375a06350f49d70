# SPDX-License-Identifier: Apache-2.0
#
# rsync of every kind of file, into the tree and back, until it finds nothing to do.

. "$(dirname "$0")/steps.sh"
needs rsync rsync
. "$here/every_kind_of_file.sh"

rsync=(rsync -aHAX --numeric-ids --modify-window=-1)

copy() {
  quietly "${rsync[@]}" --sparse "$1/" "$2/"
  "${rsync[@]}" -nic --delete "$1/" "$2/"
  check_holes $2
}

prepare() {
  make_tree tree
  describe tree >expected
}

before() {
  check_holes tree # as imported
  describe tree | diff expected - && echo imported
  copy tree copy
  describe copy | diff expected - && echo same
}

copy_anew() {
  rm -rf anew
  quietly "${rsync[@]}" --sparse tree/ anew/
}

after() {
  at_work copy_anew
  rm -r anew
  # What changed goes over, by parts and in place.
  seq 50000 >copy/a/random
  rm -r copy/a/b copy/empty
  chmod 700 copy/a/file30
  setfattr -n user.new -v 1 copy/a/file31
  setfacl -b copy/a/file9
  touch -d 2020-01-01 copy/a/file32
  truncate -s 100 copy/a/file33
  rm copy/hole_middle
  "${rsync[@]}" -ic --no-whole-file --inplace --delete tree/ copy/ | sort
  "${rsync[@]}" -nic --delete tree/ copy/
  describe copy | diff expected - && echo same
  # Files that have not changed become hard links.
  quietly "${rsync[@]}" --link-dest="$PWD/copy" tree/ linked/
  find linked -type f -links +1 | wc -l
  quietly "${rsync[@]}" --remove-source-files linked/ moved/
  find linked ! -type d | wc -l
  copy moved back
  rm -r copy
  describe back | diff expected - && echo same
}

recover() {
  describe tree | diff expected - >/dev/null
  copy tree again
  describe again | diff expected - >/dev/null
}

"$@"
