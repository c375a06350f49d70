// SPDX-License-Identifier: Apache-2.0

#include "cmd/control/client.h"

#include <absl/strings/str_cat.h>
#include <capnp/rpc-twoparty.h>
#include <kj/async-io.h>
#include <unistd.h>

#include <utility>

#include "cmd/control/convert.h"

namespace stasis::control {
namespace {

class Listener final : public rpc::ProgressListener::Server {
 public:
  Listener(const ProgressCallback& callback, const std::atomic<bool>* cancel)
      : callback_(callback), cancel_(cancel) {}

  kj::Promise<void> update(UpdateContext context) override {
    const auto params = context.getParams();
    if (callback_)
      callback_(
          {ToString(params.getPhase()), params.getDone(), params.getTotal(), params.getBytes()});
    context.getResults().setCancel(cancel_ != nullptr && *cancel_);
    return kj::READY_NOW;
  }

 private:
  const ProgressCallback& callback_;
  const std::atomic<bool>* cancel_;
};

class EventReceiver final : public rpc::EventListener::Server {
 public:
  explicit EventReceiver(const EventCallback& callback) : callback_(callback) {}

  kj::Promise<void> events(EventsContext context) override {
    const auto params = context.getParams();
    const bool more = callback_(ReadEvents(params.getEvents(), params.getLost()));
    context.getResults().setStop(!more);
    return kj::READY_NOW;
  }

 private:
  const EventCallback& callback_;
};

absl::Status TimedOut() {
  return absl::DeadlineExceededError("the sandbox's daemon does not answer");
}

}  // namespace

class Client::Connection {
 public:
  explicit Connection(const std::string& path)
      : io_(kj::setupAsyncIo()),
        stream_(io_.provider->getNetwork()
                    .parseAddress(kj::str("unix:", path.c_str()))
                    .wait(io_.waitScope)
                    ->connect()
                    .wait(io_.waitScope)),
        client_(*stream_),
        control_(client_.bootstrap().castAs<rpc::Control>()) {}

  // Waits for `promise` and hands its response to `read`, unless it takes too long.
  template <typename Promise, typename Read>
  absl::Status Await(Promise promise, absl::Duration timeout, Read read) {
    bool answered = false;
    absl::Status status;
    auto reading = promise.then([&](auto&& response) {
      answered = true;
      status = ReadStatus(response.getStatus());
      if (status.ok()) read(response);
    });
    reading.exclusiveJoin(timer().afterDelay(absl::ToInt64Milliseconds(timeout) * kj::MILLISECONDS))
        .wait(io_.waitScope);
    return answered ? status : TimedOut();
  }

  // The same, however long it takes, for a response that has nothing else.
  template <typename Promise>
  absl::Status Await(Promise promise) {
    absl::Status status;
    promise.then([&](auto&& response) { status = ReadStatus(response.getStatus()); })
        .wait(io_.waitScope);
    return status;
  }

  // The same, however long it takes, for a response that has a report.
  template <typename Promise>
  absl::StatusOr<Report> AwaitReport(Promise promise) {
    Report report;
    absl::Status status;
    promise
        .then([&](auto&& response) {
          status = ReadStatus(response.getStatus());
          report = {ToString(response.getReport().getJson()),
                    ToString(response.getReport().getText())};
        })
        .wait(io_.waitScope);
    if (!status.ok()) return status;
    return report;
  }

  kj::Timer& timer() { return io_.provider->getTimer(); }
  bool trusted() { return geteuid() == 0 || IsTrusted(*stream_); }
  rpc::Control::Client& control() { return control_; }

