// SPDX-License-Identifier: Apache-2.0

#include "restore/image/pack_files.h"

#include <filesystem>
#include <utility>

#include "restore/image/internal/status.h"

namespace stasis::image {
namespace {

// The process may change its working directory.
std::string Absolute(const std::string& directory) {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::absolute(directory, error);
  return error ? directory : path.string();
}

}  // namespace

PackFiles::PackFiles(const Layout& layout, const std::vector<PackEntry>& packs, size_t max_open)
    : ops_(layout.shared_ops()),
      directory_(Absolute(layout.directory())),
      packs_(packs),
      max_open_(max_open),
      slots_(packs.size()) {}

absl::StatusOr<std::unique_ptr<PackFiles>> PackFiles::Open(const Layout& layout,
                                                           const std::vector<PackEntry>& packs,
                                                           size_t max_open) {
  auto files = std::unique_ptr<PackFiles>(new PackFiles(layout, packs, max_open));
  for (uint32_t row = 0; row < packs.size(); ++row) {
    IMAGE_ASSIGN_OR_RETURN(UniqueFd fd, layout.OpenBlob(packs[row].digest, packs[row].size));
    if (row < max_open) files->Keep(row, std::make_shared<const UniqueFd>(std::move(fd)));
  }
  return files;
}

absl::StatusOr<PackFiles::File> PackFiles::OpenByName(uint32_t row) const {
  IMAGE_ASSIGN_OR_RETURN(const auto layout, Layout::Open(directory_, ops_));
  IMAGE_ASSIGN_OR_RETURN(UniqueFd fd, layout->OpenBlob(packs_[row].digest, packs_[row].size));
  return std::make_shared<const UniqueFd>(std::move(fd));
}

absl::StatusOr<PackFiles::File> PackFiles::Get(uint32_t row) {
  {
    const absl::MutexLock lock(&mu_);
    if (const Slot& slot = slots_[row]; slot.file != nullptr) {
      recent_.splice(recent_.begin(), recent_, slot.place);
      return slot.file;
    }
  }
  IMAGE_ASSIGN_OR_RETURN(File file, OpenByName(row));
  Keep(row, file);
  return file;
}

void PackFiles::Keep(uint32_t row, File file) {
  const absl::MutexLock lock(&mu_);
  KeepLocked(row, std::move(file));
}

void PackFiles::KeepLocked(uint32_t row, File file) {
  Slot& slot = slots_[row];
  if (slot.file != nullptr) recent_.erase(slot.place);
  slot.file = std::move(file);
  recent_.push_front(row);
  slot.place = recent_.begin();
  while (recent_.size() > max_open_) {
    slots_[recent_.back()].file.reset();
    recent_.pop_back();
  }
}

size_t PackFiles::open_count() const {
  const absl::MutexLock lock(&mu_);
  return recent_.size();
}

}  // namespace stasis::image
