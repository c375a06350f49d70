// SPDX-License-Identifier: Apache-2.0

#include "restore/fork.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>

#include "cmd/stasis/daemon/keeping.h"
#include "cmd/stasis/daemon/tasks.h"
#include "cmd/stasis/rootfs.h"
#include "restore/oci/image.h"

namespace stasis::cli {
namespace {

nlohmann::ordered_json Describe(const Box& box, const restore::ForkOffer& offer,
                                const std::map<std::string, std::string>& roots) {
  nlohmann::ordered_json json = {{"version", Version()},
                                 {"offer", nlohmann::ordered_json::parse(offer.places().ToJson())},
                                 {"roots", roots}};
  json.update(nlohmann::ordered_json::parse(offer.report().ToJson()));
  const Origin origin = box.origin();
  json["layer_cache"] = box.options().content.roots.layer_cache;
  if (!origin.base_image.empty()) json["base_image"] = origin.base_image;
  if (origin.base_config.has_value())
    json["base_settings"] = oci::RunSettingsToJson(*origin.base_config);
  if (const std::optional<Ancestor> ancestor = box.ancestor(); ancestor.has_value())
    json["ancestor"] = {{"digest", ancestor->digest.ToString()},
                        {"directory", ancestor->directory}};
  return json;
}

}  // namespace

absl::StatusOr<control::Report> ForkBox(Box& box, const std::atomic<bool>* cancel) {
  if (absl::Status begun = box.Begin("being forked"); !begun.ok()) return begun;
  const absl::Cleanup done = [&box] { box.Done(); };
  const std::map<std::string, std::string> roots = HostDirectories(box.sandbox()->vfs());
  if (const auto upper = roots.find(kUpperName); upper != roots.end())
    return absl::FailedPreconditionError(
        absl::StrCat("the changes of ", box.name(), " go to the directory ", upper->second,
                     ", which one sandbox has alone; fork one with --upper memory"));
  sandbox::Sandbox& sandbox = *box.sandbox();
  EndUnusedFilesystems(box);
  // Not what the last checkpoint was asked for.
  sandbox.freezer().set_limits({});
  restore::CheckpointRequest request = RequestFor(box);
  request.cancel = cancel;
  absl::StatusOr<std::unique_ptr<restore::ForkOffer>> offer = restore::OfferFork(request);
  if (!offer.ok()) {
    box.log().warn("fork: {}", std::string(offer.status().message()));
    return offer.status();
  }
  const nlohmann::ordered_json json = Describe(box, **offer, roots);
  std::string text = json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  box.log().info("fork {}", text);
  box.KeepOffer(*std::move(offer));
  // What the fork reads, the next daemon must leave alone: before anybody knows where it is.
  if (Keeping* keeping = box.keeping(); keeping != nullptr) keeping->KeepNow();
  return control::Report{std::move(text), ""};
}

}  // namespace stasis::cli
