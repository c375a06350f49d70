// SPDX-License-Identifier: Apache-2.0

#include "restore/image/read_health.h"

#include <absl/time/clock.h>

#include <vector>

#include "restore/image/internal/status.h"
#include "restore/image/pack_reader.h"
#include "state/base/current_work.h"
#include "state/check.h"

namespace stasis::image {
namespace {

// Frames of a reader that are tried again in one go.
constexpr size_t kMostRetried = 64;

// The error, and which file it was wanted for, if that is known.
absl::Status WithReader(const absl::Status& error) {
  const std::string file = CurrentWork::Describe();
  if (file.empty()) return error;
  return absl::Status(error.code(),
                      fmt::format("{}; wanted for {}", std::string(error.message()), file));
}

}  // namespace

ReadHealth::~ReadHealth() {
  const absl::MutexLock lock(&mu_);
  state::Require(!thread_.joinable(), "a ReadHealth is stopped before its end");
}

void ReadHealth::Stop() {
  std::thread ended;
  absl::flat_hash_map<const PackReader*, Failing> readers;  // released after the lock
  {
    const absl::MutexLock lock(&mu_);
    stopped_ = true;
    ended = std::move(thread_);
  }
  if (ended.joinable()) ended.join();
  const absl::MutexLock lock(&mu_);
  readers.swap(readers_);
  CountLocked();
}

void ReadHealth::CountLocked() {
  size_t count = 0;
  for (const auto& [reader, failing] : readers_) count += failing.frames.size();
  failing_ = count;
}

void ReadHealth::Failed(const PackReader& reader, uint32_t frame, const absl::Status& error) {
  bool name = false;
  {
    const absl::MutexLock lock(&mu_);
    if (stopped_) return;
    latest_ = error;
    Failing& failing = readers_[&reader];
    if (!failing.held) failing.held = RefPtr<const PackReader>(&reader);
    name = failing.frames.insert(frame).second && MayName();
    CountLocked();
    if (!retrying_) {
      if (thread_.joinable()) thread_.join();  // it has nothing left to do
      retrying_ = true;
      thread_ = std::thread([this] { Retry(); });
    }
  }
  if (name && options_.on_failed) options_.on_failed(WithReader(error));
}

bool ReadHealth::MayName() {
  const absl::Time now = absl::Now();
  if (now >= window_end_) {
    window_end_ = now + options_.window;
    named_ = 0;
  }
  return named_++ < options_.most_named;
}

void ReadHealth::Recovered() {
  if (failing() == 0 && options_.on_recovered)
    options_.on_recovered("all stored data that could not be read can be read again");
}

void ReadHealth::Recover(const PackReader& reader, uint32_t frame) {
  RefPtr<const RefCounted> released;  // after the lock
  {
    const absl::MutexLock lock(&mu_);
    const auto it = readers_.find(&reader);
    if (it == readers_.end() || it->second.frames.erase(frame) == 0) return;
    if (it->second.frames.empty()) {
      released = std::move(it->second.held);
      readers_.erase(it);
    }
    CountLocked();
  }
  Recovered();
}

void ReadHealth::Forget(const PackReader& reader) {
  RefPtr<const RefCounted> released;  // after the lock
  {
    const absl::MutexLock lock(&mu_);
    const auto it = readers_.find(&reader);
    if (it == readers_.end()) return;
    released = std::move(it->second.held);
    readers_.erase(it);
    CountLocked();
  }
  Recovered();
}

void ReadHealth::RetryFrames(const Failing& failing) {
  // The list's reference and this one: no chunk needs it any more.
  const auto& reader = static_cast<const PackReader&>(*failing.held);
  if (reader.RefsRacy() <= 2) return Forget(reader);
  size_t tried = 0;
  for (const uint32_t frame : failing.frames) {
    if (++tried > kMostRetried) return;
    (void)reader.ReadFrame(frame);  // says itself how that went
  }
}

void ReadHealth::Retry() {
  for (;;) {
    std::vector<Failing> all;
    {
      const absl::MutexLock lock(&mu_);
      mu_.AwaitWithTimeout(absl::Condition(&stopped_), options_.retry);
      if (stopped_ || readers_.empty()) {
        retrying_ = false;
        return;
      }
      for (const auto& [reader, failing] : readers_) all.push_back(failing);
    }
    for (const Failing& failing : all) RetryFrames(failing);
  }
}

std::string ReadHealth::Reason() const {
  const absl::MutexLock lock(&mu_);
  const size_t count = failing();
  if (count == 0) return "";
  const std::string message(latest_.message());
  return count == 1 ? message : fmt::format("{} (and {} frames more)", message, count - 1);
}

}  // namespace stasis::image
