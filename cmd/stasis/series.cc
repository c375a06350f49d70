// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/series.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>
#include <absl/time/clock.h>

#include <algorithm>
#include <memory>

#include "restore/image/gc.h"
#include "restore/image/index.h"
#include "state/base/clock.h"

namespace stasis::cli {
namespace {

constexpr char kTimeFormat[] = "%Y%m%dT%H%M%E3SZ";
constexpr size_t kTimeLength = 20;
constexpr absl::Duration kPatience = absl::Seconds(5);
constexpr absl::Duration kInterval = absl::Milliseconds(50);

absl::StatusOr<std::unique_ptr<image::Layout>> OpenPatiently(const std::string& directory) {
  const absl::Time deadline = absl::Now() + kPatience;
  for (;;) {
    auto layout = image::Layout::OpenForWriting(directory);
    if (!absl::IsUnavailable(layout.status()) || absl::Now() > deadline) return layout;
    absl::SleepFor(kInterval);
  }
}

bool Says(const image::Descriptor& entry, const char* key, const std::string& value) {
  const auto it = entry.annotations.find(key);
  return it != entry.annotations.end() && it->second == value;
}

// Its own tags, the oldest first.
std::vector<std::string> OwnTags(const Series& series,
                                 const std::vector<image::TagEntry>& entries) {
  std::vector<std::string> tags;
  for (const image::TagEntry& entry : entries)
    if (IsSeriesTag(entry.tag, series.name) &&
        Says(entry.descriptor, kAnnotationSeries, series.name) &&
        Says(entry.descriptor, image::kAnnotationContainerName, series.sandbox))
      tags.push_back(entry.tag);
  std::sort(tags.begin(), tags.end());
  return tags;
}

}  // namespace

int64_t Beats::Advance(absl::Time now) {
  next_ += every_;
  if (next_ >= now) return 0;
  // As many as there are before `now`.
  absl::Duration rest;
  int64_t missed = absl::IDivDuration(now - next_, every_, &rest);
  if (rest > absl::ZeroDuration()) ++missed;
  next_ += every_ * missed;
  return missed;
}

std::string SeriesTag(const std::string& name, absl::Time time) {
  return name + "-" + absl::FormatTime(kTimeFormat, time, absl::UTCTimeZone());
}

bool IsSeriesTag(const std::string& tag, const std::string& name) {
  absl::string_view rest = tag;
  if (!absl::ConsumePrefix(&rest, name) || !absl::ConsumePrefix(&rest, "-") ||
      rest.size() != kTimeLength)
    return false;
  // What is read needs separators: a year has as many digits as there are.
  const std::string readable =
      absl::StrCat(rest.substr(0, 4), "-", rest.substr(4, 2), "-", rest.substr(6, 5), ":",
                   rest.substr(11, 2), ":", rest.substr(13));
  absl::Time time;
  return absl::ParseTime(absl::RFC3339_full, readable, &time, nullptr) &&
         SeriesTag(name, time) == tag;
}

absl::StatusOr<std::vector<std::string>> TurnSeries(const Series& series,
                                                    const std::string& newest) {
  auto layout = OpenPatiently(series.directory);
  if (!layout.ok()) return layout.status();
  const absl::StatusOr<std::string> text = (*layout)->ReadIndex();
  if (!text.ok()) return text.status();
  absl::StatusOr<image::Index> index = image::Index::Parse(*text);
  if (!index.ok()) return index.status();
  absl::StatusOr<image::Descriptor> entry = index->Find(newest);
  if (!entry.ok()) return entry.status();
  index->Set(series.name, *std::move(entry));
  const auto entries = (*layout)->List();
  if (!entries.ok()) return entries.status();
  std::vector<std::string> gone = OwnTags(series, *entries);
  // The newest stays, also if the clock was set back.
  std::stable_partition(gone.begin(), gone.end(),
                        [&newest](const std::string& tag) { return tag != newest; });
  if (series.keep == 0 || gone.size() <= series.keep)
    gone.clear();
  else
    gone.resize(gone.size() - series.keep);
  for (const std::string& tag : gone) index->Remove(tag);
  if (absl::Status replaced = (*layout)->ReplaceIndex(index->Encode()); !replaced.ok())
    return replaced;
  return gone;
}

absl::Status CollectSeries(const Series& series) {
  auto layout = OpenPatiently(series.directory);
  if (!layout.ok()) return layout.status();
  return image::CollectGarbage(**layout, {.now = RealClock().Now()}).status();
}

}  // namespace stasis::cli
