// SPDX-License-Identifier: Apache-2.0

#include "restore/image/internal/staged_file.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <utility>

#include "restore/image/internal/files.h"
#include "restore/image/internal/status.h"

namespace stasis::image {

absl::StatusOr<StagedFile> StagedFile::Write(Layout& layout, const std::string& name,
                                             std::string_view bytes) {
  const std::string temp_name = layout.NewTempName();
  const std::string what = fmt::format("{}/{}", layout.directory(), name);
  FileOps& ops = layout.ops();
  IMAGE_ASSIGN_OR_ERRNO(
      UniqueFd fd,
      ops.OpenAt(layout.temp_fd(), temp_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0666),
      "cannot create a file for " + what);
  StagedFile staged(layout, name, temp_name, std::move(fd));
  IMAGE_RETURN_IF_ERROR(WriteAll(ops, staged.fd(), AsBytes(bytes), what));
  return staged;
}

absl::StatusOr<StagedFile> StagedFile::Overwrite(Layout& layout, const std::string& name,
                                                 const std::string& temp_name,
                                                 const struct stat& known, std::string_view bytes) {
  StagedFile staged(layout, name, temp_name, UniqueFd());
  FileOps& ops = layout.ops();
  IMAGE_ASSIGN_OR_ERRNO(
      staged.fd_, ops.OpenAt(layout.temp_fd(), temp_name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK, 0),
      "cannot open a file for " + staged.What());
  IMAGE_ASSIGN_OR_ERRNO(const struct stat opened, ops.Stat(staged.fd()),
                        "cannot examine a file for " + staged.What());
  if (!S_ISREG(opened.st_mode) || opened.st_nlink != 1 || opened.st_dev != known.st_dev ||
      opened.st_ino != known.st_ino)
    return absl::PermissionDeniedError(
        fmt::format("the file for {} is not this writer's own", staged.What()));
  IMAGE_RETURN_IF_ERROR(WriteAll(ops, staged.fd(), AsBytes(bytes), staged.What()));
  IMAGE_RETURN_IF_ERRNO(ops.Truncate(staged.fd(), bytes.size()), "cannot write " + staged.What());
  IMAGE_RETURN_IF_ERROR(staged.Sync());
  return staged;
}

StagedFile::StagedFile(StagedFile&& other) noexcept
    : layout_(other.layout_),
      name_(std::move(other.name_)),
      temp_name_(std::exchange(other.temp_name_, std::string())),
      fd_(std::move(other.fd_)) {}

StagedFile& StagedFile::operator=(StagedFile&& other) noexcept {
  std::swap(layout_, other.layout_);
  std::swap(name_, other.name_);
  std::swap(temp_name_, other.temp_name_);
  std::swap(fd_, other.fd_);
  return *this;
}

StagedFile::~StagedFile() {
  if (!temp_name_.empty()) (void)layout_->ops().UnlinkAt(layout_->temp_fd(), temp_name_);
}

absl::Status StagedFile::Sync() {
  IMAGE_RETURN_IF_ERRNO(layout_->ops().SyncData(fd_.get()), "cannot write " + What());
  return absl::OkStatus();
}

absl::Status StagedFile::Rename() {
  IMAGE_RETURN_IF_ERRNO(
      layout_->ops().RenameAt(layout_->temp_fd(), temp_name_, layout_->root_fd(), name_),
      "cannot replace " + What());
  temp_name_.clear();
  return absl::OkStatus();
}

absl::Status PublishIndex(Layout& layout, StagedFile staged, std::string_view old) {
  IMAGE_RETURN_IF_ERROR(staged.Rename());
  const auto synced = layout.ops().SyncDirectory(layout.root_fd());
  if (synced) return absl::OkStatus();
  // Nobody knows what a crash would leave: go back to what was promised before.
  auto back = StagedFile::Write(layout, kIndexFile, old);
  if (back.ok() && back->Sync().ok()) (void)back->Rename();
  (void)layout.ops().SyncDirectory(layout.root_fd());
  return ErrnoStatus(synced.error(),
                     fmt::format("cannot replace {}/{}", layout.directory(), kIndexFile));
}

}  // namespace stasis::image
