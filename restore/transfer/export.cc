// SPDX-License-Identifier: Apache-2.0

#include "restore/transfer/export.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "restore/internal/format.h"
#include "restore/transfer/internal/host_sink.h"
#include "restore/transfer/internal/tar_sink.h"
#include "restore/transfer/internal/tree_copy.h"

namespace stasis::restore {
namespace {

TreeCopyOptions CopyOptions(const ExportOptions& options) {
  TreeCopyOptions copy;
  copy.owners = options.owners;
  copy.on_progress = options.on_progress;
  copy.cancel = options.cancel;
  // A chunk that is missing or damaged.
  copy.read_error = absl::StatusCode::kDataLoss;
  return copy;
}

// Makes the directory if need be. `made` tells.
absl::StatusOr<UniqueFd> OpenEmptyDirectory(const std::string& directory, bool& made) {
  const std::string shown = PrintablePath(directory);
  made = ::mkdir(directory.c_str(), 0700) == 0;
  if (!made && errno != EEXIST) return ErrnoStatus(errno, "cannot make directory " + shown);
  UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, "cannot open directory " + shown);
  auto tree = OpenHostTree(directory);
  if (!tree.ok()) return tree.status();
  auto names = (*tree)->List();
  if (!names) return ErrnoStatus(names.error().value(), "cannot list " + shown);
  if (!names->empty())
    return absl::FailedPreconditionError(
        fmt::format("{} is not empty: give a new or an empty directory", shown));
  return fd;
}

// A file beside `file` that takes its name in the end, or goes.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string file)
      : file_(std::move(file)), temporary_(file_ + ".XXXXXX") {}
  ~TemporaryFile() {
    if (fd_.valid()) ::unlink(temporary_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  absl::Status Open() {
    fd_.reset(::mkostemp(temporary_.data(), O_CLOEXEC));
    if (!fd_.valid()) return ErrnoStatus(errno, "cannot make " + PrintablePath(file_));
    return absl::OkStatus();
  }
  int fd() const { return fd_.get(); }

  absl::Status Commit() {
    const mode_t mask = ::umask(0);
    ::umask(mask);
    const bool ok = ::fchmod(fd_.get(), 0666 & ~mask) == 0 && ::fsync(fd_.get()) == 0 &&
                    ::rename(temporary_.c_str(), file_.c_str()) == 0;
    if (!ok) return ErrnoStatus(errno, "cannot finish " + PrintablePath(file_));
    fd_.reset();
    return absl::OkStatus();
  }

 private:
  const std::string file_;
  std::string temporary_;
  UniqueFd fd_;
};

absl::Status WriteTar(TreeSource& source, int fd, const ExportOptions& options,
                      TransferReport& report) {
  TarSink sink(fd, report);
  if (absl::Status s = TreeCopy(source, sink, CopyOptions(options), report).Run(); !s.ok())
    return s;
  if (Result<void> r = sink.Finish(); !r)
    return ErrnoStatus(r.error().value(), "cannot write the end");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TransferReport> ExportDirectory(vfs::VirtualFilesystem& vfs,
                                               const vfs::VirtualDentry& source,
                                               const std::string& directory,
                                               const ExportOptions& options) {
  bool made = false;
  absl::StatusOr<UniqueFd> root = OpenEmptyDirectory(directory, made);
  if (!root.ok()) return root.status();
  const std::unique_ptr<TreeSource> tree = OpenVfsTree(vfs, source);
  TransferReport report;
  HostSink sink(*std::move(root), report);
  absl::Status status = TreeCopy(*tree, sink, CopyOptions(options), report).Run();
  if (status.ok()) return report;
  // Removing it again would be the only step here that can destroy something: that is not ours to
  // do.
  const std::string left = fmt::format("cannot export to {} ({} files are left in it)",
                                       PrintablePath(directory), report.files);
  if (report.files <= 1 && made && ::rmdir(directory.c_str()) == 0)
    return Annotate(status, "cannot export to " + PrintablePath(directory));
  return Annotate(status, left);
}

absl::StatusOr<TransferReport> ExportTar(vfs::VirtualFilesystem& vfs,
                                         const vfs::VirtualDentry& source, const std::string& file,
                                         const ExportOptions& options) {
  const std::unique_ptr<TreeSource> tree = OpenVfsTree(vfs, source);
  TransferReport report;
  const std::string what = "cannot export to " + PrintablePath(file);
  if (file == "-") {
    if (absl::Status s = WriteTar(*tree, STDOUT_FILENO, options, report); !s.ok())
      return Annotate(s, "cannot export to the standard output");
    return report;
  }
  TemporaryFile temporary(file);
  if (absl::Status s = temporary.Open(); !s.ok()) return s;
  if (absl::Status s = WriteTar(*tree, temporary.fd(), options, report); !s.ok())
    return Annotate(s, what);
  if (absl::Status s = temporary.Commit(); !s.ok()) return s;
  return report;
}

}  // namespace stasis::restore
