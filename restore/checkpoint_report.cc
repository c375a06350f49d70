// SPDX-License-Identifier: Apache-2.0

#include <fmt/format.h>

#include "restore/checkpoint.h"
#include "restore/internal/format.h"
#include "restore/internal/pause.h"

namespace stasis::restore {

std::string CheckpointReport::ToJson() const {
  nlohmann::ordered_json json = {
      {"reference", reference},
      {"digest", digest.ToString()},
      {"parent", parent.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(parent)},
      {"pause_ns", pause_ns},
      {"pause", PartsToJson(*this)},
      {"preflush_ns", preflush_ns},
      {"build_ns", build_ns},
      {"write_ns", write_ns},
      {"wall_ns", wall_ns},
      {"objects", objects},
      {"files", files},
      {"dentries", dentries},
      {"chunks", chunks},
      {"dirty_bytes", dirty_bytes},
      {"reused_bytes", reused_bytes},
      {"extra_memory_bytes", extra_memory_bytes},
      {"stored_bytes", stored_bytes},
      {"state_bytes", state_bytes},
      {"state_content_bytes", state_content_bytes},
      {"pack_bytes", pack_bytes}};
  json["warnings"] = warnings;
  return DumpJson(json);
}

std::string CheckpointReport::ToText() const {
  std::string text = fmt::format("{}  {}\n", PrintablePath(reference), digest.ToString());
  text += fmt::format(
      "pause  {} (freeze {}, flush {}, drain {}, rows {}, thaw {})\n", FormatDuration(pause_ns),
      FormatDuration(freeze_ns), FormatDuration(flush_ns), FormatDuration(rows.drain_ns),
      FormatDuration(rows.prepare_ns + rows.rows_ns + rows.resume_ns), FormatDuration(thaw_ns));
  if (!parent.empty()) text += fmt::format("parent {}\n", parent);
  text += fmt::format("wall   {}\n", FormatDuration(wall_ns));
  text += fmt::format("files  {} ({} names, {} objects)\n", files, dentries, objects);
  text += fmt::format("in     {} dirty, {} stored before\n", FormatBytes(dirty_bytes),
                      FormatBytes(reused_bytes));
  text += fmt::format("out    {} (state {}, data {})\n", FormatBytes(stored_bytes),
                      FormatBytes(state_bytes), FormatBytes(pack_bytes));
  for (const std::string& warning : warnings) text += fmt::format("note   {}\n", warning);
  return text;
}

}  // namespace stasis::restore
