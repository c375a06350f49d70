// SPDX-License-Identifier: Apache-2.0
//
// vfs_mounts.cc: our side.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <string_view>
#include <utility>
#include <vector>

#include "state/base/result.h"
#include "tests/testing/test_vfs.h"
#include "tests/vfs/mount_model/mounts.h"

namespace stasis::mount_model {
namespace {

constexpr uint64_t kNoSymFollow = 256;  // MS_NOSYMFOLLOW

vfs::MountFlags FlagsOf(uint64_t flags) {
  return {.read_only = (flags & MS_RDONLY) != 0,
          .no_exec = (flags & MS_NOEXEC) != 0,
          .no_suid = (flags & MS_NOSUID) != 0,
          .no_dev = (flags & MS_NODEV) != 0,
          .no_atime = (flags & MS_NOATIME) != 0 && (flags & MS_STRICTATIME) == 0,
          .no_dir_atime = (flags & MS_NODIRATIME) != 0,
          .strict_atime = (flags & MS_STRICTATIME) != 0,
          .no_sym_follow = (flags & kNoSymFollow) != 0};
}

vfs::Propagation TypeOf(uint64_t flag) {
  switch (flag) {
    case MS_SHARED:
      return vfs::Propagation::kShared;
    case MS_SLAVE:
      return vfs::Propagation::kSlave;
    case MS_UNBINDABLE:
      return vfs::Propagation::kUnbindable;
    default:
      return vfs::Propagation::kPrivate;
  }
}

template <typename T>
Result<void> Void(const Result<T>& result) {
  if (!result) return Err(result.error());
  return {};
}

class VfsMounts final : public Mounts {
 public:
  VfsMounts(bool saves, uint64_t seed) : saves_(saves), random_(seed) {
    const vfs::VirtualDentry base = t_.root();
    EXPECT_TRUE(t_.vfs().MountAt(t_.creds(), t_.ns(), {base, base, "/"},
                                 memfs::MemFilesystem::Create(t_.vfs(), {}), {}));
  }

  std::string Do(const Call& call) override {
    constexpr unsigned kStepsPerSave = 8;
    if (saves_ && random_() % kStepsPerSave == 0) {
      if (const absl::Status saved = t_.Save(); !saved.ok()) return saved.ToString() + "\n";
      if (const absl::Status restored = t_.Restore(); !restored.ok())
        return restored.ToString() + "\n";
    }
    std::string answer = Try(call);
    answer += "\n";
    for (const RefPtr<vfs::MountNamespace>& ns : t_.vfs().namespaces())
      answer += t_.vfs().MountInfo(*ns, t_.vfs().RootOf(*ns)) + "--\n";
    return answer;
  }

 private:
  std::string Try(const Call& call) {
    const RefPtr<vfs::MountNamespace> ns = t_.vfs().namespaces()[call.ns];
    const Result<void> done = Do(call, *ns, t_.vfs().RootOf(*ns));
    if (!done) return std::string(ErrnoName(done.error()));
    return call.kind == Call::kStat ? "ok " + std::to_string(mount_id_) : "ok";
  }

  static std::string SlotName(const Call& call) { return "slot" + std::to_string(call.slot); }

  Result<void> Do(const Call& call, vfs::MountNamespace& ns, const vfs::VirtualDentry& root) {
    vfs::VirtualFilesystem& vfs = t_.vfs();
    const vfs::Credentials& creds = t_.creds();
    const vfs::PathOperation a = {root, root, call.a.data()};
    const vfs::PathOperation b = {root, root, call.b.data()};
    const bool recursive = call.recursive != 0;
    switch (call.kind) {
      case Call::kMkdir:
        return vfs.MkdirAt(creds, a, 0755);
      case Call::kRmdir:
        return vfs.RmdirAt(creds, a);
      case Call::kMkfile:
        return vfs.MknodAt(creds, a, {S_IFREG | 0644});
      case Call::kUnlink:
        return vfs.UnlinkAt(creds, a);
      case Call::kRename:
        return vfs.RenameAt(creds, a, b);
      case Call::kOpen: {
        STASIS_ASSIGN_OR_RETURN(auto file,
                                vfs.OpenAt(creds, a, {.flags = call.flags != 0 ? O_RDWR : O_PATH}));
        t_.Hold(SlotName(call), std::move(file));
        return {};
      }
      case Call::kClose:
        t_.Release(SlotName(call));
        return {};
      case Call::kStat: {
        const auto file = t_.Held<vfs::FileDescription>(SlotName(call));
        const vfs::VirtualDentry from = call.flags != 0 && file ? file->at() : root;
        STASIS_ASSIGN_OR_RETURN(const vfs::Stat stat,
                                vfs.StatAt(creds, {root, from, call.a.data(), true}));
        mount_id_ = stat.mount_id;
        return {};
      }
      case Call::kMount:
        return Void(vfs.MountAt(creds, ns, a, memfs::MemFilesystem::Create(vfs, {}),
                                FlagsOf(call.flags & ~uint64_t{MS_RDONLY})));
      case Call::kBind:
        return Void(vfs.BindAt(creds, ns, a, b, {.recursive = recursive}));
      case Call::kMove:
        return vfs.MoveMountAt(creds, ns, a, b);
      case Call::kUmount:
        return vfs.UmountAt(creds, ns, a, static_cast<int>(call.flags));
      case Call::kPropagation:
        return vfs.SetPropagationAt(creds, ns, a, TypeOf(call.flags), recursive);
      case Call::kRemount:
        return Remount(call, ns, a);
      case Call::kSetAttributes:
        return vfs.SetMountAttributesAt(creds, ns, a, {call.set, call.clear, call.propagation},
                                        recursive);
      case Call::kPivotRoot:
        return Void(vfs.PivotRootAt(creds, ns, a, b));
      case Call::kClone:
        return Void(vfs.CloneMountNamespace(creds, ns, call.flags != 0 || ns.owner() != 0));
      case Call::kRemove:
        vfs.RemoveMountNamespace(ns);
        return {};
      default:
        return Err(EINVAL);
    }
  }

  // Without a word on access times they stay as they are: mount(2) does that.
  Result<void> Remount(const Call& call, vfs::MountNamespace& ns, const vfs::PathOperation& at) {
    vfs::MountFlags flags = FlagsOf(call.flags);
    constexpr uint64_t kAtime = MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME;
    if ((call.flags & kAtime) == 0) {
      STASIS_ASSIGN_OR_RETURN(const vfs::VirtualDentry found, t_.vfs().GetDentryAt(t_.creds(), at));
      const vfs::MountFlags now = found.mount().flags();
      flags.no_atime = now.no_atime;
      flags.no_dir_atime = now.no_dir_atime;
      flags.strict_atime = now.strict_atime;
    }
    return t_.vfs().RemountAt(t_.creds(), ns, at, flags);
  }

  testing::TestVfs t_;
  const bool saves_;
  std::mt19937_64 random_;
  uint64_t mount_id_ = 0;  // of the last kStat
};

}  // namespace

std::unique_ptr<Mounts> MakeVfsMounts(bool saves, uint64_t seed) {
  return std::make_unique<VfsMounts>(saves, seed);
}

}  // namespace stasis::mount_model
