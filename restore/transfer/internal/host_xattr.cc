// SPDX-License-Identifier: Apache-2.0

#include "restore/transfer/internal/host_xattr.h"

#include <fmt/format.h>
#include <sys/xattr.h>

#include <cerrno>
#include <string_view>

namespace stasis::restore {
namespace {

// There are no ...at calls for extended attributes (before Linux 6.13). The link in /proc leads to
// the directory itself, and the last component is not followed by the l... calls.
std::string ProcPath(int dir, const std::string& file) {
  return fmt::format("/proc/self/fd/{}/{}", dir, file);
}

// Repeats `call(buffer, size)` until its answer fits.
template <typename Call>
Result<std::string> ReadGrowing(const Call& call) {
  std::string buffer(256, '\0');
  while (true) {
    const ssize_t got = call(buffer.data(), buffer.size());
    if (got >= 0) {
      buffer.resize(static_cast<size_t>(got));
      return buffer;
    }
    if (errno != ERANGE) return Err(errno);
    const ssize_t need = call(nullptr, 0);
    if (need < 0) return Err(errno);
    buffer.resize(static_cast<size_t>(need) + 64);
  }
}

bool IsNone(int error) { return error == ENOTSUP || error == ENODATA || error == ENOSYS; }

template <typename ListCall, typename GetCall>
Result<Xattrs> GetAll(const ListCall& list, const GetCall& get) {
  Xattrs xattrs;
  Result<std::string> names = ReadGrowing(list);
  if (!names) {
    if (IsNone(names.error().value())) return xattrs;
    return Err(names.error());
  }
  std::string_view rest = *names;
  while (!rest.empty()) {
    const std::string name(rest.substr(0, rest.find('\0')));
    rest.remove_prefix(std::min(name.size() + 1, rest.size()));
    Result<std::string> value =
        ReadGrowing([&](char* out, size_t size) { return get(name.c_str(), out, size); });
    if (value) xattrs[name] = *std::move(value);
  }
  return xattrs;
}

Result<void> Check(int result) {
  if (result != 0) return Err(errno);
  return {};
}

}  // namespace

Result<Xattrs> GetHostXattrs(int fd) {
  return GetAll(
      [&](char* out, size_t size) { return ::flistxattr(fd, out, size); },
      [&](const char* name, char* out, size_t size) { return ::fgetxattr(fd, name, out, size); });
}

Result<void> SetHostXattr(int fd, const std::string& name, const std::string& value) {
  return Check(::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0));
}

Result<Xattrs> GetHostXattrsAt(int dir, const std::string& file) {
  const std::string path = ProcPath(dir, file);
  return GetAll([&](char* out, size_t size) { return ::llistxattr(path.c_str(), out, size); },
                [&](const char* name, char* out, size_t size) {
                  return ::lgetxattr(path.c_str(), name, out, size);
                });
}

Result<void> SetHostXattrAt(int dir, const std::string& file, const std::string& name,
                            const std::string& value) {
  return Check(
      ::lsetxattr(ProcPath(dir, file).c_str(), name.c_str(), value.data(), value.size(), 0));
}

}  // namespace stasis::restore
