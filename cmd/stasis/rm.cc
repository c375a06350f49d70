// SPDX-License-Identifier: Apache-2.0

#include <absl/strings/str_cat.h>
#include <fmt/core.h>

#include <map>
#include <memory>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/layout_argument.h"
#include "cmd/stasis/output.h"
#include "cmd/stasis/types.h"

namespace stasis::cli {
namespace {

struct RemoveOptions {
  std::vector<std::string> references;
  bool json = false;
};

// A tag that is gone, and who still reads its image.
struct Removed {
  std::string reference;
  std::string digest;
  std::vector<image::LeaseInfo> leases;
};

absl::StatusOr<std::map<std::string, std::vector<std::string>>> TagsByLayout(
    const std::vector<std::string>& references) {
  std::map<std::string, std::vector<std::string>> layouts;
  for (const std::string& text : references) {
    absl::StatusOr<image::Reference> reference = image::ParseReference(text);
    if (!reference.ok()) return reference.status();
    layouts[reference->directory].push_back(reference->tag);
  }
  return layouts;
}

Removed Describe(const image::Layout& layout, const std::string& tag,
                 const absl::StatusOr<image::Leases>& leases) {
  Removed removed;
  removed.reference = absl::StrCat(layout.directory(), ":", tag);
  const auto descriptor = layout.Resolve(tag);
  if (!descriptor.ok()) return removed;  // a damaged entry
  removed.digest = descriptor->digest.ToString();
  if (!leases.ok()) return removed;
  for (const image::LeaseInfo& lease : leases->live)
    if (lease.Names(descriptor->digest)) removed.leases.push_back(lease);
  return removed;
}

absl::Status RemoveFrom(const Types& types, const std::string& directory,
                        const std::vector<std::string>& tags, std::vector<Removed>& removed) {
  auto layout = OpenLayoutForWriting(directory);
  if (!layout.ok()) return layout.status();
  const absl::StatusOr<image::Leases> leases = image::ReadLeases(**layout);
  std::vector<Removed> going;
  for (const std::string& tag : tags) {
    if (absl::IsNotFound((*layout)->Resolve(tag).status())) {
      const auto request = types.Request(absl::StrCat(directory, ":", tag));
      if (request.ok()) return NameTags((*layout)->Resolve(tag).status(), *request);
    }
    going.push_back(Describe(**layout, tag, leases));
  }
  if (absl::Status status = (*layout)->RemoveTags(tags); !status.ok()) return status;
  removed.insert(removed.end(), going.begin(), going.end());
  return absl::OkStatus();
}

nlohmann::ordered_json ToJson(const std::vector<Removed>& removed) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Removed& item : removed) {
    nlohmann::ordered_json leases = nlohmann::ordered_json::array();
    for (const image::LeaseInfo& lease : item.leases) leases.push_back(LeaseToJson(lease));
    list.push_back({{"reference", item.reference}, {"digest", item.digest}, {"leases", leases}});
  }
  return {{"removed", list}};
}

void PrintText(const std::vector<Removed>& removed) {
  for (const Removed& item : removed) {
    PrintLine(fmt::format("removed {}  {}", item.reference, item.digest));
    for (const image::LeaseInfo& lease : item.leases)
      PrintLine(fmt::format("  in use by {}: its data stays until that ends", lease.Holder()));
  }
}

int Remove(const RemoveOptions& options) {
  const Types types;
  const auto layouts = TagsByLayout(options.references);
  if (!layouts.ok()) return Fail(layouts.status(), options.json);
  std::vector<Removed> removed;
  for (const auto& [directory, tags] : *layouts) {
    if (absl::Status status = RemoveFrom(types, directory, tags, removed); !status.ok()) {
      if (!options.json) PrintText(removed);
      return Fail(status, options.json);
    }
  }
  if (options.json) return PrintJson(ToJson(removed));
  PrintText(removed);
  return FlushLines();
}

}  // namespace

void AddRm(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("rm", "Remove tags; `stasis gc` removes what nobody needs then");
  auto options = std::make_shared<RemoveOptions>();
  command->add_option("image", options->references, "The images")->required()->type_name("DIR:TAG");
  command->add_flag("--json", options->json, "Print what was done as JSON");
  command->footer(
      "Of one layout all are removed or none.\n\n"
      "  stasis rm snaps:v1 snaps:v2 && stasis gc snaps:");
  command->callback(
      [options, &invocation] { invocation.action = [options] { return Remove(*options); }; });
}

}  // namespace stasis::cli
