// SPDX-License-Identifier: Apache-2.0

#include "cmd/control/server.h"

#include <absl/strings/str_cat.h>
#include <absl/synchronization/mutex.h>
#include <capnp/rpc-twoparty.h>
#include <kj/async-io.h>
#include <kj/io.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <functional>
#include <list>
#include <optional>
#include <thread>

#include "cmd/control/convert.h"
#include "state/base/unique_fd.h"

namespace stasis::control {
namespace {

constexpr auto kProgressInterval = 100 * kj::MILLISECONDS;
constexpr auto kEventInterval = 20 * kj::MILLISECONDS;
constexpr size_t kEventsAtOnce = 1000;
constexpr auto kAcceptPause = 100 * kj::MILLISECONDS;
constexpr int kBacklog = 16;

absl::StatusOr<UniqueFd> Listen(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return absl::InvalidArgumentError(absl::StrCat("the path ", path, " is too long for a socket"));
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, "cannot make a socket");
  unlink(path.c_str());
  const mode_t mask = umask(0177);
  const int bound = bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  const int error = errno;
  umask(mask);
  if (bound != 0 || listen(fd.get(), kBacklog) != 0)
    return absl::ErrnoToStatus(bound != 0 ? error : errno, absl::StrCat("cannot listen at ", path));
  return fd;
}

// Where a server listens until it is published.
std::string NewPath(const std::string& path) { return path + ".new"; }

// What a thread at work and the event loop share.
struct Job {
  std::atomic<bool> cancel{false};
  absl::Mutex mu;
  Progress progress ABSL_GUARDED_BY(mu);
  // Set when the thread is done.
  absl::StatusOr<Report> result ABSL_GUARDED_BY(mu) = absl::UnknownError("not done");

  absl::StatusOr<Report> TakeResult() ABSL_LOCKS_EXCLUDED(mu) {
    const absl::MutexLock lock(&mu);
    return std::move(result);
  }
};

using Work = std::function<absl::StatusOr<Report>(Job&)>;

absl::StatusOr<Report> RunJob(const Work& work, Job& job) {
  try {
    return work(job);
  } catch (const std::exception& exception) {
    return absl::InternalError(absl::StrCat("the daemon failed: ", exception.what()));
  }
}

// Threads that end on their own. Belongs to the event loop's thread.
class Threads {
 public:
  ~Threads() {
    for (Entry& entry : entries_) {
      entry.job->cancel = true;
      entry.thread.join();
    }
  }

  void Run(std::shared_ptr<Job> job, std::function<void()> work) {
    Reap();
    auto done = std::make_shared<std::atomic<bool>>(false);
    std::thread thread([work = std::move(work), done] {
      work();
      *done = true;
    });
    entries_.push_back({std::move(thread), std::move(job), std::move(done)});
  }

 private:
  struct Entry {
    std::thread thread;
    std::shared_ptr<Job> job;
    std::shared_ptr<std::atomic<bool>> done;
  };

  void Reap() {
    entries_.remove_if([](Entry& entry) {
      if (!*entry.done) return false;
      entry.thread.join();
      return true;
    });
  }

  std::list<Entry> entries_;
};

class ControlImpl final : public rpc::Control::Server {
 public:
  ControlImpl(Handler& handler, Threads& threads, kj::Timer& timer)
      : handler_(handler), threads_(threads), timer_(timer) {}

  kj::Promise<void> getInfo(GetInfoContext context) override {
    absl::StatusOr<Info> info = handler_.GetInfo();
    WriteStatus(info.status(), context.getResults().initStatus());
    if (info.ok()) WriteInfo(*info, context.getResults().initInfo());
    return kj::READY_NOW;
  }

  kj::Promise<void> checkpoint(CheckpointContext context) override {
    control::CheckpointParams params = ReadCheckpointParams(context.getParams().getParams());
    return AnswerInTime(context, [&handler = handler_, params = std::move(params)](
                                     const ProgressCallback& progress, Cancel cancel) {
      return handler.Checkpoint(params, progress, cancel);
    });
  }

