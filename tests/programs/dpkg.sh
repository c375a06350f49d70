# SPDX-License-Identifier: Apache-2.0
#
# dpkg in a chroot in the tree, and apt beside it: packages built on the spot and Debian's own.

. "$(dirname "$0")/steps.sh"
needs dpkg-repack dpkg-repack
needs apt-get apt
needs mountpoint util-linux

# build VERSION: the package demo.
build() {
  local dir=demo-$1 i
  mkdir -p $dir/DEBIAN $dir/etc $dir/usr/share/demo/$1 $dir/var/lib/demo
  for i in {1..400}; do echo "$1 $i" >$dir/usr/share/demo/file$i; done
  for i in {1..50}; do echo "$1 $i" >$dir/usr/share/demo/$1/only$i; done
  ln $dir/usr/share/demo/file1 $dir/usr/share/demo/hard_link
  ln -s file2 $dir/usr/share/demo/symlink
  if [[ $1 == 1.0 ]]; then
    echo directory >$dir/usr/share/demo/was_file
  else
    mkdir $dir/usr/share/demo/was_file
    touch $dir/usr/share/demo/was_file/x
  fi
  chmod 4711 $dir/usr/share/demo/file3
  chown 33:33 $dir/var/lib/demo
  echo "setting of $1" | tee $dir/etc/demo.conf >$dir/etc/kept.conf
  printf '/etc/demo.conf\n/etc/kept.conf\n' >$dir/DEBIAN/conffiles
  printf 'interest-noawait /usr/share/extra\n' >$dir/DEBIAN/triggers
  printf 'Package: demo\nVersion: %s\nArchitecture: all\nMaintainer: a <a@b>\nDescription: demo\n' \
    $1 >$dir/DEBIAN/control
  for i in preinst postinst prerm postrm; do
    printf '#!/bin/sh\nset -e\necho "%s %s $*" >>/var/log/demo.log\n' $1 $i >$dir/DEBIAN/$i
    chmod 755 $dir/DEBIAN/$i
  done
  quietly dpkg-deb -Zgzip --build $dir repository
  rm -r $dir
}

# A package for what the programs below bring along, so that apt finds nothing missing.
libraries() {
  local packages
  packages=$(dpkg-query -W -f '${Pre-Depends}, ${Depends}, ' coreutils sed |
    sed -E 's/\([^)]*\)//g; s/:any//g' | tr ',' '\n' | sed -E 's/\|.*//; s/ //g' | sort -u | grep .)
  mkdir -p libraries/DEBIAN
  {
    printf 'Package: libraries\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\n'
    printf 'Provides: %s\nDescription: x\n' \
      "$(dpkg-query -W -f '${Package} (= ${Version}), ' $packages | sed 's/, $//')"
  } >libraries/DEBIAN/control
  quietly dpkg-deb -Zgzip --build libraries repository
  rm -r libraries
}

# The programs that are copied to the chroot, with their libraries.
copy_programs() {
  local program
  for program in sh dpkg dpkg-deb dpkg-query dpkg-split dpkg-divert update-alternatives tar gzip \
    rm sed grep ldconfig start-stop-daemon diff; do
    program=$(command -v $program)
    { echo "$program"; ldd "$program" 2>/dev/null | grep -o '/[^ ]*' || true; } |
      while read -r file; do
        mkdir -p "root$(dirname "$file")"
        cp -Lu "$file" "root$file"
      done
  done
}

prepare() {
  mkdir -p root/usr/{bin,sbin,lib,lib64} repository
  for i in bin sbin lib lib64; do ln -s usr/$i root/$i; done
  mkdir -p root/{dev,tmp,packages} root/etc/apt/preferences.d root/var/lib/dpkg/{info,updates} \
    root/var/{log/apt,cache/apt/archives/partial,lib/apt/lists/partial}
  touch root/var/lib/dpkg/{status,available}
  copy_programs
  build 1.0
  build 2.0
  mkdir -p extra/DEBIAN extra/usr/share/extra
  touch extra/usr/share/extra/file
  {
    printf 'Package: extra\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\n'
    printf 'Depends: demo (>= 2)\nDescription: x\n'
  } >extra/DEBIAN/control
  quietly dpkg-deb -Zgzip --build extra repository
  cd repository
  quietly dpkg-repack -d-Zxz -d-z0 coreutils sed
  cd ..
  libraries
  cd repository
  for file in demo_2* extra*; do
    dpkg-deb -f $file
    stat --printf 'Filename: ./%n\nSize: %s\n' $file
    sha256sum $file | awk '{print "SHA256: " $1 "\n"}'
  done >Packages
}

# Device nodes in the tree are of no use, and the host's are not to be put into the reach of rm.
mount_dev() {
  mountpoint -q root/dev && return
  mount -t tmpfs tmpfs root/dev
  mknod -m 666 root/dev/null c 1 3
}

chrooted() {
  mount_dev
  quietly chroot root "$@"
}

list() {
  chroot root dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\n'
  cat root/var/log/demo.log
  # All that is installed; the rest has times in it.
  (
    cd root
    find etc usr var/lib -path var/lib/apt -prune -o -path var/lib/dpkg -prune -o \
      -printf '%P %y %m %U:%G %l\n' | sort | sha256sum
    find etc usr -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum
  )
}

before() {
  cp repository/*.deb root/packages
  for each in libraries coreutils sed; do
    chrooted /bin/sh -c "PATH=/usr/sbin:/usr/bin dpkg -i /packages/${each}_*.deb"
  done
  chrooted /usr/bin/dpkg -i /packages/demo_1.0_all.deb
  echo "my own" >root/etc/kept.conf
  chroot root /usr/bin/dpkg --verify || true
  list
}

apt() {
  DEBIAN_FRONTEND=noninteractive quietly apt-get -q -y -o Dir="$PWD/root" \
    -o Dir::State::status="$PWD/root/var/lib/dpkg/status" \
    -o Dir::Etc::SourceList="$PWD/sources" -o Dir::Etc::SourceParts=/none \
    -o Dir::Bin::methods=/usr/lib/apt/methods -o Dir::Bin::dpkg=/usr/bin/dpkg \
    -o DPkg::Chroot-Directory="$PWD/root" -o DPkg::Options::=--force-confold \
    -o DPkg::Use-Pty=false -o APT::Sandbox::User=root "$@"
}

after() {
  mount_dev
  echo "deb [trusted=yes] copy:$PWD/repository ./" >sources
  apt update
  # Upgrades demo, installs extra, and demo's trigger fires.
  at_work
  apt install extra
  list
  cat root/etc/kept.conf root/etc/demo.conf root/etc/kept.conf.dpkg-dist
  chroot root /usr/bin/dpkg --verify || true
  chrooted /usr/bin/dpkg-divert --rename --add /usr/share/demo/file7
  chrooted /usr/bin/dpkg -i --force-confnew /packages/demo_1.0_all.deb
  chrooted /usr/bin/dpkg --remove extra
  chrooted /usr/bin/dpkg --remove demo
  list
  chrooted /usr/bin/dpkg --purge demo
  list
  chroot root /usr/bin/dpkg --audit
}

# dpkg can go on from any moment.
recover() {
  rm -f root/var/lib/dpkg/lock*
  chrooted /usr/bin/dpkg --force-confnew --configure -a
  chrooted /usr/bin/dpkg --force-confnew -i /packages/demo_2.0_all.deb
  # But for what is changed or diverted.
  local changed
  changed=$(chroot root /usr/bin/dpkg --verify demo | grep -v ' c \|/file7$') || true
  [[ -z $changed ]] || fail "$changed"
}

"$@"
