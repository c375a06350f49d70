// SPDX-License-Identifier: Apache-2.0
//
// Images that are damaged, or made to do damage. Each is refused with its reason, and nothing of it
// is left (see OciTest::Refused).

#include <algorithm>
#include <random>

#include "tests/restore/oci/oci_fixture.h"
#include "tests/testing/random_changes.h"

namespace stasis::oci {
namespace {

using stasis::testing::ReadHostFile;
using stasis::testing::WriteHostFile;
using ::testing::AllOf;
using ::testing::HasSubstr;

MATCHER_P2(Is, code, message, "") {
  *result_listener << "which is " << arg;
  return arg.code() == code && std::string(arg.message()).find(message) != std::string::npos;
}

constexpr auto kDamaged = absl::StatusCode::kDataLoss;
constexpr auto kTooMuch = absl::StatusCode::kResourceExhausted;

class HostileBaseTest : public OciTest {
 protected:
  // A tar file in which the first entry's size is said to be something else.
  static std::string WithSize(std::string tar, const char* octal) {
    // Of the first header that is none of pax.
    size_t at = 0;
    while (tar[at + 156] == 'x')
      at += 512 + (std::stoul(tar.substr(at + 124, 11), nullptr, 8) + 511) / 512 * 512;
    tar.replace(at + 124, 12, std::string(octal) + std::string(1, '\0'));
    tar.replace(at + 148, 8, "        ");
    unsigned sum = 0;
    for (size_t i = 0; i < 512; ++i) sum += static_cast<unsigned char>(tar[at + i]);
    char text[9];
    std::snprintf(text, sizeof(text), "%06o", sum);
    tar.replace(at + 148, 8, std::string(text) + std::string("\0 ", 2));
    return tar;
  }
};

TEST_F(HostileBaseTest, NamesThatLeadOut) {
  EXPECT_THAT(Refused({File("/etc/passwd")}),
              Is(kDamaged, "entry \"/etc/passwd\": its name is absolute"));
  EXPECT_THAT(Refused({File("a/../../b")}), Is(kDamaged, "its name has \"..\" in it"));
  EXPECT_THAT(Refused({File("..")}), Is(kDamaged, "its name has \"..\" in it"));
  EXPECT_THAT(Refused({File(std::string(300, 'n') + "/f")}),
              Is(kDamaged, "a component of 300 bytes"));
  std::string deep;
  for (int i = 0; i < 2100; ++i) deep += "d/";
  EXPECT_THAT(Refused({File(deep + "f")}), Is(kDamaged, "its name has 4201 bytes, more than 4095"));
}

TEST_F(HostileBaseTest, ErrorsNameImageLayerEntryAndRemedy) {
  AddImage("t", {MakeLayer({File("ok")}), MakeLayer({File("../x")})});
  const absl::Status status = Base("t").status();
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(layout_ + ":t: layer 2 (sha256:"), HasSubstr("entry \"../x\""),
                    HasSubstr("; get the image again, or build it anew without this")));
}

