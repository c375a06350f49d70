// SPDX-License-Identifier: Apache-2.0
//
// The images that released versions have made (tests/golden/images/VERSION), with today's program:
// what they say is what was said then, and what is restored of them is what there was.

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <iterator>
#include <set>
#include <sstream>
#include <string>

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr char kFolder[] = STASIS_GOLDEN;

Strings Versions() {
  Strings versions;
  for (const auto& entry : fs::directory_iterator(fs::path(kFolder) / "images"))
    versions.push_back(entry.path().filename());
  std::sort(versions.begin(), versions.end());
  return versions;
}

std::set<std::string> Lines(const std::string& text) {
  std::set<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.insert(line);
  return lines;
}

// The lines of one that another has not.
Strings Without(const std::set<std::string>& lines, const std::set<std::string>& others) {
  Strings left;
  std::set_difference(lines.begin(), lines.end(), others.begin(), others.end(),
                      std::back_inserter(left));
  return left;
}

// True if `actual` has everything that `golden` has. A newer version may say more.
bool Covers(const json& actual, const json& golden) {
  if (golden.is_array())
    return actual.is_array() &&
           std::equal(actual.begin(), actual.end(), golden.begin(), golden.end(), Covers);
  if (!golden.is_object()) return actual == golden;
  for (const auto& [key, value] : golden.items())
    if (!actual.is_object() || !actual.contains(key) || !Covers(actual[key], value)) return false;
  return true;
}

class GoldenTest : public CliTest, public testing::WithParamInterface<std::string> {
 protected:
  // A copy: a restore takes a lease, a checkpoint adds to it.
  void SetUp() override {
    CliTest::SetUp();
    ASSERT_THAT(Shell("mkdir roots && tar -C roots --zstd --acls --xattrs --xattrs-include='*' "
                      "--numeric-owner -xpf " +
                      Stored("roots.tar.zst") + " && cp -r " + Stored("image") + " image"),
                Succeeded());
    for (const auto& entry : fs::directory_iterator(Path("roots"))) {
      roots_.push_back("--root");
      roots_.push_back(entry.path().filename().string() + "=" + entry.path().string());
    }
  }
  static std::string Stored(const std::string& name) {
    return (fs::path(kFolder) / "images" / GetParam() / name).string();
  }
  static json StoredJson(const std::string& name) { return json::parse(ReadFile(Stored(name))); }
  // With the host directories.
  Outcome WithRoots(Strings arguments) {
    arguments.insert(arguments.end(), roots_.begin(), roots_.end());
    return Stasis(arguments);
  }
  // As the sandbox was made: nothing of the host but what is left out of the listing.
  void Restore(const std::string& tag, const std::string& box) {
    ASSERT_THAT(WithRoots({"restore", "image:" + tag, "--name", box, "--detach", "--handles",
                           "keep", "--system", "none", "--bind", "/usr:/usr:ro", "--bind",
                           std::string(kFolder) + ":/golden:ro"}),
                Succeeded());
  }
  void ExpectTheTree(const std::string& box) {
    const Outcome listed = Stasis({"exec", box, "--", "/usr/bin/python3", "/golden/list.py"});
    ASSERT_THAT(listed, Succeeded());
    const std::set<std::string> found = Lines(listed.out);
    const std::set<std::string> golden = Lines(ReadFile(Stored("tree.txt")));
    EXPECT_FALSE(golden.empty());
    EXPECT_THAT(Without(golden, found), testing::IsEmpty()) << "not there any more";
    EXPECT_THAT(Without(found, golden), testing::IsEmpty()) << "were not there";
  }

  Strings roots_;
};

TEST_P(GoldenTest, IsSound) {
  for (const char* tag : {"first", "second"}) {
    const Outcome outcome = Stasis({"verify", std::string("image:") + tag, "--json"});
    ASSERT_THAT(outcome, Succeeded());
    EXPECT_EQ(outcome.Json().at("ok"), true);
  }
}

TEST_P(GoldenTest, SaysWhatItSaid) {
  const json said = Stasis({"inspect", "image:second", "--json"}).Json();
  json golden = StoredJson("inspect.json");
  golden.erase("reference");
  EXPECT_TRUE(Covers(said, golden)) << json::diff(golden, said).dump(1);
  EXPECT_EQ(said.at("creator"), "stasis " + GetParam());
  const json open = Stasis({"handles", "image:second", "--json"}).Json();
  json golden_open = StoredJson("handles.json");
  golden_open.erase("reference");
  EXPECT_TRUE(Covers(open, golden_open)) << json::diff(golden_open, open).dump(1);
}

TEST_P(GoldenTest, ComparesWithItsHostDirectories) {
  EXPECT_THAT(WithRoots({"drift", "image:second", "--validate", "size,mtime,mode,owner,content"}),
              Succeeded());
  EXPECT_EQ(WithRoots({"diff", "image:second"}).out, ReadFile(Stored("diff.txt")));
}

TEST_P(GoldenTest, IsRestoredAsItWas) {
  Restore("second", "box");
  ExpectTheTree("box");
  const json kept = Stasis({"handles", "box", "--json"}).Json().at("kept");
  EXPECT_TRUE(Covers(kept, StoredJson("handles.json").at("kept"))) << kept.dump(1);
}

// What the old version has stored is not stored again.
TEST_P(GoldenTest, GoesOnInTodaysFormat) {
  Restore("second", "box");
  const Outcome saved = Stasis({"checkpoint", "box", "image:third", "--stop", "--json"});
  ASSERT_THAT(saved, Succeeded());
  EXPECT_EQ(saved.Json().at("parent"), StoredJson("inspect.json").at("digest"));
  EXPECT_EQ(saved.Json().at("dirty_bytes"), 0);
  ASSERT_THAT(Stasis({"verify", "image:third"}), Succeeded());
  Restore("third", "again");
  ExpectTheTree("again");
}

INSTANTIATE_TEST_SUITE_P(Images, GoldenTest, testing::ValuesIn(Versions()),
                         [](const auto& version) {
                           std::string name = version.param;
                           std::replace_if(
                               name.begin(), name.end(),
                               [](unsigned char c) { return !std::isalnum(c); }, '_');
                           return name;
                         });

}  // namespace
}  // namespace stasis::cli
