# SPDX-License-Identifier: Apache-2.0
#
# Saved classes of memfs. Made by stateify from memfs.state.lock; do not edit.

@0xedbae2d0e53c1421;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("stasis::memfs::schema");

# memfs.DirectoryInode
struct DirectoryInodeRow {
  retired0 @0 :Bool;  # bool
}
struct DirectoryInodeColumns {
  rows @0 :List(DirectoryInodeRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
}

# memfs.MemFilesystem
struct MemFilesystemRow {
  sizeLimit @0 :UInt64;  # u64
  inodeLimit @1 :UInt64;  # u64
  nextIno @2 :UInt64;  # u64
}
struct MemFilesystemColumns {
  rows @0 :List(MemFilesystemRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
}

# memfs.MemInode
struct MemInodeRow {
  retired0 @0 :Bool;  # bool
}
struct MemInodeColumns {
  rows @0 :List(MemInodeRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
}

# memfs.RegularInode
struct RegularInodeRow {
  data @0 :UInt32;  # bytes of its column
  retired1 @1 :UInt32;  # bytes of its column
  written @2 :UInt32;  # bytes of its column
  reserved @3 :UInt32;  # bytes of its column
}
struct RegularInodeColumns {
  rows @0 :List(RegularInodeRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
  dataColumn @2 :Data;  # map<u64,chunk>
  retired1Column @3 :Data;  # map<u64,u8>
  writtenColumn @4 :Data;  # map<u64,u8>
  reservedColumn @5 :Data;  # map<u64,u64>
}

# memfs.SpecialInode
struct SpecialInodeRow {
  rdev @0 :UInt64;  # u64
}
struct SpecialInodeColumns {
  rows @0 :List(SpecialInodeRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
}

# memfs.SymlinkInode
struct SymlinkInodeRow {
  target @0 :UInt32;  # bytes of its column
}
struct SymlinkInodeColumns {
  rows @0 :List(SymlinkInodeRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
  targetColumn @2 :Data;  # string
}
