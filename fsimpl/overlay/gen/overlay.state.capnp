# SPDX-License-Identifier: Apache-2.0
#
# Saved classes of overlay. Made by stateify from overlay.state.lock; do not edit.

@0xb3f5fbff318cc803;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("stasis::overlay::schema");

# overlay.DataBelow
struct DataBelowRow {
  file @0 :UInt32;  # bytes of its column
}
struct DataBelowColumns {
  rows @0 :List(DataBelowRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
  fileColumn @2 :Data;  # struct<overlay.LowerFile>
}

# overlay.OverlayDirectory
struct OverlayDirectoryRow {
  lowers @0 :UInt32;  # bytes of its column
  upperXattrWhiteouts @1 :Bool;  # bool
  redirect @2 :UInt32;  # bytes of its column
  complete @3 :Bool;  # bool
}
struct OverlayDirectoryColumns {
  rows @0 :List(OverlayDirectoryRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
  lowersColumn @2 :Data;  # list<struct<overlay.LowerFile>>
  redirectColumn @3 :Data;  # string
}

# overlay.OverlayFileDescription
struct OverlayFileDescriptionRow {
  retired0 @0 :Bool;  # bool
}
struct OverlayFileDescriptionColumns {
  rows @0 :List(OverlayFileDescriptionRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
}

# overlay.OverlayFilesystem
struct OverlayFilesystemRow {
  upper @0 :UInt32;  # bytes of its column
  work @1 :UInt32;  # bytes of its column
  lowers @2 :UInt32;  # bytes of its column
  userXattrs @3 :Bool;  # bool
  metacopy @4 :Bool;  # bool
  lazyData @5 :Bool;  # bool
  nextIno @6 :UInt64;  # u64
  nextWorkName @7 :UInt64;  # u64
  pinned @8 :UInt32;  # bytes of its column
}
struct OverlayFilesystemColumns {
  rows @0 :List(OverlayFilesystemRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
  upperColumn @2 :Data;  # struct<vfs.VirtualDentry>
  workColumn @3 :Data;  # struct<vfs.VirtualDentry>
  lowersColumn @4 :Data;  # list<struct<vfs.VirtualDentry>>
  pinnedColumn @5 :Data;  # list<any<overlay.OverlayInode>>
}

# overlay.OverlayInode
struct OverlayInodeRow {
  upper @0 :UInt32;  # ref<vfs.Dentry>
  lower @1 :UInt32;  # ref<vfs.Dentry>
  lowerLayer @2 :UInt32;  # u32
  loaded @3 :Bool;  # bool
}
struct OverlayInodeColumns {
  rows @0 :List(OverlayInodeRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
}

# overlay.OverlayRegular
struct OverlayRegularRow {
  handles @0 :UInt32;  # bytes of its column
  dataInUpper @1 :Bool;  # bool
  lowerEnd @2 :UInt64;  # u64
  copied @3 :UInt32;  # bytes of its column
  dataBelow @4 :UInt32;  # ref<overlay.DataBelow>
}
struct OverlayRegularColumns {
  rows @0 :List(OverlayRegularRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
  handlesColumn @2 :Data;  # optional<struct<overlay.OverlayRegular.Handles>>
  copiedColumn @3 :Data;  # map<u64,u64>
}

# overlay.OverlaySpecial
struct OverlaySpecialRow {
  retired0 @0 :Bool;  # bool
}
struct OverlaySpecialColumns {
  rows @0 :List(OverlaySpecialRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
}

# overlay.OverlaySymlink
struct OverlaySymlinkRow {
  retired0 @0 :Bool;  # bool
}
struct OverlaySymlinkColumns {
  rows @0 :List(OverlaySymlinkRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
}
