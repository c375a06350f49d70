# SPDX-License-Identifier: Apache-2.0
#
# Saved classes of gofer. Made by stateify from gofer.state.lock; do not edit.

@0x820f3fd80b7cb7cc;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("stasis::gofer::schema");

# gofer.GoferFilesystem
struct GoferFilesystemRow {
  rootName @0 :UInt32;  # bytes of its column
  interop @1 :UInt8;  # enum<gofer.Interop:u8>
  nextIno @2 :UInt64;  # u64
  directory @3 :UInt32;  # bytes of its column
  specials @4 :UInt8;  # enum<gofer.Specials:u8>
}
struct GoferFilesystemColumns {
  rows @0 :List(GoferFilesystemRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
  rootNameColumn @2 :Data;  # string
  directoryColumn @3 :Data;  # string
}

# gofer.HostDirectory
struct HostDirectoryRow {
  complete @0 :Bool;  # bool
}
struct HostDirectoryColumns {
  rows @0 :List(HostDirectoryRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
}

# gofer.HostFileDescription
struct HostFileDescriptionRow {
  retired0 @0 :Bool;  # bool
}
struct HostFileDescriptionColumns {
  rows @0 :List(HostFileDescriptionRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
}

# gofer.HostInode
struct HostInodeRow {
  hostDev @0 :UInt64;  # u64
  hostIno @1 :UInt64;  # u64
  rdev @2 :UInt64;  # u64
  blocks @3 :UInt64;  # u64
  blksize @4 :UInt32;  # u32
  loaded @5 :Bool;  # bool
  detached @6 :Bool;  # bool
}
struct HostInodeColumns {
  rows @0 :List(HostInodeRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
}

# gofer.HostRegular
struct HostRegularRow {
  data @0 :UInt32;  # bytes of its column
  digest @1 :UInt32;  # bytes of its column
  written @2 :UInt32;  # bytes of its column
  reserved @3 :UInt32;  # bytes of its column
}
struct HostRegularColumns {
  rows @0 :List(HostRegularRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
  dataColumn @2 :Data;  # map<u64,chunk>
  digestColumn @3 :Data;  # optional<struct<gofer.ContentDigest>>
  writtenColumn @4 :Data;  # map<u64,u8>
  reservedColumn @5 :Data;  # map<u64,u64>
}

# gofer.HostSpecial
struct HostSpecialRow {
  retired0 @0 :Bool;  # bool
}
struct HostSpecialColumns {
  rows @0 :List(HostSpecialRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
}

# gofer.HostSymlink
struct HostSymlinkRow {
  target @0 :UInt32;  # bytes of its column
}
struct HostSymlinkColumns {
  rows @0 :List(HostSymlinkRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
  targetColumn @2 :Data;  # string
}
