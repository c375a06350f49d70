// SPDX-License-Identifier: Apache-2.0
//
// asked.h: what the host is asked, and changed by, in a way that can be done again without it.
//
// While another process takes a sandbox over, it does again what programs have done meanwhile, with
// what the host has answered to the first (state/base/answers.h). So whatever a request of a
// program asks of the host, or does there, goes through Asked() if the tree follows from it. What
// does not, a process without the host (live.cc) is refused: it then loads anew while programs
// wait.

#ifndef STASIS_FSIMPL_GOFER_ASKED_H_
#define STASIS_FSIMPL_GOFER_ASKED_H_

#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "fsimpl/gofer/filesystem.h"
#include "state/base/answers.h"

namespace stasis::gofer {

// Numbers are not used twice: another version may have asked.
enum class Question : uint32_t {
  kLook = 1,     // a name in a directory
  kLink = 2,     // what it leads to
  kList = 3,     // a directory
  kMake = 4,     // a file
  kRemove = 5,   // a name
  kAddName = 6,  // to a file
  kRename = 7,
  kOpen = 8,
  kTruncate = 9,
  kSetAttributes = 10,
  kDropPrivileges = 11,
  kSetXattr = 12,
  kRemoveXattr = 13,
  kWrite = 14,
  kAllocate = 15,
  kCopy = 16,
};

namespace internal {

using Bytes = std::string;

// Of a number, as it is in memory.
template <typename T>
void Encode(Bytes& bytes, const T& value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
}
void Encode(Bytes& bytes, const HostStat& found);
void Encode(Bytes& bytes, const std::string& text);

// False: it is none.
template <typename T>
bool Decode(std::span<const std::byte> bytes, T& value) {
  if (bytes.size() != sizeof(value)) return false;
  std::memcpy(&value, bytes.data(), sizeof(value));
  return true;
}
bool Decode(std::span<const std::byte> bytes, HostStat& found);
bool Decode(std::span<const std::byte> bytes, std::string& text);

template <typename T>
Bytes AnswerOf(const Result<T>& result) {
  Bytes bytes;
  Encode(bytes, static_cast<int32_t>(result ? 0 : result.error().value()));
  if constexpr (!std::is_void_v<T>) {
    if (result) Encode(bytes, *result);
  }
  return bytes;
}

template <typename T>
Result<T> ResultOf(std::span<const std::byte> answer) {
  int32_t error = 0;
  if (answer.size() < sizeof(error)) return Err(ESTALE);
  std::memcpy(&error, answer.data(), sizeof(error));
  if (error != 0) return Err(error);
  if constexpr (std::is_void_v<T>) {
    return {};
  } else {
    T value{};
    if (!Decode(answer.subspan(sizeof(error)), value)) return Err(ESTALE);
    return value;
  }
}

}  // namespace internal

// What `ask` returns, a Result; or in its place what it returned the first time: ESTALE if it was
// not called then, which ends what is done again. `ino` is the number of the file that is asked
// about, or of the directory that `name` is in.
template <typename Ask>
std::invoke_result_t<Ask> Asked(const GoferFilesystem& fs, Question question, uint64_t ino,
                                std::string_view name, Ask ask) {
  using T = typename std::invoke_result_t<Ask>::value_type;
  const Answers::Question what{static_cast<uint32_t>(question), ino, name};
  if (fs.without_host()) {
    const auto answer = Answers::giving() ? Answers::Next(what) : std::nullopt;
    return answer.has_value() ? internal::ResultOf<T>(*answer) : Result<T>(Err(ESTALE));
  }
  Result<T> result = ask();
  if (fs.keeps_answers() && Answers::recording()) {
    const internal::Bytes answer = internal::AnswerOf(result);
    Answers::Keep(what, std::as_bytes(std::span(answer)));
  }
  return result;
}

}  // namespace stasis::gofer

#endif  // STASIS_FSIMPL_GOFER_ASKED_H_
