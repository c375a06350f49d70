// SPDX-License-Identifier: Apache-2.0

#include "restore/transfer/report.h"

#include <fmt/format.h>

#include "restore/internal/format.h"

namespace stasis::restore {
namespace {

nlohmann::ordered_json IssuesToJson(const std::vector<TransferIssue>& issues) {
  auto json = nlohmann::ordered_json::array();
  for (const TransferIssue& issue : issues)
    json.push_back({{"path", issue.path}, {"message", issue.message}});
  return json;
}

void AppendIssues(std::string& text, const char* kind, const std::vector<TransferIssue>& issues) {
  for (const TransferIssue& issue : issues)
    text += fmt::format("{}: {}: {}\n", kind, issue.path, issue.message);
}

}  // namespace

std::string TransferReport::ToJson() const {
  const nlohmann::ordered_json json = {{"files", files},
                                       {"directories", directories},
                                       {"hard_links", hard_links},
                                       {"bytes", bytes},
                                       {"wall_ns", wall_ns},
                                       {"warnings", IssuesToJson(warnings)},
                                       {"errors", IssuesToJson(errors)}};
  return DumpJson(json);
}

std::string TransferReport::ToText() const {
  std::string text =
      fmt::format("{} files ({} directories, {} further names), {} in {}\n", files, directories,
                  hard_links, FormatBytes(bytes), FormatDuration(wall_ns));
  AppendIssues(text, "warning", warnings);
  AppendIssues(text, "error", errors);
  return text;
}

}  // namespace stasis::restore
