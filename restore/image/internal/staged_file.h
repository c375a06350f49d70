// SPDX-License-Identifier: Apache-2.0
//
// staged_file.h: a file of a layout's directory, written beside the one whose place it is to take.

#ifndef STASIS_RESTORE_IMAGE_INTERNAL_STAGED_FILE_H_
#define STASIS_RESTORE_IMAGE_INTERNAL_STAGED_FILE_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <sys/stat.h>

#include <string>
#include <string_view>

#include "restore/image/layout.h"
#include "state/base/unique_fd.h"

namespace stasis::image {

inline constexpr char kIndexFile[] = "index.json";

// Removed unless it gets its name.
class StagedFile {
 public:
  // Not durable yet. Requires: layout.writable(), and outlives this.
  static absl::StatusOr<StagedFile> Write(Layout& layout, const std::string& name,
                                          std::string_view bytes);
  // The same in a file of .stasis/tmp that is there, in the space that it has; durable. It must
  // have no other name, and be the one that `known` is of: somebody may have put another there.
  static absl::StatusOr<StagedFile> Overwrite(Layout& layout, const std::string& name,
                                              const std::string& temp_name,
                                              const struct stat& known, std::string_view bytes);
  StagedFile(StagedFile&& other) noexcept;
  StagedFile& operator=(StagedFile&& other) noexcept;
  ~StagedFile();

  int fd() const { return fd_.get(); }
  absl::Status Sync();
  // Takes the place, which the caller then makes durable. Requires: the file is durable.
  absl::Status Rename();

 private:
  StagedFile(Layout& layout, std::string name, std::string temp_name, UniqueFd fd)
      : layout_(&layout),
        name_(std::move(name)),
        temp_name_(std::move(temp_name)),
        fd_(std::move(fd)) {}
  std::string What() const { return layout_->directory() + "/" + name_; }

  Layout* layout_;
  std::string name_;
  std::string temp_name_;  // empty once it is renamed
  UniqueFd fd_;
};

// Durably puts a file that is durable in the place of index.json, which had the bytes `old`: a
// failure puts them back.
absl::Status PublishIndex(Layout& layout, StagedFile staged, std::string_view old);

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_INTERNAL_STAGED_FILE_H_
