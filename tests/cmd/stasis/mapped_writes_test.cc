// SPDX-License-Identifier: Apache-2.0
//
// Data that programs wrote to memory only: it is in the kernel until a checkpoint asks for it.

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

// Makes every page of a shared mapping dirty, says so, and keeps the mapping.
constexpr const char kProgram[] = R"py(
import mmap, os, sys, time
size = 128 << 20
os.mkdir('/d')
file = os.open('/d/data', os.O_RDWR | os.O_CREAT)
os.ftruncate(file, size)
memory = mmap.mmap(file, size)
for round in (b'old', b'new'):
    for page in range(size // 4096):
        at = page * 4096
        memory[at:at + 16] = b'%s%013d' % (round, page)
os.close(os.open('/ready', os.O_CREAT))
time.sleep(1000)
)py";

constexpr const char kCheck[] = R"py(
size = 128 << 20
with open('out/data', 'rb') as file:
    data = file.read()
assert len(data) == size, len(data)
lost = [page for page in range(size // 4096)
        if data[page * 4096:page * 4096 + 16] != b'new%013d' % page]
print(len(lost))
)py";

class MappedWritesTest : public CliTest {};

TEST_F(MappedWritesTest, ACheckpointHasAllOfThem) {
  for (const char* freezer : {"auto", "signal"}) {
    const std::string box = std::string("box-") + freezer;
    const std::string tag = std::string("snaps:") + freezer;
    StartBox(box, {"--freezer", freezer}, {"python3", "-c", kProgram});
    ASSERT_TRUE(Eventually([&] { return In(box, "test -e /ready").exit_code == 0; }));
    ASSERT_THAT(Stasis({"checkpoint", box, tag}), Succeeded());
    ASSERT_THAT(Stasis({"export", tag, "--path", "/d", "out"}), Succeeded());
    EXPECT_EQ(Host({"python3", "-c", kCheck}).out, "0\n") << freezer;
    ASSERT_THAT(Shell("rm -r out"), Succeeded());
    ASSERT_THAT(Stasis({"stop", box}), Succeeded());
  }
}

}  // namespace
}  // namespace stasis::cli
