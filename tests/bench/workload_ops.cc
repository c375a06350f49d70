// SPDX-License-Identifier: Apache-2.0
//
// workload_ops: how many file operations a second a directory's filesystem does.
//
//   workload_ops OPERATION DIRECTORY SECONDS
//
// Prints operations per second, one line `NAME VALUE` for each thing that OPERATION measures. Uses
// nothing but system calls, and believes no result that it has not checked. Built by `workloads`.

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr int kBatch = 1000;
constexpr int kClients = 16;
constexpr size_t kClientBytes = 4096;
constexpr int kClientOperations = 5;  // create, write, read, rename, unlink

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void Require(bool condition, const std::string& what) {
  if (condition) return;
  perror(("workload_ops: " + what).c_str());
  exit(1);
}

void Print(const char* name, double per_second) { printf("%s %.3f\n", name, per_second); }

void CreateFile(const std::string& path) {
  const int fd = open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
  Require(fd >= 0, path);
  Require(close(fd) == 0, path);
}

// Calls `operation` for about `seconds` and returns calls per second.
template <typename Operation>
double Rate(double seconds, const Operation& operation) {
  operation();
  uint64_t calls = 0;
  const auto start = Clock::now();
  double elapsed = 0;
  do {
    for (int i = 0; i < kBatch; ++i) operation();
    calls += kBatch;
    elapsed = SecondsSince(start);
  } while (elapsed < seconds);
  return static_cast<double>(calls) / elapsed;
}

// A directory is filled, then emptied, and so on; each phase has a rate of its own.
void CreateAndUnlink(const std::string& directory, double seconds) {
  std::vector<std::string> paths;
  for (int i = 0; i < kBatch; ++i) paths.push_back(directory + "/f" + std::to_string(i));
  double creating = 0, unlinking = 0;
  uint64_t files = 0;
  do {
    auto start = Clock::now();
    for (const std::string& path : paths) CreateFile(path);
    creating += SecondsSince(start);
    start = Clock::now();
    for (const std::string& path : paths) Require(unlink(path.c_str()) == 0, path);
    unlinking += SecondsSince(start);
    files += paths.size();
  } while (creating + unlinking < seconds);
  Print("create", static_cast<double>(files) / creating);
  Print("unlink", static_cast<double>(files) / unlinking);
}

void OpenAndClose(const std::string& directory, double seconds) {
  const std::string path = directory + "/file";
  CreateFile(path);
  Print("open_close", Rate(seconds, [&] {
          const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
          Require(fd >= 0 && close(fd) == 0, path);
        }));
}

void MkdirAndRmdir(const std::string& directory, double seconds) {
  const std::string path = directory + "/directory";
  Print("mkdir_rmdir", Rate(seconds, [&] {
          Require(mkdir(path.c_str(), 0755) == 0 && rmdir(path.c_str()) == 0, path);
        }));
}

void Rename(const std::string& directory, double seconds) {
  std::string from = directory + "/a", to = directory + "/b";
  CreateFile(from);
  Print("rename", Rate(seconds, [&] {
          Require(rename(from.c_str(), to.c_str()) == 0, from);
          from.swap(to);
        }));
}

// AT_STATX_FORCE_SYNC: a FUSE mount asks its server, however long the attributes are valid.
void StatUncached(const std::string& path) {
  struct statx st;
  Require(statx(AT_FDCWD, path.c_str(), AT_STATX_FORCE_SYNC, STATX_BASIC_STATS & ~STATX_ATIME,
                &st) == 0,
          path);
}

void StatFile(const std::string& directory, double seconds) {
  const std::string path = directory + "/file";
  CreateFile(path);
  Print("stat", Rate(seconds, [&] { StatUncached(path); }));
}

// Requests that the kernel never answers itself, and for which a server has nothing to do.
void NullRequests(const std::string& directory, double seconds) {
  Print("getattr", Rate(seconds, [&] { StatUncached(directory); }));
  struct statfs st;
  Print("statfs", Rate(seconds, [&] { Require(statfs(directory.c_str(), &st) == 0, directory); }));
}

void RunFileThroughItsLife(const std::string& a, const std::string& b, std::string& data) {
  std::string read_back(data.size(), '\0');
  const int fd = open(a.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);
  Require(fd >= 0, a);
  Require(pwrite(fd, data.data(), data.size(), 0) == static_cast<ssize_t>(data.size()), a);
  Require(pread(fd, read_back.data(), data.size(), 0) == static_cast<ssize_t>(data.size()), a);
  Require(read_back == data, a + ": other data than was written");
  Require(close(fd) == 0, a);
  Require(rename(a.c_str(), b.c_str()) == 0, a);
  Require(unlink(b.c_str()) == 0, b);
}

// Waits for `start` to be closed; writes how many files it took through their life to `result`.
[[noreturn]] void RunClient(const std::string& directory, double seconds, int start, int result) {
  Require(mkdir(directory.c_str(), 0755) == 0, directory);
  const std::string a = directory + "/a", b = directory + "/b";
  std::string data(kClientBytes, 'x');
  char c;
  Require(read(start, &c, 1) == 0, "waiting for the start");
  uint64_t files = 0;
  for (const auto begin = Clock::now(); SecondsSince(begin) < seconds; ++files) {
    memcpy(data.data(), &files, sizeof(files));
    RunFileThroughItsLife(a, b, data);
  }
  Require(write(result, &files, sizeof(files)) == sizeof(files), "result");
  _exit(0);
}

void Clients(const std::string& directory, double seconds) {
  int start[2], result[2];
  Require(pipe(start) == 0 && pipe(result) == 0, "pipe");
  std::vector<pid_t> clients;
  for (int i = 0; i < kClients; ++i) {
    const pid_t pid = fork();
    Require(pid >= 0, "fork");
    if (pid == 0) {
      close(start[1]);
      close(result[0]);
      RunClient(directory + "/client" + std::to_string(i), seconds, start[0], result[1]);
    }
    clients.push_back(pid);
  }
  close(result[1]);
  const auto begin = Clock::now();
  close(start[1]);
  uint64_t files = 0, of_one = 0;
  int reports = 0;
  for (; read(result[0], &of_one, sizeof(of_one)) == sizeof(of_one); ++reports) files += of_one;
  const double elapsed = SecondsSince(begin);
  for (const pid_t pid : clients) {
    int status = 0;
    Require(waitpid(pid, &status, 0) == pid, "waitpid");
    if (status != 0) exit(1);
  }
  Require(reports == kClients, "a client gave no result");
  Print("clients", static_cast<double>(files * kClientOperations) / elapsed);
}

struct Operation {
  const char* name;
  void (*run)(const std::string& directory, double seconds);
};

constexpr Operation kOperations[] = {
    {"create_unlink", CreateAndUnlink},
    {"open_close", OpenAndClose},
    {"mkdir_rmdir", MkdirAndRmdir},
    {"rename", Rename},
    {"stat", StatFile},
    {"null", NullRequests},
    {"clients", Clients},
};

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc == 4 ? strtod(argv[3], nullptr) : 0;
  if (seconds > 0) {
    for (const Operation& operation : kOperations) {
      if (strcmp(operation.name, argv[1]) != 0) continue;
      operation.run(argv[2], seconds);
      return 0;
    }
  }
  fprintf(stderr, "usage: workload_ops OPERATION DIRECTORY SECONDS\n");
  return 2;
}
