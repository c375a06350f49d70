# SPDX-License-Identifier: Apache-2.0
#
# table.capnp: one message of saved state. See docs/saved_state.md.

@0xb1f3a6c20d5e9471;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("stasis::state::schema");

# Up to 16,384 consecutive rows of one table (SavedTable).
struct TableMessage {
  rowCount @0 :UInt32;
  # One for each savable class that the type is made of, base class first: a base class and a derived
  # one evolve independently.
  parts @1 :List(Part);

  struct Part {
    # A <Class>Columns of <layer>/gen/<layer>.state.capnp.
    columns @0 :AnyPointer;
  }
}