  kj::Promise<void> diff(DiffContext context) override {
    return AnswerInTime(context,
                        [&handler = handler_](const ProgressCallback& progress, Cancel cancel) {
                          return handler.Diff(progress, cancel);
                        });
  }

  kj::Promise<void> commit(CommitContext context) override {
    const auto reader = context.getParams().getParams();
    control::CommitParams params{ToString(reader.getDirectory()), ToString(reader.getTag()),
                                 ToString(reader.getCompression()), ToString(reader.getAuthor()),
                                 ToString(reader.getMessage())};
    return AnswerInTime(context, [&handler = handler_, params = std::move(params)](
                                     const ProgressCallback& progress, Cancel cancel) {
      return handler.Commit(params, progress, cancel);
    });
  }

  kj::Promise<void> rollback(RollbackContext context) override {
    control::RollbackParams params = ReadRollbackParams(context.getParams().getParams());
    return AnswerInTime(context, [&handler = handler_, params = std::move(params)](
                                     const ProgressCallback& progress, Cancel cancel) {
      return handler.Rollback(params, progress, cancel);
    });
  }

  kj::Promise<void> addMount(AddMountContext context) override {
    const auto reader = context.getParams().getParams();
    control::MountParams params{ToString(reader.getMount()), ToString(reader.getDirectory())};
    return Answer(context, std::make_shared<Job>(),
                  [&handler = handler_, params = std::move(params)](Job&) {
                    return handler.AddMount(params);
                  });
  }

  kj::Promise<void> removeMount(RemoveMountContext context) override {
    const auto params = context.getParams();
    return Answer(
        context, std::make_shared<Job>(),
        [&handler = handler_, target = ToString(params.getTarget()),
         detach = params.getDetach()](Job&) { return handler.RemoveMount(target, detach); });
  }

  kj::Promise<void> getConfig(GetConfigContext context) override {
    return Answer(context, std::make_shared<Job>(),
                  [&handler = handler_](Job&) { return handler.GetConfig(); });
  }

  kj::Promise<void> openFiles(OpenFilesContext context) override {
    return Answer(context, std::make_shared<Job>(),
                  [&handler = handler_](Job&) { return handler.OpenFiles(); });
  }

  kj::Promise<void> events(EventsContext context) override {
    context.allowCancellation();
    absl::StatusOr<std::unique_ptr<EventSource>> source =
        handler_.Events(context.getParams().getReads());
    WriteStatus(source.status(), context.getResults().initStatus());
    if (!source.ok()) return kj::READY_NOW;
    return SendEvents(std::shared_ptr<EventSource>(*std::move(source)),
                      context.getParams().getListener());
  }

  kj::Promise<void> fork(ForkContext context) override {
    return Answer(context, std::make_shared<Job>(),
                  [&handler = handler_](Job& job) { return handler.Fork(&job.cancel); });
  }

  kj::Promise<void> upgrade(UpgradeContext context) override {
    const auto reader = context.getParams().getParams();
    control::UpgradeParams params{ToString(reader.getBinary()),
                                  absl::Milliseconds(reader.getTimeoutMs())};
    return Answer(context, std::make_shared<Job>(),
                  [&handler = handler_, params = std::move(params)](Job& job) {
                    return handler.Upgrade(params, &job.cancel);
                  });
  }

  kj::Promise<void> stop(StopContext context) override {
    const absl::Duration grace =
        absl::Milliseconds(static_cast<int64_t>(context.getParams().getGraceMs()));
    WriteStatus(handler_.Stop(grace), context.getResults().initStatus());
    return kj::READY_NOW;
  }

 private:
  using Cancel = const std::atomic<bool>*;

