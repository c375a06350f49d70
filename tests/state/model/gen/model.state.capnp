# SPDX-License-Identifier: Apache-2.0
#
# Saved classes of model. Made by stateify from model.state.lock; do not edit.

@0xc7c74ca1332c1fda;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("stasis::model::schema");

# model.Circle
struct CircleRow {
  radius @0 :UInt64;  # u64
}
struct CircleColumns {
  rows @0 :List(CircleRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
}

# model.Columns
struct ColumnsRow {
  text @0 :UInt32;  # bytes of its column
  bytes @1 :UInt32;  # bytes of its column
  octets @2 :UInt32;  # bytes of its column
  numbers @3 :UInt32;  # bytes of its column
  signedNumbers @4 :UInt32;  # bytes of its column
  bits @5 :UInt32;  # bytes of its column
  texts @6 :UInt32;  # bytes of its column
  colors @7 :UInt32;  # bytes of its column
  fixed @8 :UInt32;  # bytes of its column
  maybe @9 :UInt32;  # bytes of its column
  point @10 :UInt32;  # bytes of its column
  choice @11 :UInt32;  # bytes of its column
  both @12 :UInt32;  # bytes of its column
  ordered @13 :UInt32;  # bytes of its column
  tree @14 :UInt32;  # bytes of its column
  hashed @15 :UInt32;  # bytes of its column
  set @16 :UInt32;  # bytes of its column
  nested @17 :UInt32;  # bytes of its column
  flags @18 :UInt32;  # bytes of its column
  ratio @19 :Float64;  # f64
}
struct ColumnsColumns {
  rows @0 :List(ColumnsRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
  textColumn @2 :Data;  # string
  bytesColumn @3 :Data;  # bytes
  octetsColumn @4 :Data;  # bytes
  numbersColumn @5 :Data;  # list<u64>
  signedNumbersColumn @6 :Data;  # list<i32>
  bitsColumn @7 :Data;  # list<bool>
  textsColumn @8 :Data;  # list<string>
  colorsColumn @9 :Data;  # list<enum<model.Color:u8>>
  fixedColumn @10 :Data;  # array<u16,4>
  maybeColumn @11 :Data;  # optional<i64>
  pointColumn @12 :Data;  # optional<struct<model.Point>>
  choiceColumn @13 :Data;  # variant<empty,u32,string,struct<model.Point>>
  bothColumn @14 :Data;  # tuple<u32,string>
  orderedColumn @15 :Data;  # map<string,u32>
  treeColumn @16 :Data;  # map<i64,struct<model.Point>>
  hashedColumn @17 :Data;  # map<string,list<u32>>
  setColumn @18 :Data;  # set<u64>
  nestedColumn @19 :Data;  # struct<model.Point>
  flagsColumn @20 :Data;  # optional<enum<model.Flags:u16>>
}

# model.Empty
struct EmptyRow {
  retired0 @0 :Bool;  # bool
}
struct EmptyColumns {
  rows @0 :List(EmptyRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
}

# model.Entry
struct EntryRow {
  name @0 :UInt32;  # bytes of its column
  parent @1 :UInt32;  # ref<model.Entry>
  record @2 :UInt32;  # ref<model.Record>
  children @3 :UInt32;  # bytes of its column
  position @4 :UInt64;  # u64
}
struct EntryColumns {
  rows @0 :List(EntryRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
  nameColumn @2 :Data;  # string
  childrenColumn @3 :Data;  # list<ref<model.Entry>>
}

# model.Holder
struct HolderRow {
  tree @0 :UInt32;  # ref<model.TreeNode>
  current @1 :UInt32;  # ref<model.TreeNode>
  anything @2 :UInt64;  # any<state.Object>
  shape @3 :UInt64;  # any<model.Shape>
  circle @4 :UInt32;  # ref<model.Circle>
  shapes @5 :UInt32;  # bytes of its column
  byName @6 :UInt32;  # bytes of its column
  nodes @7 :UInt32;  # bytes of its column
  link @8 :UInt32;  # bytes of its column
  links @9 :UInt32;  # bytes of its column
  chunks @10 :UInt32;  # bytes of its column
  chunk @11 :UInt32;  # chunk
  title @12 :UInt32;  # bytes of its column
  secret @13 :UInt64;  # u64
}
struct HolderColumns {
  rows @0 :List(HolderRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
  shapesColumn @2 :Data;  # list<any<model.Shape>>
  byNameColumn @3 :Data;  # map<string,ref<model.TreeNode>>
  nodesColumn @4 :Data;  # list<ref<model.TreeNode>>
  linkColumn @5 :Data;  # struct<model.Link>
  linksColumn @6 :Data;  # list<struct<model.Link>>
  chunksColumn @7 :Data;  # list<chunk>
  titleColumn @8 :Data;  # string
}

# model.Record
struct RecordRow {
  mode @0 :UInt32;  # u32
  uid @1 :UInt32;  # u32
  gid @2 :UInt32;  # u32
  nlink @3 :UInt32;  # u32
  ino @4 :UInt64;  # u64
  size @5 :UInt64;  # u64
  atime @6 :Int64;  # i64
  mtime @7 :Int64;  # i64
  ctime @8 :Int64;  # i64
  btime @9 :Int64;  # i64
}
struct RecordColumns {
  rows @0 :List(RecordRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
}

# model.Scalars
struct ScalarsRow {
  flag @0 :Bool;  # bool
  i8 @1 :Int8;  # i8
  i16 @2 :Int16;  # i16
  i32 @3 :Int32;  # i32
  i64 @4 :Int64;  # i64
  u8 @5 :UInt8;  # u8
  u16 @6 :UInt16;  # u16
  u32 @7 :UInt32;  # u32
  u64 @8 :UInt64;  # u64
  f32 @9 :Float32;  # f32
  f64 @10 :Float64;  # f64
  color @11 :UInt8;  # enum<model.Color:u8>
  number @12 :Int32;  # enum<model.Signed:i32>
  flags @13 :UInt16;  # enum<model.Flags:u16>
  byte @14 :UInt8;  # u8
  atomicU64 @15 :UInt64;  # u64
  atomicFlag @16 :Bool;  # bool
  atomicColor @17 :UInt8;  # enum<model.Color:u8>
}
struct ScalarsColumns {
  rows @0 :List(ScalarsRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
}

# model.Shape
struct ShapeRow {
  name @0 :UInt32;  # bytes of its column
}
struct ShapeColumns {
  rows @0 :List(ShapeRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
  nameColumn @2 :Data;  # string
}

# model.Square
struct SquareRow {
  side @0 :UInt64;  # u64
  inner @1 :UInt64;  # any<model.Shape>
}
struct SquareColumns {
  rows @0 :List(SquareRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
}

# model.TreeNode
struct TreeNodeRow {
  name @0 :UInt32;  # bytes of its column
  parent @1 :UInt32;  # ref<model.TreeNode>
  children @2 :UInt32;  # bytes of its column
  next @3 :UInt32;  # ref<model.TreeNode>
  shape @4 :UInt64;  # any<model.Shape>
}
struct TreeNodeColumns {
  rows @0 :List(TreeNodeRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
  nameColumn @2 :Data;  # string
  childrenColumn @3 :Data;  # list<ref<model.TreeNode>>
}
