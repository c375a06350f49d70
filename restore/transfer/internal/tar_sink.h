// SPDX-License-Identifier: Apache-2.0
//
// tar_sink.h: a tree into a pax archive, with libarchive.

#ifndef STASIS_RESTORE_TRANSFER_INTERNAL_TAR_SINK_H_
#define STASIS_RESTORE_TRANSFER_INTERNAL_TAR_SINK_H_

#include <sys/types.h>

#include <functional>
#include <string>

#include "restore/transfer/internal/tree_copy.h"

struct archive;
struct archive_entry;

namespace stasis::restore {

// Zeros to feed to the archive: address space only, which nobody reads where there are holes.
class ZeroPages {
 public:
  ZeroPages();
  ~ZeroPages();
  ZeroPages(const ZeroPages&) = delete;
  ZeroPages& operator=(const ZeroPages&) = delete;

  std::span<const std::byte> First(uint64_t length) const;

 private:
  void* memory_;
  size_t size_;
};

class TarSink final : public TreeSink {
 public:
  // Takes the next bytes of the archive.
  using Output = std::function<Result<void>(std::span<const std::byte>)>;

  // Writes to `fd`, which is borrowed. Borrows `report`.
  TarSink(int fd, TransferReport& report);
  // Writes to `output`, and of times only the one of modification, so that the same tree gives the
  // same archive. An error of `output` is the error of the call that wrote.
  TarSink(Output output, TransferReport& report);
  ~TarSink() override;
  TarSink(const TarSink&) = delete;
  TarSink& operator=(const TarSink&) = delete;

  // Writes the end of the archive.
  Result<void> Finish();

  Result<void> EnterDirectory(const TreeNode& node) override;
  Result<void> LeaveDirectory(const TreeNode&) override { return {}; }
  Result<void> BeginFile(const TreeNode& node) override;
  Result<void> WriteData(uint64_t offset, std::span<const std::byte> data) override;
  // An archive cannot take a file back: one that is not complete ends in zeros.
  Result<void> EndFile(const TreeNode& node, bool complete) override;
  Result<bool> MakeNode(const TreeNode& node) override;
  Result<void> MakeLink(const TreeNode& node, const std::string& existing) override;

 private:
  void Describe(const TreeNode& node);
  Result<void> WriteHeader();
  Result<void> WriteZeros(uint64_t end);
  Result<void> WriteBytes(std::span<const std::byte> data);
  Result<void> Failed() const;

  static ssize_t OnWrite(struct archive* a, void* self, const void* data, size_t size);

  TransferReport& report_;
  const Output output_;  // null: a descriptor
  struct archive* archive_;
  struct archive_entry* entry_;
  ZeroPages zeros_;
  uint64_t position_ = 0;  // in the file that is being written
};

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_TRANSFER_INTERNAL_TAR_SINK_H_
