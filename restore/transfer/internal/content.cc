// SPDX-License-Identifier: Apache-2.0

#include "restore/transfer/internal/content.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <span>

#include "restore/internal/format.h"

namespace stasis::restore {
namespace {

constexpr size_t kBufferSize = size_t{1} << 18;

}  // namespace

absl::Status Unreadable(const char* side, const std::string& path, Errno error) {
  const std::string shown = path.empty() ? "." : PrintablePath(path);
  return ErrnoStatus(error.value(), fmt::format("cannot read {} on the {}", shown, side));
}

std::string TypeName(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return "regular file";
    case S_IFDIR:
      return "directory";
    case S_IFLNK:
      return "symbolic link";
    case S_IFIFO:
      return "FIFO";
    case S_IFSOCK:
      return "socket";
    case S_IFCHR:
      return "character device";
    case S_IFBLK:
      return "block device";
    default:
      return fmt::format("type {:o}", mode & S_IFMT);
  }
}

absl::StatusOr<ContentDifference> ContentComparer::Compare(const std::string& path,
                                                           FileReader& left, FileReader& right) {
  buffers_.resize(2 * kBufferSize);
  const std::span<std::byte> l(buffers_.data(), kBufferSize);
  const std::span<std::byte> r(buffers_.data() + kBufferSize, kBufferSize);
  ContentDifference result;
  for (uint64_t at = 0;;) {
    const auto left_data = left.NextData(at, UINT64_MAX / 4);
    const auto right_data = right.NextData(at, UINT64_MAX / 4);
    if (!left_data) return Unreadable("left", path, left_data.error());
    if (!right_data) return Unreadable("right", path, right_data.error());
    if (left_data->length == 0 && right_data->length == 0) return result;
    at = std::min(left_data->length == 0 ? UINT64_MAX : left_data->offset,
                  right_data->length == 0 ? UINT64_MAX : right_data->offset);
    const Result<size_t> n = left.Read(at, l);
    if (!n) return Unreadable("left", path, n.error());
    const Result<size_t> m = right.Read(at, r);
    if (!m) return Unreadable("right", path, m.error());
    const size_t common = std::min(*n, *m);
    result.compared += common;
    const auto [a, b] =
        std::mismatch(l.begin(), l.begin() + static_cast<ptrdiff_t>(common), r.begin());
    const auto same = static_cast<size_t>(a - l.begin());
    if (same < std::max(*n, *m)) {
      result.equal = false;
      result.offset = at + same;
      result.bytes = same < common ? fmt::format("{:#04x} against {:#04x}", static_cast<int>(*a),
                                                 static_cast<int>(*b))
                                   : "the end of one";
      return result;
    }
    if (common < kBufferSize) return result;
    at += common;
  }
}

}  // namespace stasis::restore
