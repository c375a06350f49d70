// SPDX-License-Identifier: Apache-2.0
//
// Made by stateify; do not edit.
// clang-format off

#ifndef STASIS_VFS_GEN_VFS_STATE_H_
#define STASIS_VFS_GEN_VFS_STATE_H_

#include <absl/base/thread_annotations.h>

#include <cstdint>

#include "state/codec/fields.h"
#include "state/registry.h"
#include "vfs/dentry.h"
#include "vfs/file_description.h"
#include "vfs/file_locks.h"
#include "vfs/filesystem.h"
#include "vfs/inode.h"
#include "vfs/inotify.h"
#include "vfs/mount.h"
#include "vfs/mount_namespace.h"
#include "vfs/path_operation.h"
#include "vfs/tree_filesystem.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::state {

template <>
struct Access::Enum<::stasis::vfs::LockKind> {
  static constexpr bool Valid(uint8_t number) {
    switch (number) {
      case 0u:  // kPosix
      case 1u:  // kOpenFile
      case 2u:  // kFlock
        return true;
      default:
        return false;
    }
  }
};

template <>
struct Access::Enum<::stasis::vfs::LockType> {
  static constexpr bool Valid(uint8_t number) {
    switch (number) {
      case 0u:  // kShared
      case 1u:  // kExclusive
        return true;
      default:
        return false;
    }
  }
};

