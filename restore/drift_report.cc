// SPDX-License-Identifier: Apache-2.0

#include <absl/strings/escaping.h>
#include <absl/strings/str_join.h>
#include <fmt/format.h>

#include <algorithm>

#include "restore/drift.h"
#include "restore/internal/format.h"

namespace stasis::restore {
namespace {

using Json = nlohmann::ordered_json;
using vfs::DriftKind;
using vfs::DriftPolicy;

constexpr DriftPolicy kPolicies[] = {DriftPolicy::kFail, DriftPolicy::kWarn, DriftPolicy::kAdopt,
                                     DriftPolicy::kIgnore, DriftPolicy::kHeal};
// A longer path pushes what stands after it to the right, in its own line only.
constexpr size_t kWidestPath = 60;

// Null if there is nothing; what is not UTF-8 as an escaped text, and as it is beside it.
void Put(Json& json, const std::string& key, const std::string& bytes) {
  json[key] = bytes.empty() ? Json() : IsUtf8(bytes) ? Json(bytes) : Json(PrintablePath(bytes));
  if (!IsUtf8(bytes)) json[key + "_base64"] = absl::Base64Escape(bytes);
}

Json ToJson(const DriftFinding& finding) {
  Json json = Json::object();
  Put(json, "path", finding.path);
  Put(json, "root", finding.root);
  Put(json, "mount", finding.mount);
  json["kind"] = vfs::NameOf(finding.kind);
  Put(json, "saved", finding.saved);
  Put(json, "found", finding.found);
  json["policy"] = vfs::NameOf(finding.policy);
  json["fails"] = finding.fails;
  Put(json, "reason", finding.reason);
  return json;
}

// "12 -> 15"; with one side only, that one.
std::string Change(const DriftFinding& finding) {
  std::string text = PrintablePath(finding.saved);
  if (!finding.found.empty())
    text += (text.empty() ? "found " : " -> ") + PrintablePath(finding.found);
  else if (!text.empty())
    text.insert(0, "was ");
  if (!finding.reason.empty())
    text += (text.empty() ? "" : "; ") + ("cannot be healed: " + PrintablePath(finding.reason));
  return text;
}

// Letters, not bytes.
size_t Width(std::string_view utf8) {
  return static_cast<size_t>(
      std::count_if(utf8.begin(), utf8.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string Padded(std::string text, size_t width) {
  if (const size_t own = Width(text); own < width) text.append(width - own, ' ');
  return text;
}

std::string_view Word(const DriftFinding& finding) {
  return vfs::NameOf(finding.fails ? DriftPolicy::kFail : finding.policy);
}

std::string Differences(uint64_t count) {
  if (count == 0) return "no differences";
  return count == 1 ? "1 difference" : fmt::format("{} differences", count);
}

}  // namespace

std::string DriftFinding::ToText() const {
  const std::string change = Change(*this);
  return fmt::format("{}: {}{}{}", PrintablePath(path), vfs::NameOf(kind),
                     change.empty() ? "" : " ", change);
}

std::string DriftReport::ToJson() const {
  Json kinds = Json::object();
  for (size_t kind = 0; const uint64_t count : CountKinds())
    kinds[std::string(vfs::NameOf(static_cast<DriftKind>(kind++)))] = count;
  Json policies = Json::object();
  for (const DriftPolicy policy : kPolicies)
    policies[std::string(vfs::NameOf(policy))] = Count(policy);
  Json list = Json::array();
  for (const DriftFinding& finding : findings) list.push_back(restore::ToJson(finding));
  return DumpJson({{"drift", !findings.empty()},
                   {"failing", failing()},
                   {"kinds", std::move(kinds)},
                   {"policies", std::move(policies)},
                   {"findings", std::move(list)}});
}

std::string DriftReport::ToLines() const {
  size_t widest = 0;
  for (const DriftFinding& finding : findings)
    widest = std::max(widest, Width(PrintablePath(finding.path)));
  widest = std::min(widest, kWidestPath);
  std::string text;
  for (const DriftFinding& finding : findings) {
    std::string place = PrintablePath(finding.path);
    if (const std::string change = Change(finding); !change.empty())
      place = Padded(std::move(place), widest) + "  " + change;
    text += fmt::format("{:<6}  {:<8}  {}\n", Word(finding), vfs::NameOf(finding.kind), place);
  }
  return text;
}

std::string DriftReport::Summary() const {
  std::vector<std::string> kinds;
  for (size_t kind = 0; const uint64_t count : CountKinds()) {
    if (count > 0)
      kinds.push_back(fmt::format("{} {}", count, vfs::NameOf(static_cast<DriftKind>(kind))));
    ++kind;
  }
  std::string text = Differences(findings.size());
  if (!kinds.empty()) text += ": " + absl::StrJoin(kinds, ", ");
  if (ignored > 0) text += fmt::format("; {} more ignored", ignored);
  if (failing() > 0)
    text += fmt::format(
        "; failing a restore: {}; let --on-drift POLICY or --drift-rule 'GLOB=POLICY' say warn, "
        "adopt, ignore or heal",
        failing());
  return text;
}

std::string DriftReport::ToText() const { return ToLines() + Summary() + "\n"; }

}  // namespace stasis::restore
