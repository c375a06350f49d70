// SPDX-License-Identifier: Apache-2.0
//
// Manifest and config documents, good ones and others.

#include "restore/image/manifest.h"

#include "tests/restore/image/image_fixture.h"

namespace stasis::image {
namespace {

std::string Replace(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

class ConfigTest : public ::testing::Test {
 protected:
  ConfigTest() {
    Config config;
    config.required_features = {"a", "b"};
    config.creator = "stasis 1";
    config.created = "2026-01-01T00:00:00Z";
    config.statistics = {{"files", 3}};
    text_ = EncodeConfig(config);
  }
  std::string text_;
};

TEST_F(ConfigTest, GivesBackWhatWentIn) {
  const auto config = ParseConfig(text_, {"a", "b", "c"});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(EncodeConfig(*config), text_);
}

TEST_F(ConfigTest, NamesEachMissingFeature) {
  const auto status = ParseConfig(text_, {}).status();
  EXPECT_THAT(status, HasCode(absl::StatusCode::kUnimplemented));
  EXPECT_THAT(std::string(status.message()), HasSubstr("\"a\", \"b\""));
}

TEST_F(ConfigTest, ANewerVersionIsRefusedBeforeAnythingElseIsLookedAt) {
  const auto status =
      ParseConfig(R"({"formatVersion":2,"requiredFeatures":[],"creator":7})", {}).status();
  EXPECT_THAT(status, HasCode(absl::StatusCode::kUnimplemented));
  EXPECT_THAT(std::string(status.message()), HasSubstr("format version 2"));
}

TEST_F(ConfigTest, ReadsOnPastPropertiesThatItDoesNotKnow) {
  EXPECT_TRUE(ParseConfig(Replace(text_, "{", R"({"later":{"x":[1]},)"), {"a", "b"}).ok());
}

TEST_F(ConfigTest, RefusesDamage) {
  const std::vector<std::string> known = {"a", "b"};
  for (const std::string& bad :
       {std::string(), std::string("[]"), text_ + "}", Replace(text_, "\"a\"", "1"),
        Replace(text_, "1,", "-1,"), Replace(text_, "1,", "0,"), Replace(text_, "creator", "x"),
        Replace(text_, "{\"files\":3}", "[]"), Replace(text_, "creator", "created")}) {
    EXPECT_THAT(ParseConfig(bad, known).status(), HasCode(absl::StatusCode::kDataLoss)) << bad;
  }
}

class ManifestTest : public ::testing::Test {
 protected:
  ManifestTest() {
    manifest_.config.media_type = kMediaTypeConfig;
    manifest_.config.size = 3;
    manifest_.state.media_type = kMediaTypeState;
    manifest_.packs.resize(2);
    for (Descriptor& pack : manifest_.packs) pack.media_type = kMediaTypePack;
    manifest_.annotations["a"] = "b";
    text_ = EncodeManifest(manifest_);
  }
  Manifest manifest_;
  std::string text_;
};

TEST_F(ManifestTest, GivesBackWhatWentIn) {
  const auto manifest = ParseManifest(text_);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(EncodeManifest(*manifest), text_);
  EXPECT_EQ(CheckLayers(*manifest), absl::OkStatus());
}

TEST_F(ManifestTest, RefusesOtherTypes) {
  const std::string other = Replace(text_, kMediaTypeConfig, "application/x-other");
  EXPECT_THAT(ParseManifest(other).status(), HasCode(absl::StatusCode::kUnimplemented));
  manifest_.packs[1].media_type = kMediaTypeState;
  EXPECT_THAT(CheckLayers(manifest_), HasCode(absl::StatusCode::kDataLoss));
}

TEST_F(ManifestTest, RefusesDamage) {
  for (const std::string& bad :
       {std::string("{}"), Replace(text_, "\"schemaVersion\":2", "\"schemaVersion\":3"),
        Replace(text_, "\"layers\":[", "\"layers\":[7,"), Replace(text_, "sha256:", "sha512:"),
        Replace(text_, "\"size\":3", "\"size\":-3"), Replace(text_, "\"size\":3", "\"size\":1e99"),
        Replace(text_, "\"size\":3", "\"size\":99999999999999999999"),
        Replace(text_, "\"a\":\"b\"", "\"a\":1")}) {
    EXPECT_THAT(ParseManifest(bad).status(), HasCode(absl::StatusCode::kDataLoss)) << bad;
  }
}

TEST(DigestTest, TakesOnlyItsOneForm) {
  const Digest digest = Digest::Of({});
  EXPECT_EQ(digest.Hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(*Digest::Parse(digest.ToString()), digest);
  for (const std::string& bad : {digest.Hex(), "sha256:" + digest.Hex() + "0", std::string(),
                                 Replace(digest.ToString(), "e3", "E3"), std::string("sha256:")})
    EXPECT_FALSE(Digest::Parse(bad).ok()) << bad;
}

}  // namespace
}  // namespace stasis::image
