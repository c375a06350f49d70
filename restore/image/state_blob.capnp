# SPDX-License-Identifier: Apache-2.0
#
# The index of a state blob; docs/image_format.md says what every field means.

@0xd5a1c27f4e0b9a63;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("stasis::image::wire");

struct StateIndex {
  tables @0 :List(Table);
  roots @1 :List(Root);
  packs @2 :List(Pack);
  frames @3 :Frames;
  chunks @4 :Chunks;
}

struct Table {
  type @0 :Text;
  rowCount @1 :UInt64;
  messages @2 :List(Extent);
}

# Where a message is in the state blob.
struct Extent {
  offset @0 :UInt64;
  storedLength @1 :UInt32;
  contentLength @2 :UInt32;
}

struct Root {
  name @0 :Text;
  type @1 :Text;
  row @2 :UInt32;
}

struct Pack {
  digest @0 :Data;  # SHA-256, 32 bytes
  size @1 :UInt64;
}

# Columns of `count` varints each, one after the other; see the page for what they are deltas to.
struct Frames {
  count @0 :UInt32;
  packs @1 :Data;
  offsets @2 :Data;
  storedLengths @3 :Data;
  contentLengths @4 :Data;
  digests @5 :Data;  # SHA-256 of the content, 32 bytes each
}

struct Chunks {
  count @0 :UInt32;
  frames @1 :Data;
  offsets @2 :Data;
  lengths @3 :Data;
}
