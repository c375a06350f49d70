// SPDX-License-Identifier: Apache-2.0
//
// commit_fixture.h: the kernel's overlay over an image, changed and committed.

#ifndef STASIS_TESTS_RESTORE_OCI_COMMIT_FIXTURE_H_
#define STASIS_TESTS_RESTORE_OCI_COMMIT_FIXTURE_H_

#include <memory>
#include <string>
#include <vector>

#include "restore/oci/commit.h"
#include "restore/transfer/compare.h"
#include "tests/restore/oci/oci_fixture.h"
#include "tests/testing/kernel_overlay.h"

namespace stasis::oci {

class CommitTest : public OciTest {
 protected:
  using Overlay = stasis::testing::KernelOverlay;

  // An image "base" of two layers.
  void AddBase(Compression upper = Compression::kZstd) {
    Entry owned = File("etc/owned", "owned");
    owned.uid = 7;
    owned.gid = 8;
    owned.xattrs = {{"user.note", "base"}};
    AddImage(
        "base",
        {MakeLayer({Dir("./"), Dir("etc"), File("etc/conf", "conf"), owned, Dir("usr"),
                    Dir("usr/lib"), File("usr/lib/a", "a"), File("usr/lib/b", "b"),
                    File("gone", "gone"), Symlink("link", "etc/conf"), HardLink("hard", "etc/conf"),
                    Dir("tmp", 01777)}),
         MakeLayer({Dir("usr"), File("usr/top", "top"), File(".wh.gone", ""), File("late", "late")},
                   upper)});
  }

  static std::vector<std::string> Directories(const BaseImage& base) {
    std::vector<std::string> directories;
    for (const BaseLayer& layer : base.layers) directories.push_back(layer.directory);
    return directories;
  }

  // Mounts an overlay over an image, of which the digest is noted for commits.
  void Mount(const std::string& tag) {
    const auto base = Base(tag);
    ASSERT_TRUE(base.ok()) << base.status();
    digest_ = base->manifest;
    overlay_ = std::make_unique<Overlay>(scratch_ / "box", Directories(*base));
  }
  void Change(const std::string& script) {
    ASSERT_EQ(Shell("set -e; cd " + overlay_->merged() + "; " + script), 0);
  }

  static std::unique_ptr<restore::TreeSource> Host(const std::string& directory) {
    auto tree = restore::OpenHostTree(directory);
    EXPECT_TRUE(tree.ok()) << tree.status();
    return *std::move(tree);
  }

  // Commits what is mounted on top of its base.
  absl::StatusOr<CommitReport> CommitTo(const std::string& directory, const std::string& tag,
                                        const CommitOptions& options = {}) {
    const auto upper = Host(overlay_->upper());
    const auto merged = Host(overlay_->merged());
    CommitRequest request;
    request.upper = upper.get();
    request.merged = merged.get();
    request.base = ImageReference{layout_, "", digest_};
    request.directory = directory;
    request.tag = tag;
    request.options = options;
    return Commit(request);
  }

  // What another overlay over that image shows must be what the first one does.
  void ExpectSame(const std::string& directory, const std::string& tag) {
    BaseOptions options;
    options.cache = cache_;
    const auto base = OpenBase({directory, tag, std::nullopt}, options);
    ASSERT_TRUE(base.ok()) << base.status();
    const Overlay again(scratch_ / "again", Directories(*base));
    ExpectEqual(overlay_->merged(), again.merged());
  }
  static void ExpectEqual(const std::string& left, const std::string& right) {
    restore::CompareOptions options;
    options.holes = true;
    const auto compared = restore::CompareTrees(*Host(left), *Host(right), options);
    ASSERT_TRUE(compared.ok()) << compared.status();
    for (const restore::Difference& difference : compared->differences)
      // The root of an overlay is a new directory.
      EXPECT_EQ(difference.path + difference.kind, ".mtime") << difference.ToText();
  }

  // A document of the layout, by descriptor.
  static Json ReadBlob(const std::string& directory, const Json& descriptor) {
    const std::string digest = descriptor.at("digest");
    return Json::parse(
        stasis::testing::ReadHostFile(directory + "/blobs/sha256/" + digest.substr(7)));
  }
  static Json Manifest(const std::string& directory, const std::string& tag) {
    const Json index = Json::parse(stasis::testing::ReadHostFile(directory + "/index.json"));
    for (const Json& entry : index["manifests"])
      if (entry["annotations"][image::kAnnotationRefName] == tag) return ReadBlob(directory, entry);
    ADD_FAILURE() << "no tag " << tag;
    return Json();
  }
  static Json ConfigOf(const std::string& directory, const std::string& tag) {
    return ReadBlob(directory, Manifest(directory, tag)["config"]);
  }

  // Changes of every kind.
  static constexpr char kEverything[] =
      "echo more >> etc/conf; rm late; rm -r usr/lib; mkdir usr/lib; echo n > usr/lib/n;"
      "mv usr moved; mkdir new; echo x > new/x; ln new/x new/y; ln -s /x new/l; mkfifo new/p;"
      "chown 5:6 etc/owned; chmod 4711 etc/owned; setfattr -n user.more -v 1 etc/owned;"
      "setfattr -n trusted.own -v 1 new; rm link; mkdir link; touch -d @7.000000009 new/x;"
      "mknod new/null c 1 3; truncate -s 8M new/sparse; printf tail >> new/sparse;"
      "rmdir tmp; mkdir -m 1777 tmp; rm -r tmp; echo now-a-file > tmp;"
      "touch \"$(printf 'new/\\303\\244')\" \"$(printf 'new/\\377\\n')\"";

  std::unique_ptr<Overlay> overlay_;
  image::Digest digest_;
};

}  // namespace stasis::oci

#endif  // STASIS_TESTS_RESTORE_OCI_COMMIT_FIXTURE_H_
