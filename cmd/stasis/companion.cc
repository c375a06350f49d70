// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/companion.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "cmd/stasis/types.h"
#include "restore/image/layout.h"
#include "restore/image/manifest.h"
#include "state/base/unique_fd.h"

namespace stasis::cli {
namespace {

// CRIU's has some hundred bytes, ours too.
constexpr size_t kMaxFile = size_t{1} << 20;

// Not the image's damage, which has a code of its own.
absl::Status NotUsable(const std::string& path, const char* why) {
  return absl::FailedPreconditionError(absl::StrCat(path, " ", why));
}

absl::StatusOr<std::string> ReadSmall(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  std::string text(kMaxFile + 1, '\0');
  size_t size = 0;
  for (ssize_t got = 1; got > 0 && size < text.size(); size += static_cast<size_t>(got)) {
    got = read(fd.get(), text.data() + size, text.size() - size);
    if (got < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  }
  if (size > kMaxFile) return NotUsable(path, "is larger than it can be");
  text.resize(size);
  return text;
}

absl::Status WriteDurably(const std::string& path, const std::string& text) {
  const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd.valid() ||
      write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      fsync(fd.get()) != 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
  return absl::OkStatus();
}

struct ImageNames {
  std::vector<std::string> digests;  // that the image has, and had before it was squashed
  std::string inventory;             // of its companion; empty if it has none
};

absl::StatusOr<ImageNames> NamesOf(const std::string& reference) {
  absl::StatusOr<image::Reference> parsed = image::ParseReference(reference);
  if (!parsed.ok()) return parsed.status();
  const auto layout = image::Layout::Open(parsed->directory);
  if (!layout.ok()) return layout.status();
  const absl::StatusOr<image::Descriptor> found = (*layout)->Resolve(parsed->tag);
  if (!found.ok()) return found.status();
  const absl::StatusOr<std::string> bytes = (*layout)->ReadBlob(*found, image::kMaxManifestSize);
  if (!bytes.ok()) return bytes.status();
  const auto manifest = nlohmann::json::parse(*bytes, nullptr, false);
  ImageNames names;
  names.digests.push_back(found->digest.ToString());
  if (!manifest.is_object() || !manifest.contains("annotations")) return names;
  const nlohmann::json& annotations = manifest["annotations"];
  const auto text = [&annotations](const char* name) {
    const auto it = annotations.find(name);
    return it != annotations.end() && it->is_string() ? it->get<std::string>() : std::string();
  };
  if (!annotations.is_object()) return names;
  names.inventory = text(kAnnotationCompanion);
  for (const absl::string_view old :
       absl::StrSplit(text(image::kAnnotationSquashed), ',', absl::SkipEmpty()))
    names.digests.emplace_back(old);
  return names;
}

}  // namespace

absl::StatusOr<std::string> InventoryOf(const std::string& directory) {
  const absl::StatusOr<std::string> bytes = ReadSmall(absl::StrCat(directory, "/", kInventoryFile));
  if (absl::IsNotFound(bytes.status()))
    return absl::NotFoundError(
        absl::StrCat(directory, " has no ", kInventoryFile,
                     ": save the processes first, such as with criu dump --leave-stopped"));
  if (!bytes.ok()) return bytes.status();
  return image::Digest::Of(std::as_bytes(std::span(*bytes))).ToString();
}

absl::Status WriteCompanion(const std::string& directory, const std::string& reference,
                            const std::string& digest, const std::string& inventory) {
  const nlohmann::ordered_json json = {{"reference", reference},
                                       {"digest", digest},
                                       {"inventory", inventory},
                                       {"creator", Creator()}};
  const std::string path = absl::StrCat(directory, "/", kCompanionFile);
  const std::string fresh = path + ".new";
  absl::Status written = WriteDurably(
      fresh, json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
  if (written.ok() && rename(fresh.c_str(), path.c_str()) != 0)
    written = absl::ErrnoToStatus(errno, absl::StrCat("cannot replace ", path));
  if (!written.ok()) (void)unlink(fresh.c_str());
  return written;
}

absl::Status CheckCompanion(const std::string& directory, const std::string& reference) {
  const std::string path = absl::StrCat(directory, "/", kCompanionFile);
  const absl::StatusOr<std::string> bytes = ReadSmall(path);
  if (!bytes.ok()) return bytes.status();
  const auto json = nlohmann::json::parse(*bytes, nullptr, false);
  if (!json.is_object() || !json.contains("digest") || !json["digest"].is_string() ||
      !json.contains("inventory") || !json["inventory"].is_string())
    return NotUsable(path, "is damaged");
  const absl::StatusOr<ImageNames> names = NamesOf(reference);
  if (!names.ok()) return names.status();
  const std::string wanted = json["digest"];
  if (std::find(names->digests.begin(), names->digests.end(), wanted) == names->digests.end())
    return absl::FailedPreconditionError(absl::StrCat(path, " names the image ", wanted, ", and ",
                                                      reference, " is ", names->digests.front(),
                                                      "; restore the one that it names"));
  const absl::StatusOr<std::string> inventory = InventoryOf(directory);
  if (!inventory.ok()) return inventory.status();
  if (*inventory != json["inventory"].get<std::string>() || *inventory != names->inventory)
    return absl::FailedPreconditionError(
        absl::StrCat(directory, "/", kInventoryFile,
                     " is not the one that the image was made with; its processes were saved at "
                     "another time"));
  return absl::OkStatus();
}

}  // namespace stasis::cli
