# SPDX-License-Identifier: Apache-2.0
#
# Saved classes of sandbox. Made by stateify from sandbox.state.lock; do not edit.

@0x802af57a36913be4;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("stasis::sandbox::schema");

# sandbox.KeptFiles
struct KeptFilesRow {
  files @0 :UInt32;  # bytes of its column
  nextId @1 :UInt64;  # u64
}
struct KeptFilesColumns {
  rows @0 :List(KeptFilesRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
  filesColumn @2 :Data;  # list<struct<sandbox.KeptFile>>
}

# sandbox.OpenFiles
struct OpenFilesRow {
  files @0 :UInt32;  # bytes of its column
  incomplete @1 :UInt32;  # bytes of its column
}
struct OpenFilesColumns {
  rows @0 :List(OpenFilesRow);
  fieldCount @1 :UInt32;  # the writer's, retired ones included
  filesColumn @2 :Data;  # list<struct<sandbox.OpenFile>>
  incompleteColumn @3 :Data;  # string
}
