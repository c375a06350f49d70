# SPDX-License-Identifier: Apache-2.0
#
# Where the chunks of a filesystem are that another process of the host is given. Never stored; a fork is of the same
# version, a process that takes over may be of a newer one.

@0xe3b6c1f20d5a4877;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("stasis::restore::wire");

struct ForkData {
  packs @0 :List(PackSource);
  memories @1 :UInt32;  # how many; their descriptors come beside this
  # Columns, a row for each chunk, in lists of at most `rowsPerPart`.
  parts @2 :List(Part);
  # How many of them are the graph's; after those come others that processes read.
  chunks @3 :UInt32;
  lent @4 :List(Lent);

  const rowsPerPart :UInt32 = 1048576;

  struct Part {
    lengths @0 :List(UInt32);
    # Row of `packs`, or those and more: `packs.size()` + the number of a memory.
    sources @1 :List(UInt32);
    # Number of the frame there, and the place in it. In a memory: the upper and lower half of the place.
    frames @2 :List(UInt32);
    offsets @3 :List(UInt32);
    # For who takes the memory over, else empty: where the copy's slot is in it, and its bytes; 0 bytes: there is no copy.
    slots @4 :List(UInt64);
    capacities @5 :List(UInt32);
  }

  # What a fork reads; the descriptor that tells of its end comes beside this.
  struct Lent {
    chunks @0 :List(UInt32);
  }
}

# Packs of an image layout.
struct PackSource {
  directory @0 :Text;  # absolute
  image @1 :Text;      # for messages
  packs @2 :List(Pack);
  frames @3 :List(Frame);
  manifest @4 :Data;     # digest of the image's; empty: not known

  struct Pack {
    digest @0 :Data;
    size @1 :UInt64;
  }
  struct Frame {
    pack @0 :UInt32;
    storedLength @1 :UInt32;
    offset @2 :UInt64;
    contentLength @3 :UInt32;
    digest @4 :Data;
  }
}
