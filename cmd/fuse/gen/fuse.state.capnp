# SPDX-License-Identifier: Apache-2.0
#
# Saved classes of fuse. Made by stateify from fuse.state.lock; do not edit.

@0x8ad76f54fa648d50;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("stasis::fuse::schema");

# fuse.FuseState
struct FuseStateRow {
  nodes @0 :UInt32;  # ref<fuse.NodeTable>
  handles @1 :UInt32;  # ref<fuse.HandleTable>
  negotiated @2 :UInt32;  # bytes of its column
}
struct FuseStateColumns {
  rows @0 :List(FuseStateRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
  negotiatedColumn @2 :Data;  # struct<fuse.Negotiated>
}

# fuse.Handle
struct HandleRow {
  number @0 :UInt64;  # u64
  flags @1 :UInt32;  # u32
  file @2 :UInt64;  # any<vfs.FileDescription>
}
struct HandleColumns {
  rows @0 :List(HandleRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
}

# fuse.HandleTable
struct HandleTableRow {
  next @0 :UInt64;  # u64
  shards @1 :UInt32;  # bytes of its column
}
struct HandleTableColumns {
  rows @0 :List(HandleTableRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
  shardsColumn @2 :Data;  # list<ref<fuse.Handle>>
}

# fuse.Node
struct NodeRow {
  number @0 :UInt64;  # u64
  generation @1 :UInt64;  # u64
  at @2 :UInt32;  # bytes of its column
  lookups @3 :UInt64;  # u64
}
struct NodeColumns {
  rows @0 :List(NodeRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
  atColumn @2 :Data;  # struct<vfs.VirtualDentry>
}

# fuse.NodeTable
struct NodeTableRow {
  root @0 :UInt32;  # ref<fuse.Node>
  next @1 :UInt64;  # u64
  generation @2 :UInt64;  # u64
  shards @3 :UInt32;  # bytes of its column
  vfs @4 :UInt32;  # ref<vfs.VirtualFilesystem>
}
struct NodeTableColumns {
  rows @0 :List(NodeTableRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
  shardsColumn @2 :Data;  # list<ref<fuse.Node>>
}