 private:
  kj::AsyncIoContext io_;
  kj::Own<kj::AsyncIoStream> stream_;
  capnp::TwoPartyClient client_;
  rpc::Control::Client control_;
};

Client::Client(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}
Client::~Client() = default;

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(const std::string& path) {
  try {
    auto connection = std::make_unique<Connection>(path);
    if (!connection->trusted())
      return absl::PermissionDeniedError(
          absl::StrCat("who listens at ", path, " is neither root nor you"));
    return std::unique_ptr<Client>(new Client(std::move(connection)));
  } catch (const kj::Exception&) {
    return absl::UnavailableError(absl::StrCat("nobody answers at ", path));
  }
}

absl::StatusOr<Info> Client::GetInfo(absl::Duration timeout) {
  try {
    Info info;
    absl::Status status =
        connection_->Await(connection_->control().getInfoRequest().send(), timeout,
                           [&info](auto& response) { info = ReadInfo(response.getInfo()); });
    if (!status.ok()) return status;
    return info;
  } catch (const kj::Exception& exception) {
    return StatusOf(exception);
  }
}

absl::StatusOr<Report> Client::Checkpoint(const CheckpointParams& params,
                                          const ProgressCallback& on_progress,
                                          const std::atomic<bool>* cancel) {
  try {
    auto request = connection_->control().checkpointRequest();
    WriteCheckpointParams(params, request.initParams());
    request.setListener(kj::heap<Listener>(on_progress, cancel));
    return connection_->AwaitReport(request.send());
  } catch (const kj::Exception& exception) {
    return StatusOf(exception);
  }
}

absl::StatusOr<Report> Client::Diff(const ProgressCallback& on_progress,
                                    const std::atomic<bool>* cancel) {
  try {
    auto request = connection_->control().diffRequest();
    request.setListener(kj::heap<Listener>(on_progress, cancel));
    return connection_->AwaitReport(request.send());
  } catch (const kj::Exception& exception) {
    return StatusOf(exception);
  }
}

absl::StatusOr<Report> Client::Commit(const CommitParams& params,
                                      const ProgressCallback& on_progress,
                                      const std::atomic<bool>* cancel) {
  try {
    auto request = connection_->control().commitRequest();
    auto to = request.initParams();
    to.setDirectory(params.directory);
    to.setTag(params.tag);
    to.setCompression(params.compression);
    to.setAuthor(params.author);
    to.setMessage(params.message);
    request.setListener(kj::heap<Listener>(on_progress, cancel));
    return connection_->AwaitReport(request.send());
  } catch (const kj::Exception& exception) {
    return StatusOf(exception);
  }
}

absl::StatusOr<Report> Client::Rollback(const RollbackParams& params,
                                        const ProgressCallback& on_progress,
                                        const std::atomic<bool>* cancel) {
  try {
    auto request = connection_->control().rollbackRequest();
    WriteRollbackParams(params, request.initParams());
    request.setListener(kj::heap<Listener>(on_progress, cancel));
    return connection_->AwaitReport(request.send());
  } catch (const kj::Exception& exception) {
    return StatusOf(exception);
  }
}

absl::StatusOr<Report> Client::AddMount(const MountParams& params) {
  try {
    auto request = connection_->control().addMountRequest();
    request.initParams().setMount(params.mount);
    request.getParams().setDirectory(params.directory);
    return connection_->AwaitReport(request.send());
  } catch (const kj::Exception& exception) {
    return StatusOf(exception);
  }
}

absl::StatusOr<Report> Client::RemoveMount(const std::string& target, bool detach) {
  try {
    auto request = connection_->control().removeMountRequest();
    request.setTarget(target);
    request.setDetach(detach);
    return connection_->AwaitReport(request.send());
  } catch (const kj::Exception& exception) {
    return StatusOf(exception);
  }
}

absl::StatusOr<Report> Client::Fork() {
  try {
    return connection_->AwaitReport(connection_->control().forkRequest().send());
  } catch (const kj::Exception& exception) {
    return StatusOf(exception);
  }
}

absl::StatusOr<Report> Client::Upgrade(const UpgradeParams& params) {
  try {
    auto request = connection_->control().upgradeRequest();
    request.initParams().setBinary(params.binary);
    request.getParams().setTimeoutMs(
        static_cast<uint64_t>(absl::ToInt64Milliseconds(params.timeout)));
    return connection_->AwaitReport(request.send());
  } catch (const kj::Exception& exception) {
    return StatusOf(exception);
  }
}

absl::StatusOr<Report> Client::OpenFiles() {
  try {
    return connection_->AwaitReport(connection_->control().openFilesRequest().send());
  } catch (const kj::Exception& exception) {
    return StatusOf(exception);
  }
}

absl::Status Client::FollowEvents(bool reads, const EventCallback& on_events) {
  try {
    auto request = connection_->control().eventsRequest();
    request.setReads(reads);
    request.setListener(kj::heap<EventReceiver>(on_events));
    return connection_->Await(request.send());
  } catch (const kj::Exception& exception) {
    return StatusOf(exception);
  }
}

absl::StatusOr<Report> Client::GetConfig() {
  try {
    return connection_->AwaitReport(connection_->control().getConfigRequest().send());
  } catch (const kj::Exception& exception) {
    return StatusOf(exception);
  }
}

absl::Status Client::Stop(absl::Duration grace) {
  try {
    auto request = connection_->control().stopRequest();
    request.setGraceMs(static_cast<uint64_t>(absl::ToInt64Milliseconds(grace)));
    return connection_->Await(request.send(), absl::Seconds(10), [](auto&) {});
  } catch (const kj::Exception& exception) {
    return StatusOf(exception);
  }
}

}  // namespace stasis::control
