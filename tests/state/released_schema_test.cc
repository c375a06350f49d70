// SPDX-License-Identifier: Apache-2.0
//
// Every schema that was ever released (tests/golden/schema/VERSION/LAYER.state.lock) against
// today's.

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "tests/state/schema_compatibility.h"

namespace stasis::stateify {
namespace {

namespace fs = std::filesystem;

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

// The folder of each layer, from state/stateify/layers.txt.
std::map<std::string, std::string> Layers() {
  std::map<std::string, std::string> layers;
  std::istringstream in(ReadFile(fs::path(STASIS_SOURCE_DIR) / "state/stateify/layers.txt"));
  std::string what;
  std::string name;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    if (words >> what >> name && what == "layer") words >> layers[name];
  }
  return layers;
}

TEST(ReleasedSchemaTest, EveryReleasedSchemaCanStillBeRead) {
  const auto layers = Layers();
  int compared = 0;
  for (const auto& entry :
       fs::recursive_directory_iterator(fs::path(STASIS_SOURCE_DIR) / "tests/golden/schema")) {
    const std::string file = entry.path().filename().string();
    if (entry.path().extension() != ".lock") continue;
    const std::string layer = file.substr(0, file.find('.'));
    ASSERT_TRUE(layers.count(layer)) << entry.path() << ": layer " << layer << " is gone";
    const fs::path today = fs::path(STASIS_SOURCE_DIR) / layers.at(layer) / "gen" / file;
    ASSERT_TRUE(fs::exists(today)) << today;
    EXPECT_EQ(Incompatibility(ReadFile(entry.path()), ReadFile(today)), "")
        << entry.path() << " against " << today;
    ++compared;
  }
  EXPECT_GT(compared, 0);
}

constexpr char kReleased[] =
    "layer l 0x8000000000000001\n"
    "enum l.Kind u8\n  kA = 1\n"
    "class l.Thing\n  0 a : u32\n  1 b : string\n";

std::string With(const std::string& from, const std::string& to) {
  std::string text = kReleased;
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos);
  return text.replace(at, from.size(), to);
}

TEST(ReleasedSchemaTest, ASchemaIsCompatibleWithItself) {
  EXPECT_EQ(Incompatibility(kReleased, kReleased), "");
}

TEST(ReleasedSchemaTest, AdditionsAreCompatible) {
  EXPECT_EQ(Incompatibility(kReleased, absl::StrCat(kReleased, "  2 c : u64\nclass l.Zed\n")), "");
}

TEST(ReleasedSchemaTest, NoticesEditsOfTheLockFile) {
  EXPECT_EQ(Incompatibility(kReleased, With("0 a : u32", "0 a : u64")),
            "l.Thing field 0 has another type");
  EXPECT_EQ(Incompatibility(kReleased, With("  1 b : string\n", "")), "l.Thing has lost fields");
  EXPECT_EQ(Incompatibility(kReleased, With("class l.Thing", "class l.Other")), "l.Thing is gone");
  EXPECT_EQ(Incompatibility(kReleased, With("kA = 1", "kA = 2")), "l.Kind has lost kA");
  EXPECT_EQ(Incompatibility(kReleased, With("0001", "0002")), "the schema has another id");
}

}  // namespace
}  // namespace stasis::stateify
