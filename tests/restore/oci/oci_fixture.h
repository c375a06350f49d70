// SPDX-License-Identifier: Apache-2.0
//
// oci_fixture.h: tar files and image layouts made to measure, also such as no tool would make.

#ifndef STASIS_TESTS_RESTORE_OCI_OCI_FIXTURE_H_
#define STASIS_TESTS_RESTORE_OCI_OCI_FIXTURE_H_

#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "restore/image/digest.h"
#include "restore/oci/base.h"
#include "restore/transfer/internal/locale_scope.h"
#include "tests/testing/scratch_dir.h"

namespace stasis::oci {

inline image::Digest DigestOf(std::string_view bytes) {
  return image::Digest::Of(std::as_bytes(std::span(bytes.data(), bytes.size())));
}

// One entry of a tar file.
struct Entry {
  std::string name;
  uint32_t mode = S_IFREG | 0644;
  std::string content;
  std::string target;     // of a symbolic link
  std::string hard_link;  // the name linked to
  uint32_t uid = 0;
  uint32_t gid = 0;
  time_t mtime = 1'700'000'000;
  long mtime_ns = 0;  // NOLINT(google-runtime-int)
  dev_t rdev = 0;
  std::map<std::string, std::string> xattrs;
  // Holes: data at `sparse_offset` of a file of `sparse_size` bytes.
  int64_t sparse_size = 0;
  int64_t sparse_offset = 0;
};

inline Entry File(std::string name, std::string content = "x") {
  Entry entry;
  entry.name = std::move(name);
  entry.content = std::move(content);
  return entry;
}
inline Entry Dir(std::string name, uint32_t mode = 0755) {
  Entry entry;
  entry.name = std::move(name);
  entry.mode = S_IFDIR | mode;
  return entry;
}
inline Entry Symlink(std::string name, std::string target) {
  Entry entry;
  entry.name = std::move(name);
  entry.mode = S_IFLNK | 0777;
  entry.target = std::move(target);
  return entry;
}
inline Entry HardLink(std::string name, std::string to) {
  Entry entry;
  entry.name = std::move(name);
  entry.hard_link = std::move(to);
  return entry;
}
inline Entry Device(std::string name, uint32_t type, dev_t rdev) {
  Entry entry;
  entry.name = std::move(name);
  entry.mode = type | 0660;
  entry.rdev = rdev;
  return entry;
}

inline la_ssize_t AppendTo(struct archive*, void* out, const void* data, size_t size) {
  static_cast<std::string*>(out)->append(static_cast<const char*>(data), size);
  return static_cast<la_ssize_t>(size);
}

inline void WriteEntry(struct archive* a, const Entry& e) {
  struct archive_entry* entry = archive_entry_new();
  archive_entry_copy_pathname(entry, e.name.c_str());
  archive_entry_set_mode(entry, e.mode);
  archive_entry_set_uid(entry, e.uid);
  archive_entry_set_gid(entry, e.gid);
  archive_entry_set_mtime(entry, e.mtime, e.mtime_ns);
  archive_entry_set_rdev(entry, e.rdev);
  const auto size = static_cast<int64_t>(e.content.size());
  if (!e.target.empty()) archive_entry_copy_symlink(entry, e.target.c_str());
  if (!e.hard_link.empty())
    archive_entry_copy_hardlink(entry, e.hard_link.c_str());
  else
    archive_entry_set_size(entry, e.sparse_size > 0 ? e.sparse_size : size);
  if (e.sparse_size > 0) archive_entry_sparse_add_entry(entry, e.sparse_offset, size);
  for (const auto& [key, value] : e.xattrs)
    archive_entry_xattr_add_entry(entry, key.c_str(), value.data(), value.size());
  EXPECT_GE(archive_write_header(a, entry), ARCHIVE_WARN) << archive_error_string(a);
  // With holes the writer takes the whole file and leaves out what the map does.
  if (e.sparse_size > 0) {
    std::string zeros(static_cast<size_t>(e.sparse_offset), '\0');
    archive_write_data(a, zeros.data(), zeros.size());
  }
  if (!e.content.empty()) archive_write_data(a, e.content.data(), e.content.size());
  archive_entry_free(entry);
}

// A pax archive of the entries, in their order.
inline std::string Tar(const std::vector<Entry>& entries) {
  const restore::LocaleScope locale;
  std::string out;
  struct archive* a = archive_write_new();
  archive_write_set_format_pax(a);
  archive_write_set_bytes_in_last_block(a, 1);
  archive_write_open(a, &out, nullptr, &AppendTo, nullptr);
  for (const Entry& entry : entries) WriteEntry(a, entry);
  archive_write_close(a);
  archive_write_free(a);
  return out;
}

inline std::string Compress(std::string_view bytes, Compression compression) {
  if (compression == Compression::kNone) return std::string(bytes);
  std::string out;
  struct archive* a = archive_write_new();
  if (compression == Compression::kGzip)
    archive_write_add_filter_gzip(a);
  else
    archive_write_add_filter_zstd(a);
  archive_write_set_format_raw(a);
  archive_write_set_bytes_in_last_block(a, 1);
  archive_write_open(a, &out, nullptr, &AppendTo, nullptr);
  struct archive_entry* entry = archive_entry_new();
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_entry_set_pathname(entry, "x");
  archive_write_header(a, entry);
  archive_write_data(a, bytes.data(), bytes.size());
  archive_entry_free(entry);
  archive_write_close(a);
  archive_write_free(a);
  return out;
}

// A layer as it is in a layout, and what the documents say of it, which may be a lie.
struct TestLayer {
  std::string blob;
  std::string media_type;
  std::string digest;
  std::string diff_id;
};

inline TestLayer MakeLayer(std::string_view tar, Compression compression = Compression::kGzip) {
  TestLayer layer;
  layer.blob = Compress(tar, compression);
  layer.media_type = LayerMediaType(compression);
  layer.digest = DigestOf(layer.blob).ToString();
  layer.diff_id = DigestOf(tar).ToString();
  return layer;
}
inline TestLayer MakeLayer(const std::vector<Entry>& entries,
                           Compression compression = Compression::kGzip) {
  return MakeLayer(Tar(entries), compression);
}

// Device nodes, owners: these tests need root.
class OciTest : public ::testing::Test {
 protected:
  using Json = nlohmann::ordered_json;