  // The same for work that takes long: its caller hears how far it is and can give it up.
  template <typename Context, typename TimedWork>
  kj::Promise<void> AnswerInTime(Context context, TimedWork work) {
    context.allowCancellation();
    auto job = std::make_shared<Job>();
    rpc::ProgressListener::Client listener = context.getParams().getListener();
    kj::Promise<void> reporting = ReportOf(job, kj::mv(listener)).eagerlyEvaluate(nullptr);
    const auto timed = [work = std::move(work)](Job& at) {
      const auto on_progress = [&at](const Progress& progress) {
        const absl::MutexLock lock(&at.mu);
        at.progress = progress;
      };
      return work(on_progress, &at.cancel);
    };
    return Answer(context, job, timed).attach(kj::mv(reporting), kj::defer([job] {
                                                job->cancel = true;
                                              }));
  }

  // Has a thread do `work`, and answers with what comes of it. The thread may outlive this object,
  // which goes with its last connection.
  template <typename Context>
  kj::Promise<void> Answer(Context context, std::shared_ptr<Job> job, Work work) {
    return Run(job, std::move(work)).then([context, job]() mutable {
      const absl::StatusOr<Report> result = job->TakeResult();
      WriteStatus(result.status(), context.getResults().initStatus());
      if (!result.ok()) return;
      auto report = context.getResults().initReport();
      report.setJson(result->json);
      report.setText(result->text);
    });
  }

  // Ready when the job has its result.
  kj::Promise<void> Run(const std::shared_ptr<Job>& job, Work work) {
    auto paf = kj::newPromiseAndCrossThreadFulfiller<void>();
    // std::function wants a copyable body.
    auto fulfiller =
        std::make_shared<kj::Own<kj::CrossThreadPromiseFulfiller<void>>>(kj::mv(paf.fulfiller));
    threads_.Run(job, [job, fulfiller, work = std::move(work)] {
      absl::StatusOr<Report> result = RunJob(work, *job);
      {
        const absl::MutexLock lock(&job->mu);
        job->result = std::move(result);
      }
      (*fulfiller)->fulfill();
    });
    return kj::mv(paf.promise);
  }

  // Tells the listener how far the job is, again and again.
  kj::Promise<void> ReportOf(std::shared_ptr<Job> job, rpc::ProgressListener::Client listener) {
    return timer_.afterDelay(kProgressInterval)
        .then([this, job, listener = kj::mv(listener)]() mutable -> kj::Promise<void> {
          auto request = listener.updateRequest();
          {
            const absl::MutexLock lock(&job->mu);
            request.setPhase(job->progress.phase);
            request.setDone(job->progress.done);
            request.setTotal(job->progress.total);
            request.setBytes(job->progress.bytes);
          }
          return request.send().then(
              [this, job, listener = kj::mv(listener)](auto&& response) mutable {
                if (response.getCancel()) job->cancel = true;
                return ReportOf(job, kj::mv(listener));
              });
        });
  }

  // Asks the source again and again, and hands on what there is.
  kj::Promise<void> SendEvents(std::shared_ptr<EventSource> source,
                               rpc::EventListener::Client listener) {
    const Events taken = source->Take(kEventsAtOnce);
    auto request = listener.eventsRequest();
    request.setLost(taken.lost);
    WriteEvents(taken, request.initEvents(static_cast<unsigned int>(taken.events.size())));
    const bool more = taken.events.size() == kEventsAtOnce;
    return request.send().then([this, source, listener = kj::mv(listener),
                                more](auto&& response) mutable -> kj::Promise<void> {
      if (response.getStop()) return kj::READY_NOW;
      if (more) return SendEvents(source, kj::mv(listener));
      return timer_.afterDelay(kEventInterval)
          .then([this, source, listener = kj::mv(listener)]() mutable {
            return SendEvents(source, kj::mv(listener));
          });
    });
  }

  Handler& handler_;
  Threads& threads_;
  kj::Timer& timer_;
};

}  // namespace

// 0 if there is none.
static ino_t InodeOf(const std::string& path) {
  struct stat stat {};
  return lstat(path.c_str(), &stat) == 0 ? stat.st_ino : 0;
}

