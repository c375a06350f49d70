// SPDX-License-Identifier: Apache-2.0
//
// Every image is a state that its programs really passed through: writers append numbered records
// to several files, one after the other, rename files over others and fsync; checkpoints are taken
// at random moments; and each image must be what a writer has between two of its system calls.
//
// STASIS_CHECKPOINTS says how many; 8 if it does not.

#include <cstdlib>
#include <random>
#include <thread>

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

// A writer's life: step n appends record n to file n % 5, and every seventh step renames that file.
constexpr char kWriter[] = R"(
import os, sys, zlib
def record(n): return b"%08d %08x\n" % (n, zlib.crc32(b"%d" % n))
if __name__ == "__main__":
    top = sys.argv[1]
    os.makedirs(top)
    n = 0
    while True:
        name = "%s/f%d" % (top, n % 5)
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(fd, record(n))
        os.fsync(fd)
        os.close(fd)
        if n % 7 == 6: os.rename(name, name + ".old")
        n += 1
)";

// Lives it again until it has what the directory has.
constexpr char kJudge[] = R"(
import os, sys
from writer import record
top = sys.argv[1]
found = {name: open(os.path.join(top, name), "rb").read() for name in os.listdir(top)}
numbers = [int(line.split()[0]) for text in found.values() for line in text.splitlines()]
last = max(numbers, default=-1)
state = {}
def seen():
    if state == found:
        print(last)
        sys.exit(0)
seen()
for n in range(last + 2):
    name = "f%d" % (n % 5)
    state.setdefault(name, b"")
    if n >= last: seen()
    state[name] += record(n)
    if n >= last: seen()
    if n % 7 == 6: state[name + ".old"] = state.pop(name)
    if n >= last: seen()
sys.exit("%s is no state of its writer: last record %d, %s" % (top, last, {k: len(v) for k, v in found.items()}))
)";

class ConsistencyTest : public CliTest {};

TEST_F(ConsistencyTest, EveryImageIsAStateOfItsPrograms) {
  const char* wanted = std::getenv("STASIS_CHECKPOINTS");
  const int checkpoints = wanted != nullptr ? std::atoi(wanted) : 8;
  const char* seed = std::getenv("STASIS_SEED");
  std::mt19937 random(seed != nullptr ? std::strtoul(seed, nullptr, 10) : std::random_device()());
  ASSERT_THAT(Shell("mkdir programs"), Succeeded());
  WriteFile("programs/writer.py", kWriter);
  WriteFile("programs/judge.py", kJudge);
  StartBox("box", {"--import", Path("programs") + ":/programs"},
           {"/bin/sh", "-c", "for i in 1 2 3; do python3 /programs/writer.py /w$i & done; wait"});
  ASSERT_TRUE(Eventually([&] { return In("box", "ls /w1/f4 /w2/f4 /w3/f4").exit_code == 0; }));
  for (int i = 0; i < checkpoints; ++i) {
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 100'000));
    const std::string reference = "snaps:v" + std::to_string(i);
    ASSERT_THAT(Stasis({"checkpoint", "box", reference}), Succeeded());
  }
  ASSERT_THAT(Stasis({"stop", "box"}), Succeeded());
  for (int i = 0; i < checkpoints; ++i) {
    const std::string number = std::to_string(i);
    ASSERT_THAT(Stasis({"export", "snaps:v" + number, "tree" + number}), Succeeded());
    for (const char* writer : {"/w1", "/w2", "/w3"})
      EXPECT_THAT(Host({"/usr/bin/env", "python3", "programs/judge.py", "tree" + number + writer}),
                  Succeeded())
          << "checkpoint " << number;
    ASSERT_THAT(Shell("rm -r tree" + number), Succeeded());
  }
}

}  // namespace
}  // namespace stasis::cli
