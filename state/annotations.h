// SPDX-License-Identifier: Apache-2.0
//
// annotations.h: how a class says that it is saved.
//
//   class Dentry final : public state::Object {
//    private:
//     STATE_SAVABLE(Dentry);
//     uint64_t position_ = 0;                       // saved: the default
//     RefPtr<Inode> inode_ STATE(wait);             // its AfterLoad runs before mine
//     std::atomic<uint32_t> mode_ STATE(was = "perm"){0};  // renamed; keeps its field number
//     int fd_ STATE(nosave) = -1;                   // rebuilt by AfterLoad
//     Table children_ STATE(manual);                // SaveChildren() / LoadChildren()
//   };
//
// STATE_SAVABLE stands in the private section of every class whose state is saved: of those derived
// from state::Object (which have identity), and of plain structs nested in them (which do not).
// To the compiler it is a friend declaration and STATE() is nothing; the generator (state/stateify)
// sees them as attributes.
//
// Hooks, found by name:
//   void BeforeSave();                              the gate is closed; bring fields up to date
//   absl::Status AfterLoad(state::LoadContext&);    every row is filled; check and rebuild
//   void LoadFailed();                              the load is given up: drop references that only
//                                                   AfterLoad or LoadFoo made and that form cycles
//   S SaveFoo() const; absl::Status LoadFoo(S, state::LoadContext&);
//                                                   for `foo_ STATE(manual)`; S is the saved form.
//                                                   LoadFoo runs when all other fields of all
//                                                   objects are filled, before any AfterLoad
// A base class and a derived one may both have them: the base's run first, and neither calls the
// other's. Plain structs have none.
// A class derived from state::Object and not abstract needs a default constructor (may be private).
// docs/saved_state.md has the rules for changing a saved class.

#ifndef STASIS_STATE_ANNOTATIONS_H_
#define STASIS_STATE_ANNOTATIONS_H_

namespace stasis::state {
struct Access;  // specialised by generated code: reaches the private fields of savable classes
}  // namespace stasis::state

// The GNU spelling of the attribute goes before and after thread annotations alike.
#ifdef STASIS_STATEIFY
#define STATE_SAVABLE(Type)              \
  friend struct ::stasis::state::Access; \
  using StateSavableMark [[maybe_unused, clang::annotate("state:savable")]] = Type
#define STATE(...) __attribute__((annotate("state:" #__VA_ARGS__)))
#else
#define STATE_SAVABLE(Type) friend struct ::stasis::state::Access
#define STATE(...)
#endif

#endif  // STASIS_STATE_ANNOTATIONS_H_
