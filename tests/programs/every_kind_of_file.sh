# SPDX-License-Identifier: Apache-2.0
#
# A tree with every kind of file and attribute, and its description, for programs that copy trees.

needs setfacl acl
needs setfattr attr

# make_tree DIR
make_tree() {
  local i long name
  mkdir "$1"
  pushd "$1" >/dev/null
  mkdir -p a/b/c empty sticky set_group
  chmod 1777 sticky
  chmod 2775 set_group
  chown 1234:5678 sticky
  for i in {1..100}; do seq $i >a/file$i; done
  head -c 3000000 /dev/urandom >a/random
  : >a/empty_file
  for i in 1 2 3; do ln a/file1 a/b/link_to_file1_$i; done
  ln a/random outer_link
  # Links: to nothing, to a directory, with the longest target, hard-linked.
  ln -s no/such/target dangling
  ln -s a/b to_directory
  ln -s "$(printf 'x%.0s' {1..4000})" long_target
  ln -s target one_of_two_symlinks
  ln -P one_of_two_symlinks two_of_two_symlinks
  mkfifo -m 640 fifo
  ln fifo fifo_link
  mknod block b 7 200
  mknod char c 1 3
  chmod 600 char
  /usr/bin/python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'
  # Holes: at the beginning, in the middle, at the end; nothing but one.
  truncate -s 1M hole_first
  seq 1000 >>hole_first
  seq 1000 >hole_middle
  truncate -s 3M hole_middle
  seq 1000 >>hole_middle
  seq 1000 >hole_last
  truncate -s 2M hole_last
  truncate -s 300M nothing_but_a_hole
  # Names.
  long=$(printf 'n%.0s' {1..255})
  mkdir -p $long/$long
  echo deep >$long/$long/$long
  for name in ' ' '-n' $'new\nline' $'\xff\xfe' 'ü' '*' '"' "'" '\' '.hidden' '...' 'a b'; do
    printf %s "$name" >"./$name"
  done
  # Attributes.
  chmod 4755 a/file2
  chmod 2755 a/file3
  chmod 0 a/file4
  chown 1000:2000 a/file5
  chown 65534 a/b
  chown -h 1000 dangling
  for i in {1..20}; do setfattr -n user.attribute$i -v "value $i" a/file6; done
  setfattr -n user.binary -v 0x00ff0a a/file6
  setfattr -n user.big -v "0x$(printf '%04x' {1..1200})" a/file7
  setfattr -n user.empty a/file7
  setfattr -n user.on_directory -v x a/b
  setfattr -n trusted.secret -v y a/file8
  setfattr -h -n trusted.on_link -v z dangling
  setfacl -m u:1000:rw,g:2000:r,u:1001:- a/file9
  setfacl -m u:1000:rwx,d:u:1000:rx,d:g:2000:rwx a/b/c
  setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 a/file10
  touch -d '1999-12-31 23:59:59.123456789' a/file11
  touch -h -d '2033-01-01 00:00:00.000000001' dangling
  touch -d '1901-12-14' a/file12
  touch -d '2001-02-03 04:05:06.789' empty a/b/c
  popd >/dev/null
}

# All that can be seen of DIR, but for what is a filesystem's own: sizes of directories, numbers.
describe() {
  pushd "$1" >/dev/null
  # Names in the order of their bytes, each line ended by NUL as some names have line ends.
  find . \( -type d -printf '%P|%y|%m|%U:%G|%T@\0' \) -o \
    -printf '%P|%y|%m|%U:%G|%s|%n|%T@|%l\0' | LC_ALL=C sort -z | tr '\0' '\n'
  find . \( -type b -o -type c \) -exec stat -c '%n %t:%T' {} + | sort
  # Hard links: which names are one file.
  find . -links +1 ! -type d -printf '%i %P\n' | sort -k 2 |
    awk '!($1 in number) {number[$1] = ++n} {print number[$1], $2}'
  find . -type f -size -4M -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
  find . -print0 | LC_ALL=C sort -z | xargs -0 getfattr -h -d -m - -e hex -- 2>/dev/null
  popd >/dev/null
}

# Fails unless the holes of DIR's files take no space.
check_holes() {
  local name
  for name in hole_first hole_middle hole_last nothing_but_a_hole; do
    (($(stat -c %b "$1/$name") <= 256)) || fail "$1/$name takes $(stat -c %b "$1/$name") blocks"
  done
}
