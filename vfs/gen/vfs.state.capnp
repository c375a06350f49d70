# SPDX-License-Identifier: Apache-2.0
#
# Saved classes of vfs. Made by stateify from vfs.state.lock; do not edit.

@0xe9e2f2fa9f98700a;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("stasis::vfs::schema");

# vfs.Dentry
struct DentryRow {
  parent @0 :UInt32;  # ref<vfs.Dentry>
  inode @1 :UInt64;  # any<vfs.Inode>
  directory @2 :UInt32;  # bytes of its column
  name @3 :UInt32;  # bytes of its column
  position @4 :UInt64;  # u64
  end @5 :UInt64;  # u64
}
struct DentryColumns {
  rows @0 :List(DentryRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
  directoryColumn @2 :Data;  # list<ref<vfs.Dentry>>
  nameColumn @3 :Data;  # string
}

# vfs.FileDescription
struct FileDescriptionRow {
  at @0 :UInt32;  # bytes of its column
  readable @1 :Bool;  # bool
  writable @2 :Bool;  # bool
  flags @3 :Int32;  # i32
  offset @4 :UInt64;  # u64
  listingEnd @5 :UInt64;  # u64
  locks @6 :UInt32;  # bytes of its column
  executing @7 :Bool;  # bool
}
struct FileDescriptionColumns {
  rows @0 :List(FileDescriptionRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
  atColumn @2 :Data;  # struct<vfs.VirtualDentry>
  locksColumn @3 :Data;  # list<struct<vfs.FileLock>>
}

# vfs.Filesystem
struct FilesystemRow {
  vfs @0 :UInt32;  # ref<vfs.VirtualFilesystem>
  dev @1 :UInt32;  # u32
}
struct FilesystemColumns {
  rows @0 :List(FilesystemRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
}

# vfs.Inode
struct InodeRow {
  mode @0 :UInt32;  # u32
  uid @1 :UInt32;  # u32
  gid @2 :UInt32;  # u32
  nlink @3 :UInt32;  # u32
  ino @4 :UInt64;  # u64
  filesystem @5 :UInt64;  # any<vfs.Filesystem>
  size @6 :UInt64;  # u64
  atime @7 :Int64;  # i64
  mtime @8 :Int64;  # i64
  ctime @9 :Int64;  # i64
  btime @10 :Int64;  # i64
  xattrs @11 :UInt32;  # bytes of its column
  linkable @12 :Bool;  # bool
  locks @13 :UInt32;  # bytes of its column
}
struct InodeColumns {
  rows @0 :List(InodeRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
  xattrsColumn @2 :Data;  # map<string,string>
  locksColumn @3 :Data;  # list<struct<vfs.FileLock>>
}

# vfs.Inotify
struct InotifyRow {
  vfs @0 :UInt32;  # ref<vfs.VirtualFilesystem>
  limits @1 :UInt32;  # bytes of its column
  watches @2 :UInt32;  # bytes of its column
  events @3 :UInt32;  # bytes of its column
  lastWd @4 :Int32;  # i32
}
struct InotifyColumns {
  rows @0 :List(InotifyRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
  limitsColumn @2 :Data;  # struct<vfs.InotifyLimits>
  watchesColumn @3 :Data;  # map<i32,struct<vfs.Inotify.Watch>>
  eventsColumn @4 :Data;  # list<struct<vfs.InotifyEvent>>
}

# vfs.Mount
struct MountRow {
  filesystem @0 :UInt64;  # any<vfs.Filesystem>
  root @1 :UInt32;  # ref<vfs.Dentry>
  id @2 :UInt64;  # u64
  noExec @3 :Bool;  # bool
  noSuid @4 :Bool;  # bool
  noDev @5 :Bool;  # bool
  noAtime @6 :Bool;  # bool
  writers @7 :Bool;  # bool
  parent @8 :UInt32;  # ref<vfs.Mount>
  point @9 :UInt32;  # ref<vfs.Dentry>
  noDirAtime @10 :Bool;  # bool
  strictAtime @11 :Bool;  # bool
  noSymFollow @12 :Bool;  # bool
  expired @13 :Bool;  # bool
  locks @14 :UInt8;  # u8
  keptChildren @15 :UInt32;  # bytes of its column
  unbindable @16 :Bool;  # bool
  peerGroup @17 :UInt32;  # u32
  nextPeer @18 :UInt32;  # ref<vfs.Mount>
  master @19 :UInt32;  # ref<vfs.Mount>
  slaves @20 :UInt32;  # bytes of its column
}
struct MountColumns {
  rows @0 :List(MountRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
  keptChildrenColumn @2 :Data;  # list<ref<vfs.Mount>>
  slavesColumn @3 :Data;  # list<ref<vfs.Mount>>
}

# vfs.MountNamespace
struct MountNamespaceRow {
  root @0 :UInt32;  # ref<vfs.Mount>
  mounts @1 :UInt32;  # bytes of its column
  owner @2 :UInt64;  # u64
}
struct MountNamespaceColumns {
  rows @0 :List(MountNamespaceRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
  mountsColumn @2 :Data;  # list<ref<vfs.Mount>>
}

# vfs.TreeFilesystem
struct TreeFilesystemRow {
  root @0 :UInt32;  # ref<vfs.Dentry>
}
struct TreeFilesystemColumns {
  rows @0 :List(TreeFilesystemRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
}

# vfs.VirtualFilesystem
struct VirtualFilesystemRow {
  filesystems @0 :UInt32;  # bytes of its column
  namespaces @1 :UInt32;  # bytes of its column
  nextMountId @2 :UInt64;  # u64
  nextDev @3 :UInt32;  # u32
  lastCookie @4 :UInt32;  # u32
  nextPeerGroup @5 :UInt32;  # u32
  nextOwner @6 :UInt64;  # u64
  mountLimit @7 :UInt32;  # u32
}
struct VirtualFilesystemColumns {
  rows @0 :List(VirtualFilesystemRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
  filesystemsColumn @2 :Data;  # list<any<vfs.Filesystem>>
  namespacesColumn @3 :Data;  # list<ref<vfs.MountNamespace>>
}
