#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# roots.sh DIR: makes the host directories of a golden image in DIR, which is empty.
#
#   rootfs  what the overlay stands on: /
#   host    changed by the sandbox alone: /host
#   shared  changed by others, too: /shared
#   parts   of which the sandbox sees one directory, read-only: /part

set -eu
umask 022
cd "$1"

mkdir rootfs && cd rootfs
mkdir dev etc golden host mem part proc shared tmp usr
chmod 1777 tmp
for link in bin lib lib64 sbin; do ln -s usr/$link $link; done
echo 'golden:x:1000:1001::/:/bin/sh' > etc/passwd
mkdir -p base/gone/deep base/moved/deep base/replaced
for name in appended chmod deleted held kept linked renamed truncated; do
  seq 1 2000 > base/$name
done
ln base/linked base/linked2
ln -s kept base/symlink
setfattr -n user.of -v lower base/kept
for name in base/gone/deep/f base/moved/f base/moved/deep/f base/replaced/old; do
  echo "$name" > $name
done
cd ..

mkdir -p host/d shared parts/seen/d parts/unseen
for name in appended deleted held linked; do seq 1 3000 > host/$name; done
ln host/linked host/linked2
ln -s d/f host/symlink
echo f > host/d/f
setfattr -n user.of -v host host/d/f
setfacl -m u:1000:rw,d:u:1000:rwx host/d
chown 1000:1001 host/d/f
for name in one two; do echo $name > shared/$name; done
echo seen > parts/seen/d/f
echo unseen > parts/unseen/f

find . -exec touch -h -d '2001-02-03 04:05:06.789012345 UTC' {} +