class Server::Loop {
 public:
  Loop(std::string path, UniqueFd socket, Handler& handler, bool published)
      : path_(std::move(path)),
        published_(published),
        inode_(InodeOf(published ? path_ : NewPath(path_))),
        socket_(std::move(socket)),
        handler_(handler) {
    thread_ = std::thread([this] { Run(); });
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(&started_));
  }

  ~Loop() {
    {
      const absl::MutexLock lock(&mu_);
      if (stop_.get() != nullptr) stop_->fulfill();
    }
    thread_.join();
    // Another process may have put its own there.
    const std::string path = published_ ? path_ : NewPath(path_);
    if (InodeOf(path) == inode_) unlink(path.c_str());
  }

  absl::Status Publish() {
    if (rename(NewPath(path_).c_str(), path_.c_str()) != 0)
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot listen at ", path_));
    published_ = true;
    return absl::OkStatus();
  }

 private:
  void Run() {
    try {
      Serve();
    } catch (const kj::Exception& exception) {
      // The socket is gone; the sandbox goes on without.
      handler_.OnError(StatusOf(exception));
    }
    const absl::MutexLock lock(&mu_);
    started_ = true;
    stop_ = kj::Own<kj::CrossThreadPromiseFulfiller<void>>();
  }

  void Serve() {
    kj::AsyncIoContext io = kj::setupAsyncIo();
    auto listener = io.lowLevelProvider->wrapListenSocketFd(
        kj::AutoCloseFd(socket_.release()), kj::LowLevelAsyncIoProvider::ALREADY_NONBLOCK);
    auto paf = kj::newPromiseAndCrossThreadFulfiller<void>();
    {
      const absl::MutexLock lock(&mu_);
      stop_ = kj::mv(paf.fulfiller);
      started_ = true;
    }
    Threads threads;  // after io: joined before the loop goes
    capnp::TwoPartyServer server(kj::heap<ControlImpl>(handler_, threads, io.provider->getTimer()));
    kj::Promise<void> accepting =
        Accept(*listener, server, io.provider->getTimer()).eagerlyEvaluate(nullptr);
    paf.promise.wait(io.waitScope);
  }

  kj::Promise<void> Accept(kj::ConnectionReceiver& listener, capnp::TwoPartyServer& server,
                           kj::Timer& timer) {
    // It fails at once or later.
    return kj::evalNow([&listener] { return listener.accept(); })
        .then(
            [&server](kj::Own<kj::AsyncIoStream> stream) -> kj::Promise<void> {
              if (IsTrusted(*stream)) server.accept(kj::mv(stream));
              return kj::READY_NOW;
            },
            [this, &timer](kj::Exception&& exception) -> kj::Promise<void> {
              // Such as no descriptor being left; that may pass.
              handler_.OnError(StatusOf(exception));
              return timer.afterDelay(kAcceptPause);
            })
        .then([this, &listener, &server, &timer] { return Accept(listener, server, timer); });
  }

  const std::string path_;
  bool published_;
  const ino_t inode_;  // of the socket's file
  UniqueFd socket_;
  Handler& handler_;
  std::thread thread_;

  absl::Mutex mu_;
  bool started_ ABSL_GUARDED_BY(mu_) = false;
  kj::Own<kj::CrossThreadPromiseFulfiller<void>> stop_ ABSL_GUARDED_BY(mu_);
};

Server::Server(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
Server::~Server() = default;

absl::StatusOr<std::unique_ptr<Server>> Server::Prepare(const std::string& path, Handler& handler) {
  absl::StatusOr<UniqueFd> socket = Listen(NewPath(path));
  if (!socket.ok()) return socket.status();
  return std::unique_ptr<Server>(
      new Server(std::make_unique<Loop>(path, std::move(*socket), handler, /*published=*/false)));
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const std::string& path, Handler& handler) {
  absl::StatusOr<UniqueFd> socket = Listen(path);
  if (!socket.ok()) return socket.status();
  return std::unique_ptr<Server>(
      new Server(std::make_unique<Loop>(path, std::move(*socket), handler, /*published=*/true)));
}

absl::Status Server::Publish() { return loop_->Publish(); }

}  // namespace stasis::control
