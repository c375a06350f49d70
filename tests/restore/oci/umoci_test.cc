// SPDX-License-Identifier: Apache-2.0
//
// umoci, another program that reads and writes images, agrees. Built only where it is installed.

#include <gmock/gmock.h>

#include "tests/restore/oci/commit_fixture.h"

namespace stasis::oci {
namespace {

class UmociTest : public CommitTest {
 protected:
  // The root of an image, as umoci unpacks it.
  std::string UmociUnpack(const std::string& layout, const std::string& tag) {
    const std::string bundle = scratch_ / ("bundle-" + tag);
    EXPECT_EQ(Shell("umoci unpack --image " + layout + ":" + tag + " " + bundle + " 2>&1"), 0);
    return bundle + "/rootfs";
  }
  // But for the root's time, which is the overlay's, and the count of links of a file that is one
  // no longer because the overlay copied another of its names up.
  static void ExpectEqualToUmoci(const std::string& ours, const std::string& theirs) {
    const auto compared = restore::CompareTrees(*Host(ours), *Host(theirs));
    ASSERT_TRUE(compared.ok()) << compared.status();
    for (const restore::Difference& difference : compared->differences) {
      if (difference.kind == "nlink") continue;
      EXPECT_EQ(difference.path + difference.kind, ".mtime") << difference.ToText();
    }
  }
};

TEST_F(UmociTest, BaseIsWhatUmociUnpacks) {
  AddBase(Compression::kGzip);  // umoci reads no zstd
  Mount("base");
  ExpectEqualToUmoci(overlay_->merged(), UmociUnpack(layout_, "base"));
}

TEST_F(UmociTest, CommitIsWhatUmociUnpacks) {
  AddBase(Compression::kGzip);  // umoci reads no zstd
  Mount("base");
  Change(kEverything);
  ASSERT_TRUE(CommitTo(scratch_ / "other", "new").ok());
  ExpectEqualToUmoci(overlay_->merged(), UmociUnpack(scratch_ / "other", "new"));
}

TEST_F(UmociTest, ImageOfUmociIsABase) {
  const std::string layout = scratch_ / "theirs";
  const std::string bundle = scratch_ / "bundle";
  // It writes times in whole seconds.
  const std::string whole = "find . -depth -exec touch -h -d @1700000000 {} +;";
  ASSERT_EQ(Shell("set -e; umoci init --layout " + layout + "; umoci new --image " + layout +
                  ":v1; umoci unpack --image " + layout + ":v1 " + bundle + "; cd " + bundle +
                  "/rootfs; mkdir d e; echo a > d/a; ln d/a b; ln -s d l; chown 3:4 d/a;"
                  "chmod 1777 e; setfattr -n user.x -v y d; " +
                  whole + "umoci repack --refresh-bundle --image " + layout + ":v2 " + bundle +
                  "; rm d/a; rm -r e; echo c > d/c; " + whole + "umoci repack --image " + layout +
                  ":v3 " + bundle + "; umoci config --image " + layout +
                  ":v3 --config.env K=V --config.cmd run --config.user 7"),
            0);
  BaseOptions options;
  options.cache = cache_;
  const auto base = OpenBase({layout, "v3", std::nullopt}, options);
  ASSERT_TRUE(base.ok()) << base.status();
  EXPECT_EQ(base->layers.size(), 2u);
  EXPECT_THAT(base->config.cmd, ::testing::ElementsAre("run"));
  EXPECT_EQ(base->config.user, "7");
  const Overlay overlay(scratch_ / "box", Directories(*base));
  ExpectEqualToUmoci(overlay.merged(), bundle + "/rootfs");
}

}  // namespace
}  // namespace stasis::oci
