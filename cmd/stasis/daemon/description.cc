// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/daemon/description.h"

#include <absl/strings/str_cat.h>

#include <string>
#include <utility>

#include "cmd/stasis/daemon/host_files.h"
#include "cmd/stasis/daemon/options_json.h"
#include "fsimpl/gofer/filesystem.h"
#include "restore/oci/image.h"

namespace stasis::cli {
namespace {

nlohmann::json ConnectionToJson(const fuse::Connection& connection) {
  nlohmann::json backings = nlohmann::json::array(), counted = nlohmann::json::array();
  for (const fuse::Connection::Backing& b : connection.backings)
    backings.push_back({b.node, b.opens, b.number, b.mapped, b.begun});
  for (const fuse::Connection::Counted& c : connection.counted)
    counted.push_back({c.handle, c.node});
  return {{"passthrough", connection.passthrough}, {"refused", connection.refused},
          {"stacked", connection.stacked},         {"last", connection.last},
          {"backings", std::move(backings)},       {"counted", std::move(counted)}};
}

fuse::Connection ConnectionFromJson(const nlohmann::json& json) {
  fuse::Connection connection;
  json.at("passthrough").get_to(connection.passthrough);
  json.at("refused").get_to(connection.refused);
  json.at("stacked").get_to(connection.stacked);
  connection.last = json.value("last", 0);
  for (const nlohmann::json& b : json.at("backings"))
    connection.backings.push_back({b.at(0), b.at(1), b.at(2), b.at(3), b.at(4)});
  for (const nlohmann::json& c : json.at("counted"))
    connection.counted.push_back({c.at(0), c.at(1)});
  return connection;
}

nlohmann::json OriginToJson(const Origin& origin) {
  nlohmann::json json = {{"source", origin.source}, {"base_image", origin.base_image}};
  if (origin.base_config.has_value())
    json["base_settings"] = oci::RunSettingsToJson(*origin.base_config);
  return json;
}

absl::Status DescribeLocks(const Box& box, restore::Parcel& parcel) {
  const Box::Locks locks = box.locks();
  nlohmann::json& json = parcel.json["locks"];
  const absl::StatusOr<int> own = parcel.AddCopy(locks.sandbox);
  if (!own.ok()) return own.status();
  const absl::StatusOr<int> upper = parcel.AddCopy(locks.upper);
  if (!upper.ok()) return upper.status();
  json = {{"sandbox", *own}, {"upper", *upper}, {"layers", nlohmann::json::array()}};
  for (const int lock : locks.layers) {
    const absl::StatusOr<int> layer = parcel.AddCopy(lock);
    if (!layer.ok()) return layer.status();
    json["layers"].push_back(*layer);
  }
  return absl::OkStatus();
}

absl::Status DescribeSandbox(sandbox::Sandbox& sandbox,
                             std::vector<sandbox::ServedFilesystems::Lent> lent,
                             restore::Parcel& parcel) {
  absl::StatusOr<sandbox::InitLine> init = sandbox.init().Lend();
  if (!init.ok()) return init.status();
  parcel.json["init"] = {
      {"pid", init->pid}, {"next_id", init->next_id}, {"protocol", init->protocol}};
  parcel.json["init"]["process"] = parcel.Add(std::move(init->process));
  parcel.json["init"]["channel"] = parcel.Add(std::move(init->channel));
  nlohmann::json& list = parcel.json["served"] = nlohmann::json::array();
  for (sandbox::ServedFilesystems::Lent& one : lent)
    list.push_back({{"number", one.number},
                    {"state", one.state},
                    {"device", parcel.Add(std::move(one.device))},
                    {"connection", ConnectionToJson(one.connection)}});
  parcel.json["next_filesystem"] = sandbox.served().next_number();
  parcel.json["cgroup"] = nullptr;
  if (const auto& group = sandbox.cgroup(); group.has_value())
    parcel.json["cgroup"] = {{"path", group->path()}, {"version", group->version()}};
  parcel.json["roots"] = nlohmann::json::object();
  for (const RefPtr<vfs::Filesystem>& fs : sandbox.vfs().filesystems())
    if (const auto* host = dynamic_cast<const gofer::GoferFilesystem*>(fs.get()))
      parcel.json["roots"][host->root_name()] = host->directory();
  DescribeHostFiles(sandbox, parcel.json);
  return absl::OkStatus();
}

}  // namespace

absl::Status DescribeBox(Box& box, std::vector<sandbox::ServedFilesystems::Lent> lent,
                         restore::Parcel& parcel) {
  parcel.json["version"] = Version();
  parcel.json["created_ns"] = box.created();
  parcel.json["rollbacks"] = box.rollbacks();
  parcel.json["upgrades"] = box.upgrades();
  const Box::Recoveries recoveries = box.recoveries();
  parcel.json["recoveries"] = {{"count", recoveries.count}, {"last", recoveries.last_reason}};
  parcel.json["options"] = OptionsToJson(box.options());
  parcel.json["config"] = box.config();
  parcel.json["origin"] = OriginToJson(box.origin());
  parcel.json["ancestor"] = nullptr;
  if (const std::optional<Ancestor> ancestor = box.ancestor(); ancestor.has_value())
    parcel.json["ancestor"] = {{"digest", ancestor->digest.ToString()},
                               {"directory", ancestor->directory}};
  if (absl::Status locks = DescribeLocks(box, parcel); !locks.ok()) return locks;
  return DescribeSandbox(*box.sandbox(), std::move(lent), parcel);
}

absl::Status DescribeJournal(const fuse::Journal& journal, uint64_t from, restore::Parcel& parcel) {
  const absl::StatusOr<int> file = parcel.AddCopy(journal.fd());
  if (!file.ok()) return file.status();
  parcel.json["journal"] = {{"file", *file}, {"from", from}};
  return absl::OkStatus();
}

absl::StatusOr<TakenJournal> TakeJournal(restore::Parcel& parcel) {
  const nlohmann::json json = parcel.json.at("journal");
  absl::StatusOr<UniqueFd> file = parcel.Take(json.at("file"));
  if (!file.ok()) return file.status();
  const auto from = json.at("from").get<uint64_t>();
  absl::StatusOr<std::unique_ptr<fuse::Journal>> journal =
      fuse::Journal::Open(*std::move(file), from);
  if (!journal.ok()) return journal.status();
  return TakenJournal{*std::move(journal), from};
}

absl::StatusOr<sandbox::InitLine> TakeInit(restore::Parcel& parcel) {
  const nlohmann::json json = parcel.json.at("init");
  sandbox::InitLine line;
  json.at("pid").get_to(line.pid);
  json.at("next_id").get_to(line.next_id);
  line.protocol = json.value("protocol", 1);
  if (line.protocol != sandbox::kInitProtocol)
    return absl::UnimplementedError(absl::StrCat(
        "the sandbox's process 1 speaks version ", line.protocol, " of its protocol, this daemon ",
        sandbox::kInitProtocol, "; use checkpoint and restore"));
  absl::StatusOr<UniqueFd> process = parcel.Take(json.at("process"));
  if (!process.ok()) return process.status();
  absl::StatusOr<UniqueFd> channel = parcel.Take(json.at("channel"));
  if (!channel.ok()) return channel.status();
  line.process = *std::move(process);
  line.channel = *std::move(channel);
  return line;
}

absl::StatusOr<std::vector<sandbox::ServedFilesystems::Lent>> TakeServed(restore::Parcel& parcel) {
  std::vector<sandbox::ServedFilesystems::Lent> served;
  for (const nlohmann::json& one : parcel.json.at("served")) {
    absl::StatusOr<UniqueFd> device = parcel.Take(one.at("device"));
    if (!device.ok()) return device.status();
    served.push_back({one.at("number"), one.at("state"), *std::move(device),
                      ConnectionFromJson(one.at("connection"))});
  }
  return served;
}

absl::Status TakeBox(restore::Parcel& parcel, Box& box) {
  const nlohmann::json& json = parcel.json;
  const bool recovery = json.contains("recovery");
  box.SetHistory(json.at("created_ns"), json.at("rollbacks"),
                 json.at("upgrades").get<uint32_t>() + (recovery ? 0 : 1));
  Box::Recoveries recoveries{json.at("recoveries").at("count"), json["recoveries"].at("last")};
  if (recovery) recoveries = {recoveries.count + 1, json["recovery"].at("reason")};
  box.SetRecoveries(std::move(recoveries));
  box.SetConfig(json.at("config"));
  absl::StatusOr<UniqueFd> own = parcel.Take(json.at("locks").at("sandbox"));
  if (!own.ok()) return own.status();
  box.SetLock(*std::move(own));
  for (const nlohmann::json& layer : json.at("locks").at("layers")) {
    absl::StatusOr<UniqueFd> lock = parcel.Take(layer);
    if (!lock.ok()) return lock.status();
    box.KeepLayerLock(*std::move(lock));
  }
  return absl::OkStatus();
}

absl::Status TakeOrigin(restore::Parcel& parcel, Content& content) {
  const nlohmann::json& origin = parcel.json.at("origin");
  origin.at("source").get_to(content.source);
  origin.at("base_image").get_to(content.base_image);
  if (origin.contains("base_settings")) {
    absl::StatusOr<oci::ImageConfig> config =
        oci::ParseRunSettings(origin["base_settings"].get<std::string>());
    if (!config.ok()) return config.status();
    content.base_config = *std::move(config);
  }
  if (const nlohmann::json& ancestor = parcel.json.at("ancestor"); !ancestor.is_null()) {
    absl::StatusOr<image::Digest> digest =
        image::Digest::Parse(ancestor.at("digest").get<std::string>());
    if (!digest.ok()) return digest.status();
    content.image = *digest;
    ancestor.at("directory").get_to(content.image_directory);
  }
  if (const int upper = parcel.json.at("locks").at("upper"); upper >= 0) {
    absl::StatusOr<UniqueFd> lock = parcel.Take(upper);
    if (!lock.ok()) return lock.status();
    content.upper_lock = *std::move(lock);
  }
  return absl::OkStatus();
}

}  // namespace stasis::cli
