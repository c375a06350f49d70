// SPDX-License-Identifier: Apache-2.0

#include "restore/image/internal/reserve.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "restore/image/internal/status.h"

namespace stasis::image {
namespace {

constexpr char kReserveFile[] = "reserve";
// An index may grow by this much before the reserve has to.
constexpr uint64_t kGrowth = 16 * 1024;
constexpr uint64_t kStep = 64 * 1024;

// The space that the reserve really has. One that has another name is somebody else's, too.
uint64_t SpaceOf(const struct stat& st) {
  if (!S_ISREG(st.st_mode) || st.st_nlink != 1) return 0;
  return std::min(static_cast<uint64_t>(st.st_size), static_cast<uint64_t>(st.st_blocks) * 512);
}

// In the place of one that is too small. Leaves `name` behind if it fails.
Result<void> MakeReserve(Layout& layout, const std::string& name, uint64_t size) {
  FileOps& ops = layout.ops();
  auto fd = ops.OpenAt(layout.temp_fd(), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0666);
  if (!fd) return Err(fd.error());
  STASIS_RETURN_IF_ERROR(ops.Allocate(fd->get(), size));
  return ops.RenameAt(layout.temp_fd(), name, layout.own_fd(), kReserveFile);
}

}  // namespace

void KeepReserve(Layout& layout) {
  FileOps& ops = layout.ops();
  const auto index = ops.StatAt(layout.root_fd(), kIndexFile);
  if (!index) return;
  const uint64_t need = static_cast<uint64_t>(index->st_size) + kGrowth;
  const auto there = ops.StatAt(layout.own_fd(), kReserveFile);
  if (there && SpaceOf(*there) >= need) return;
  const std::string name = layout.NewTempName();
  if (!MakeReserve(layout, name, (need + kStep - 1) / kStep * kStep))
    (void)ops.UnlinkAt(layout.temp_fd(), name);
}

absl::StatusOr<StagedFile> WriteIndexInReserve(Layout& layout, std::string_view bytes) {
  const std::string what = layout.directory() + "/.stasis/" + kReserveFile;
  FileOps& ops = layout.ops();
  IMAGE_ASSIGN_OR_ERRNO(const struct stat st, ops.StatAt(layout.own_fd(), kReserveFile),
                        "cannot examine " + what);
  if (SpaceOf(st) < bytes.size())
    return absl::ResourceExhaustedError(fmt::format("{} is too small", what));
  const std::string name = layout.NewTempName();
  IMAGE_RETURN_IF_ERRNO(ops.RenameAt(layout.own_fd(), kReserveFile, layout.temp_fd(), name),
                        "cannot take " + what);
  return StagedFile::Overwrite(layout, kIndexFile, name, st, bytes);
}

}  // namespace stasis::image