TEST_F(HostileBaseTest, SymbolicLinksAreNeverFollowed) {
  const std::string outside = scratch_ / "outside";
  std::filesystem::create_directory(outside);
  for (const std::string& target :
       {outside, std::string("../../../../../../outside"), std::string(".")}) {
    EXPECT_THAT(Refused({Symlink("l", target), File("l/f")}),
                Is(kDamaged, "a directory of its name is a symbolic link in this layer"));
    EXPECT_THAT(Refused({Symlink("l", target), File("l/a/b/f")}),
                Is(kDamaged, "is a symbolic link"));
    EXPECT_THAT(Refused({Symlink("l", target), Dir("l/d")}), Is(kDamaged, "is a symbolic link"));
    EXPECT_THAT(Refused({Symlink("l", target), File("l/.wh.x", "")}),
                Is(kDamaged, "is a symbolic link"));
    EXPECT_THAT(Refused({Symlink("l", target), File("l/.wh..wh..opq", "")}),
                Is(kDamaged, "is a symbolic link"));
    EXPECT_THAT(Refused({Symlink("l", target), File("l")}), Is(kDamaged, "it is there twice"));
    EXPECT_THAT(Refused({Symlink("l", target), Dir("l")}), Is(kDamaged, "it is there twice"));
    EXPECT_THAT(Refused({Symlink("l", target), HardLink("h", "l/f")}),
                Is(kDamaged, "it is a hard link to \"l/f\", which this layer does not have"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(outside));
}

TEST_F(HostileBaseTest, HardLinksToOutside) {
  EXPECT_THAT(Refused({HardLink("h", "/etc/passwd")}),
              Is(kDamaged, "the name that it is a hard link to is absolute"));
  EXPECT_THAT(Refused({HardLink("h", "../../x")}), Is(kDamaged, "a hard link to has \"..\" in it"));
  EXPECT_THAT(Refused({HardLink("h", "missing")}), Is(kDamaged, "hard link to \"missing\", which"));
  EXPECT_THAT(Refused({Dir("d"), HardLink("h", "d")}),
              Is(kDamaged, "hard link to \"d\", a directory"));
  EXPECT_THAT(Refused({File(".wh.x", ""), HardLink("h", "x")}),
              Is(kDamaged, "hard link to \"x\", which"));
  EXPECT_THAT(Refused({HardLink("h", ".")}), Is(kDamaged, "hard link to \"\", which"));
}

TEST_F(HostileBaseTest, HardLinkToASymbolicLinkIsThatLink) {
  WriteHostFile(scratch_ / "target", "t");
  const std::string tree = Unpack({Symlink("l", scratch_ / "target"), HardLink("h", "l")});
  EXPECT_TRUE(S_ISLNK(Lstat(tree + "/h").st_mode));
  EXPECT_EQ(Lstat(scratch_ / "target").st_nlink, 1u);
}

TEST_F(HostileBaseTest, NamesThatAreThereTwice) {
  EXPECT_THAT(Refused({File("a"), File("a")}), Is(kDamaged, "entry \"a\": it is there twice"));
  EXPECT_THAT(Refused({File("a"), Dir("a")}), Is(kDamaged, "it is there twice"));
  EXPECT_THAT(Refused({Dir("a"), Symlink("a", "b")}), Is(kDamaged, "it is there twice"));
  EXPECT_THAT(Refused({File("a"), File("b"), HardLink("b", "a")}),
              Is(kDamaged, "it is there twice"));
  EXPECT_THAT(Refused({File("a"), File("a/b")}), Is(kDamaged, "is no directory in this layer"));
}

TEST_F(HostileBaseTest, RootsThatAreNoDirectory) {
  EXPECT_THAT(Refused({File(".")}), Is(kDamaged, "it is the root, but not a directory"));
  EXPECT_THAT(Refused({Symlink("./", "/")}), Is(kDamaged, "it is the root, but not a directory"));
}

TEST_F(HostileBaseTest, InstructionsToTheOverlay) {
  EXPECT_THAT(Refused({Device("d", S_IFCHR, 0)}), Is(kDamaged, "the character device 0:0"));
  EXPECT_THAT(Refused({File(".wh.", "")}),
              Is(kDamaged, "it is a whiteout of \"\", which is no name"));
  EXPECT_THAT(Refused({File(".wh...", "")}),
              Is(kDamaged, "it is a whiteout of \"..\", which is no name"));
  EXPECT_THAT(Refused({File("a/.wh.b/c")}),
              Is(kDamaged, "a directory whose name begins with \".wh.\""));
  Entry dir = Dir("d");
  dir.xattrs = {
      {"trusted.overlay.redirect", "/etc"}, {"user.overlay.opaque", "y"}, {"user.ok", "1"}};
  AddImage("t", {MakeLayer({dir})});
  const auto base = Base("t");
  ASSERT_TRUE(base.ok()) << base.status();
  const std::string path = base->layers[0].directory + "/d";
  EXPECT_EQ(Xattr(path, "trusted.overlay.redirect"), "(none)");
  EXPECT_FALSE(IsOpaque(path));
  EXPECT_EQ(Xattr(path, "user.ok"), "1");
  EXPECT_EQ(base->warnings.size(), 2u);
}

TEST_F(HostileBaseTest, DigestsThatAreWrong) {
  TestLayer blob = MakeLayer({File("a")});
  blob.digest = DigestOf("other").ToString();
  EXPECT_THAT(Refused(blob), Is(kDamaged, "the blob is damaged: its content has digest sha256:"));
  TestLayer content = MakeLayer({File("a")});
  content.diff_id = DigestOf("other").ToString();
  EXPECT_THAT(Refused(content), Is(kDamaged, "but the config says " + content.diff_id));
  // Of a layer that is in the cache already, too.
  AddImage("good", {MakeLayer({File("a")})});
  ASSERT_TRUE(Base("good").ok());
  AddImage("bad", {content});
  EXPECT_THAT(Base("bad").status(), Is(kDamaged, "but the config says " + content.diff_id));
}

TEST_F(HostileBaseTest, DamageOfTheBlobIsSaidBeforeItsConsequences) {
  TestLayer layer = MakeLayer({File("a", std::string(100'000, 'z'))}, Compression::kNone);
  std::fill(layer.blob.begin() + 700, layer.blob.begin() + 1300, '?');
  EXPECT_THAT(Refused(layer), Is(kDamaged, "the blob is damaged"));
}

TEST_F(HostileBaseTest, BlobsThatAreMissingOrOfAnotherSize) {
  const TestLayer layer = MakeLayer({File("a")});
  AddImage("t", {layer});
  const std::string path = layout_ + "/blobs/sha256/" + layer.digest.substr(7);
  std::filesystem::resize_file(path, 10);
  EXPECT_THAT(Base("t").status(), Is(kDamaged, "has 10 bytes, "));
  std::filesystem::remove(path);
  EXPECT_THAT(Base("t").status(), Is(kDamaged, layer.digest + " is missing"));
  EXPECT_EQ(Left(), "");
}

TEST_F(HostileBaseTest, ArchivesThatEndTooEarly) {
  const std::string tar = Tar({File("a"), File("b", std::string(100'000, 'b'))});
  for (const auto compression : {Compression::kNone, Compression::kGzip, Compression::kZstd})
    EXPECT_THAT(Refused(MakeLayer(std::string_view(tar).substr(0, 50'000), compression)),
                Is(kDamaged, "its tar file is damaged: Truncated"));
  for (const auto compression : {Compression::kGzip, Compression::kZstd}) {
    TestLayer cut = MakeLayer(tar, compression);
    cut.blob.resize(cut.blob.size() / 2);
    cut.digest = DigestOf(cut.blob).ToString();
    EXPECT_THAT(Refused(cut), Is(kDamaged, "cannot decompress"));
  }
}

TEST_F(HostileBaseTest, ContentThatIsNotWhatItsTypeSays) {
  TestLayer plain = MakeLayer({File("a")}, Compression::kNone);
  plain.media_type = LayerMediaType(Compression::kGzip);
  EXPECT_THAT(Refused(plain),
              Is(kDamaged, "its type says that it is compressed with gzip, but it is not"));
  TestLayer packed = MakeLayer({File("a")});
  packed.media_type = LayerMediaType(Compression::kNone);
  packed.diff_id = packed.digest;
  EXPECT_THAT(Refused(packed), Is(kDamaged, "tar file"));
  EXPECT_THAT(Refused(MakeLayer(std::string_view("this is no tar file at all"))),
              Is(kDamaged, "tar file"));
}

TEST_F(HostileBaseTest, TypesThatNobodyKnows) {
  TestLayer layer = MakeLayer({File("a")});
  layer.media_type = "application/vnd.oci.image.layer.v1.tar+xz";
  EXPECT_THAT(Refused(layer),
              Is(absl::StatusCode::kUnimplemented, "tar+xz\"; base images have layers"));
  const Json config = AddBlob("{}", "application/x-other");
  const Json manifest = {{"schemaVersion", 2}, {"config", config}, {"layers", Json::array()}};
  Tag("t", AddBlob(manifest.dump(), image::kMediaTypeManifest));
  EXPECT_THAT(Base("t").status(), Is(absl::StatusCode::kUnimplemented,
                                     "the config is of type \"application/x-other\""));
  Tag("t", AddBlob(manifest.dump(), "application/x-thing"));
  EXPECT_THAT(Base("t").status(),
              Is(absl::StatusCode::kUnimplemented, "is of type \"application/x-thing\""));
}

TEST_F(HostileBaseTest, DocumentsThatDoNotFit) {
  const TestLayer layer = MakeLayer({File("a")});
  Tag("t", AddManifest({layer}, Config({layer, layer})));
  EXPECT_THAT(Base("t").status(),
              Is(kDamaged, "the manifest has 1 layers, but the config has 2 diff_ids"));
  Json config = Config({layer});
  config["config"] = {{"Env", {1}}};
  Tag("t", AddManifest({layer}, config));
  EXPECT_THAT(Base("t").status(), Is(kDamaged, "\"Env\" has an item that is not a string"));
  config = Config({layer});
  config["rootfs"]["diff_ids"][0] = "sha256:12";
  Tag("t", AddManifest({layer}, config));
  EXPECT_THAT(Base("t").status(), Is(kDamaged, "diff_ids"));
  Json index = {{"schemaVersion", 2}, {"manifests", Json::array()}};
  Json descriptor;
  for (int i = 0; i < 12; ++i) {
    descriptor = AddBlob(index.dump(), image::kMediaTypeIndex);
    index["manifests"] = Json::array({descriptor});
  }
  Tag("t", descriptor);
  EXPECT_THAT(Base("t").status(), Is(kDamaged, "is nested deeper than 8"));
}

TEST_F(HostileBaseTest, Bombs) {
  BaseOptions options;
  options.limits.max_bytes = 1 << 20;
  EXPECT_THAT(
      Refused({File("a", std::string(2 << 20, '\0'))}, options),
      Is(kTooMuch,
         "it has more than 1048576 uncompressed bytes, the limit; if they are wanted, raise it"));
  // After the end of the archive, too.
  EXPECT_THAT(Refused(MakeLayer(Tar({File("a")}) + std::string(2 << 20, '\0')), options),
              Is(kTooMuch, "1048576 uncompressed bytes"));
  options = {};
  options.limits.max_entries = 2;
  EXPECT_THAT(Refused({File("a"), File("b"), File("c")}, options),
              Is(kTooMuch, "entry \"c\": it has more than 2 entries, the limit"));
  // Of the whole image, not of each layer.
  AddImage("t", {MakeLayer({File("a"), File("b")}), MakeLayer({File("c")})});
  EXPECT_THAT(Base("t", options).status(), Is(kTooMuch, "entries, the limit"));
}

TEST_F(HostileBaseTest, BombsOfHoles) {
  Entry sparse = File("s", "");
  sparse.sparse_size = int64_t{1} << 50;
  EXPECT_THAT(Refused({sparse}),
              Is(kTooMuch, "it is a file of 1125899906842624 bytes, more than the limit"));
  BaseOptions options;
  options.limits.max_apparent_bytes = 1000;
  EXPECT_THAT(
      Refused({File("a", std::string(600, 'a')), File("b", std::string(600, 'b'))}, options),
      Is(kTooMuch, "entry \"b\": files with their holes have more than 1000 bytes"));
}

TEST_F(HostileBaseTest, SizesThatAreNotThere) {
  const std::string tar = Tar({File("a", "1234")});
  EXPECT_THAT(Refused(MakeLayer(WithSize(tar, "77777777777"))),
              Is(kDamaged, "tar file is damaged: Truncated"));
}

TEST_F(HostileBaseTest, HeadersOfAnySizeTakeBoundedMemory) {
  // An extended header of half a gigabyte, of which there is a little.
  std::string tar = Tar({File("\xc3\xa4", "1234")});
  ASSERT_EQ(tar[156], 'x');
  tar.replace(124, 12, std::string("04000000000") + std::string(1, '\0'));
  tar.replace(148, 8, "        ");
  unsigned sum = 0;
  for (size_t i = 0; i < 512; ++i) sum += static_cast<unsigned char>(tar[i]);
  char text[9];
  std::snprintf(text, sizeof(text), "%06o", sum);
  tar.replace(148, 8, std::string(text) + std::string("\0 ", 2));
  EXPECT_THAT(Refused(MakeLayer(tar)), Is(kDamaged, "tar file is damaged"));
}

TEST_F(HostileBaseTest, RandomDamageNeverDoesMoreThanFail) {
  std::mt19937_64 engine(stasis::testing::RandomSeed());
  const auto random = [&engine](size_t n) { return engine() % n; };
  Entry file = File("d/\xc3\xa4", "content");
  file.xattrs = {{"user.a", "b"}};
  Entry sparse = File("s", "tail");
  sparse.sparse_size = 100'004;
  sparse.sparse_offset = 100'000;
  const std::string good = Tar({Dir("d"), file, Symlink("l", "/"), HardLink("h", "l"), sparse,
                                File("d/.wh.x", ""), File(std::string(200, 'n'))});
  for (int i = 0; i < 100; ++i) {
    std::string tar = good;
    for (size_t n = 1 + random(4); n > 0; --n)
      tar[random(tar.size())] = static_cast<char>(random(256));
    AddImage("t", {MakeLayer(tar, Compression::kNone)});
    const auto base = Base("t");
    const bool internal = absl::IsInternal(base.status());
    EXPECT_FALSE(internal) << base.status();
  }
  EXPECT_TRUE(std::filesystem::is_empty(cache_ + "/tmp"));
}

}  // namespace
}  // namespace stasis::oci