template <>
struct Access::Type<::stasis::vfs::FileLock> {
  static constexpr const char* kName = "vfs.FileLock";
  static constexpr uint32_t kFieldCount = 6;
  static constexpr bool kHasRefs = false;
  static void Encode(Encoder& e, const ::stasis::vfs::FileLock& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static bool Decode(Decoder& d, ::stasis::vfs::FileLock& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void Visit(GraphWriter& w, const ::stasis::vfs::FileLock& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void Visit(WaitList& w, const ::stasis::vfs::FileLock& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearReferences(::stasis::vfs::FileLock& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
};

template <>
struct Access::Type<::stasis::vfs::Inotify::Watch> {
  static constexpr const char* kName = "vfs.Inotify.Watch";
  static constexpr uint32_t kFieldCount = 2;
  static constexpr bool kHasRefs = true;
  static void Encode(Encoder& e, const ::stasis::vfs::Inotify::Watch& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static bool Decode(Decoder& d, ::stasis::vfs::Inotify::Watch& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void Visit(GraphWriter& w, const ::stasis::vfs::Inotify::Watch& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void Visit(WaitList& w, const ::stasis::vfs::Inotify::Watch& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearReferences(::stasis::vfs::Inotify::Watch& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
};

template <>
struct Access::Type<::stasis::vfs::InotifyEvent> {
  static constexpr const char* kName = "vfs.InotifyEvent";
  static constexpr uint32_t kFieldCount = 4;
  static constexpr bool kHasRefs = false;
  static void Encode(Encoder& e, const ::stasis::vfs::InotifyEvent& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static bool Decode(Decoder& d, ::stasis::vfs::InotifyEvent& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void Visit(GraphWriter& w, const ::stasis::vfs::InotifyEvent& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void Visit(WaitList& w, const ::stasis::vfs::InotifyEvent& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearReferences(::stasis::vfs::InotifyEvent& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
};

template <>
struct Access::Type<::stasis::vfs::InotifyLimits> {
  static constexpr const char* kName = "vfs.InotifyLimits";
  static constexpr uint32_t kFieldCount = 2;
  static constexpr bool kHasRefs = false;
  static void Encode(Encoder& e, const ::stasis::vfs::InotifyLimits& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static bool Decode(Decoder& d, ::stasis::vfs::InotifyLimits& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void Visit(GraphWriter& w, const ::stasis::vfs::InotifyLimits& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void Visit(WaitList& w, const ::stasis::vfs::InotifyLimits& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearReferences(::stasis::vfs::InotifyLimits& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
};

template <>
struct Access::Type<::stasis::vfs::VirtualDentry> {
  static constexpr const char* kName = "vfs.VirtualDentry";
  static constexpr uint32_t kFieldCount = 2;
  static constexpr bool kHasRefs = true;
  static void Encode(Encoder& e, const ::stasis::vfs::VirtualDentry& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static bool Decode(Decoder& d, ::stasis::vfs::VirtualDentry& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void Visit(GraphWriter& w, const ::stasis::vfs::VirtualDentry& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void Visit(WaitList& w, const ::stasis::vfs::VirtualDentry& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearReferences(::stasis::vfs::VirtualDentry& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
};

template <>
struct Access::Type<::stasis::vfs::Dentry> {
  static constexpr const char* kName = "vfs.Dentry";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::vfs::Dentry& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::vfs::Dentry& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status LoadManual(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status AfterLoadOwn(::stasis::vfs::Dentry& o, LoadContext& context)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[1];
  static const LevelDescriptor* const kWaits[1];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
  static absl::Status AfterLoad(Object& object, LoadContext& context);
};

template <>
struct Access::Type<::stasis::vfs::FileDescription> {
  static constexpr const char* kName = "vfs.FileDescription";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::vfs::FileDescription& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::vfs::FileDescription& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status LoadManual(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status AfterLoadOwn(::stasis::vfs::FileDescription& o, LoadContext& context)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[1];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
  static absl::Status AfterLoad(Object& object, LoadContext& context);
};

template <>
struct Access::Type<::stasis::vfs::Filesystem> {
  static constexpr const char* kName = "vfs.Filesystem";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::vfs::Filesystem& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::vfs::Filesystem& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status AfterLoadOwn(::stasis::vfs::Filesystem& o, LoadContext& context)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
};

template <>
struct Access::Type<::stasis::vfs::Inode> {
  static constexpr const char* kName = "vfs.Inode";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::vfs::Inode& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::vfs::Inode& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status LoadManual(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status AfterLoadOwn(::stasis::vfs::Inode& o, LoadContext& context)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[1];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
  static absl::Status AfterLoad(Object& object, LoadContext& context);
};

template <>
struct Access::Type<::stasis::vfs::Inotify> {
  static constexpr const char* kName = "vfs.Inotify";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::vfs::Inotify& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::vfs::Inotify& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status AfterLoadOwn(::stasis::vfs::Inotify& o, LoadContext& context)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[1];
  static const LevelDescriptor* const kWaits[1];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
  static absl::Status AfterLoad(Object& object, LoadContext& context);
};

template <>
struct Access::Type<::stasis::vfs::Mount> {
  static constexpr const char* kName = "vfs.Mount";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::vfs::Mount& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::vfs::Mount& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status LoadManual(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status AfterLoadOwn(::stasis::vfs::Mount& o, LoadContext& context)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[1];
  static const LevelDescriptor* const kWaits[1];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
  static absl::Status AfterLoad(Object& object, LoadContext& context);
};

template <>
struct Access::Type<::stasis::vfs::MountNamespace> {
  static constexpr const char* kName = "vfs.MountNamespace";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::vfs::MountNamespace& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::vfs::MountNamespace& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status LoadManual(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status AfterLoadOwn(::stasis::vfs::MountNamespace& o, LoadContext& context)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[1];
  static const LevelDescriptor* const kWaits[1];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
  static absl::Status AfterLoad(Object& object, LoadContext& context);
};

template <>
struct Access::Type<::stasis::vfs::TreeFilesystem> {
  static constexpr const char* kName = "vfs.TreeFilesystem";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::vfs::TreeFilesystem& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::vfs::TreeFilesystem& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
};

template <>
struct Access::Type<::stasis::vfs::VirtualFilesystem> {
  static constexpr const char* kName = "vfs.VirtualFilesystem";
  static const LevelDescriptor kLevel;
  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void VisitOwn(GraphWriter& w, ::stasis::vfs::VirtualFilesystem& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static void ClearOwn(::stasis::vfs::VirtualFilesystem& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static absl::Status AfterLoadOwn(::stasis::vfs::VirtualFilesystem& o, LoadContext& context)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  static const TypeDescriptor kType;
  static const LevelDescriptor* const kLevels[1];
  static const LevelDescriptor* const kWaits[2];
  static Object* Create();
  static void Visit(GraphWriter& w, Object& object);
  static void ClearReferences(Object& object);
  static absl::Status AfterLoad(Object& object, LoadContext& context);
};

}  // namespace stasis::state

#endif  // STASIS_VFS_GEN_VFS_STATE_H_