  OciTest() : layout_(scratch_ / "layout"), cache_(scratch_ / "cache") {
    ::umask(022);
    std::filesystem::create_directories(layout_ + "/blobs/sha256");
    stasis::testing::WriteHostFile(layout_ + "/oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
    WriteIndex();
  }

  // Adds a blob; a descriptor of it.
  Json AddBlob(std::string_view bytes, const std::string& type) {
    const image::Digest digest = DigestOf(bytes);
    stasis::testing::WriteHostFile(layout_ + "/blobs/sha256/" + digest.Hex(), bytes);
    return {{"mediaType", type}, {"digest", digest.ToString()}, {"size", bytes.size()}};
  }

  static Json Config(const std::vector<TestLayer>& layers) {
    Json config = {{"architecture", Platform::Host().architecture}, {"os", "linux"}};
    Json diff_ids = Json::array();
    for (const TestLayer& layer : layers) diff_ids.push_back(layer.diff_id);
    config["rootfs"] = {{"type", "layers"}, {"diff_ids", diff_ids}};
    return config;
  }

  Json AddManifest(const std::vector<TestLayer>& layers, const Json& config) {
    Json list = Json::array();
    for (const TestLayer& layer : layers) {
      AddBlob(layer.blob, layer.media_type);
      if (DigestOf(layer.blob).ToString() != layer.digest)
        stasis::testing::WriteHostFile(layout_ + "/blobs/sha256/" + layer.digest.substr(7),
                                       layer.blob);
      list.push_back(
          {{"mediaType", layer.media_type}, {"digest", layer.digest}, {"size", layer.blob.size()}});
    }
    const Json manifest = {{"schemaVersion", 2},
                           {"mediaType", image::kMediaTypeManifest},
                           {"config", AddBlob(config.dump(), kMediaTypeImageConfig)},
                           {"layers", list}};
    return AddBlob(manifest.dump(), image::kMediaTypeManifest);
  }

  // A tag that is there already is replaced.
  void Tag(const std::string& tag, Json descriptor) {
    descriptor["annotations"] = {{image::kAnnotationRefName, tag}};
    for (size_t i = 0; i < entries_.size(); ++i)
      if (entries_[i]["annotations"] == descriptor["annotations"]) entries_.erase(i--);
    entries_.push_back(std::move(descriptor));
    WriteIndex();
  }

  // An image, bottom layer first.
  void AddImage(const std::string& tag, const std::vector<TestLayer>& layers) {
    Tag(tag, AddManifest(layers, Config(layers)));
  }

  absl::StatusOr<BaseImage> Base(const std::string& tag, BaseOptions options = {}) {
    if (options.cache.empty()) options.cache = cache_;
    return OpenBase({layout_, tag, std::nullopt}, options);
  }
  // The directory of an image with the one layer.
  std::string Unpack(const TestLayer& layer) {
    AddImage("t", {layer});
    const auto base = Base("t");
    EXPECT_TRUE(base.ok()) << base.status();
    return base.ok() ? base->layers.at(0).directory : "/nonexistent";
  }
  std::string Unpack(const std::vector<Entry>& entries) { return Unpack(MakeLayer(entries)); }

  // The error of an image with the one layer; afterwards nothing may be left.
  absl::Status Refused(const TestLayer& layer, BaseOptions options = {}) {
    AddImage("t", {layer});
    const absl::Status status = Base("t", std::move(options)).status();
    EXPECT_EQ(Left(), "");
    return status;
  }
  absl::Status Refused(const std::vector<Entry>& entries, BaseOptions options = {}) {
    return Refused(MakeLayer(entries), std::move(options));
  }

  // Names in the cache's folders.
  std::string Left() const {
    std::string names;
    for (const char* folder : {"sha256", "sha256-rootless", "tmp"}) {
      std::error_code error;
      for (const auto& entry : std::filesystem::directory_iterator(cache_ + "/" + folder, error))
        names += std::string(folder) + "/" + entry.path().filename().string() + "\n";
    }
    return names;
  }

  static struct stat Lstat(const std::string& path) {
    struct stat st = {};
    EXPECT_EQ(::lstat(path.c_str(), &st), 0) << path;
    return st;
  }
  static bool IsWhiteoutAt(const std::string& path) {
    struct stat st = {};
    return ::lstat(path.c_str(), &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == 0;
  }
  static std::string Xattr(const std::string& path, const std::string& name) {
    char value[256];
    const ssize_t n = ::lgetxattr(path.c_str(), name.c_str(), value, sizeof(value));
    return n < 0 ? "(none)" : std::string(value, static_cast<size_t>(n));
  }
  static bool IsOpaque(const std::string& path) {
    return Xattr(path, "trusted.overlay.opaque") == "y" ||
           Xattr(path, "user.overlay.opaque") == "y";
  }
  static int Shell(const std::string& command) { return std::system(command.c_str()); }  // NOLINT

  stasis::testing::ScratchDir scratch_;
  const std::string layout_;
  const std::string cache_;

 private:
  void WriteIndex() {
    const Json index = {{"schemaVersion", 2}, {"manifests", entries_}};
    stasis::testing::WriteHostFile(layout_ + "/index.json", index.dump());
  }
  Json entries_ = Json::array();
};

}  // namespace stasis::oci

#endif  // STASIS_TESTS_RESTORE_OCI_OCI_FIXTURE_H_
