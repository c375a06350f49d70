// SPDX-License-Identifier: Apache-2.0
//
// answers.h: what something outside of the tree has answered, to be given again.
//
//   std::vector<std::byte> kept;
//   {
//     const Answers::Recording recording(kept);
//     ...  // whoever asks the host Keep()s what it says
//   }
//   std::span<const std::byte> left = kept;
//   const Answers::Giving giving(left);
//   ...  // the same asks Next(), and not the host
//
// As FixedTime (fixed_time.h) makes the time of what is done again the one that it was.

#ifndef STASIS_STATE_BASE_ANSWERS_H_
#define STASIS_STATE_BASE_ANSWERS_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace stasis {

// All of it is of the thread that calls.
class Answers {
 public:
  // What was asked: the asker's number for the question, and about what.
  struct Question {
    uint32_t what = 0;
    uint64_t of = 0;
    std::string_view name;
  };

  // Answers are appended to `to` while it lives. Does not nest.
  class [[nodiscard]] Recording {
   public:
    explicit Recording(std::vector<std::byte>& to) { recorded_ = &to; }
    ~Recording() { recorded_ = nullptr; }
    Recording(const Recording&) = delete;
    Recording& operator=(const Recording&) = delete;
  };
  // Answers are taken from the front of `left` while it lives. Does not nest.
  class [[nodiscard]] Giving {
   public:
    explicit Giving(std::span<const std::byte>& left) { given_ = &left; }
    ~Giving() { given_ = nullptr; }
    Giving(const Giving&) = delete;
    Giving& operator=(const Giving&) = delete;
  };

  static bool recording() { return recorded_ != nullptr; }
  static bool giving() { return given_ != nullptr; }

  // Requires: recording().
  static void Keep(const Question& question, std::span<const std::byte> answer) {
    const Head head{question.what, static_cast<uint32_t>(question.name.size()), question.of,
                    answer.size()};
    Append(&head, sizeof(head));
    Append(question.name.data(), question.name.size());
    Append(answer.data(), answer.size());
  }

  // The first answer to that question that is left; those before it are not asked for any more.
  // Nothing, and all are left: there is none. Requires: giving().
  static std::optional<std::span<const std::byte>> Next(const Question& question) {
    for (std::span<const std::byte> left = *given_; left.size() >= sizeof(Head);) {
      Head head;
      std::memcpy(&head, left.data(), sizeof(head));
      left = left.subspan(sizeof(head));
      if (head.name_size > left.size() || head.size > left.size() - head.name_size) break;
      const std::string_view name(reinterpret_cast<const char*>(left.data()), head.name_size);
      const auto answer = left.subspan(head.name_size, head.size);
      left = left.subspan(head.name_size + head.size);
      if (head.what != question.what || head.of != question.of || name != question.name) continue;
      *given_ = left;
      return answer;
    }
    return std::nullopt;
  }

 private:
  struct Head {
    uint32_t what;
    uint32_t name_size;
    uint64_t of;
    uint64_t size;
  };

  static void Append(const void* bytes, size_t size) {
    const auto* begin = static_cast<const std::byte*>(bytes);
    recorded_->insert(recorded_->end(), begin, begin + size);
  }

  static inline constinit thread_local std::vector<std::byte>* recorded_ = nullptr;
  static inline constinit thread_local std::span<const std::byte>* given_ = nullptr;
};

}  // namespace stasis

#endif  // STASIS_STATE_BASE_ANSWERS_H_
