// SPDX-License-Identifier: Apache-2.0

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <fmt/format.h>
#include <sys/inotify.h>

#include <memory>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/durations.h"
#include "cmd/stasis/flag_names.h"
#include "cmd/stasis/interrupt.h"
#include "cmd/stasis/output.h"
#include "cmd/stasis/stop_sandbox.h"
#include "restore/internal/format.h"

namespace stasis::cli {
namespace {

constexpr absl::Duration kConnectInterval = absl::Milliseconds(20);

struct EventsOptions {
  std::string name;
  std::string time = "1s";
  bool follow = false;
  bool reads = false;
  bool json = false;
};

void PrintLost(uint64_t lost, bool json) {
  if (json)
    PrintLine(nlohmann::ordered_json{{"lost", lost}}.dump());
  else
    PrintLine(
        fmt::format("{} events were lost: they came faster than they could be printed", lost));
}

void PrintEvent(const control::Event& event, bool json) {
  const std::vector<std::string> names = EventNames(event.events);
  const bool directory = (event.events & IN_ISDIR) != 0;
  if (!json) {
    PrintLine(fmt::format("{} {:<11} {}{}{}", restore::FormatTime(event.time_ns),
                          JoinWords(names, ","), restore::PrintablePath(event.path),
                          directory && event.path != "/" ? "/" : "",
                          event.removed ? " (deleted)" : ""));
    return;
  }
  nlohmann::ordered_json line = {{"time_ns", event.time_ns}, {"event", JoinWords(names, ",")}};
  PutText(line, "path", event.path);
  line["directory"] = directory;
  line["deleted"] = event.removed;
  line["cookie"] = event.cookie != 0 ? nlohmann::ordered_json(event.cookie) : nullptr;
  PrintLine(line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

int Events(const EventsOptions& options) {
  const absl::StatusOr<absl::Duration> time = ReadDuration("--for", options.time);
  if (!time.ok()) return Fail(time.status(), options.json);
  const absl::StatusOr<sandbox::RuntimeDir> dir = FindSandbox(options.name);
  if (!dir.ok()) return Fail(dir.status(), options.json);
  absl::StatusOr<std::unique_ptr<control::Client>> client = ConnectTo(*dir);
  if (!client.ok()) return Fail(client.status(), options.json);
  const std::atomic<bool>* interrupted = CatchInterrupts();
  const absl::Time end = options.follow ? absl::InfiniteFuture() : absl::Now() + *time;
  const auto print = [&](const control::Events& events) {
    if (events.lost != 0) PrintLost(events.lost, options.json);
    for (const control::Event& event : events.events) PrintEvent(event, options.json);
    // Whoever reads them in a pipe reads them now.
    return WriteLines() && !*interrupted && absl::Now() < end;
  };
  absl::Status followed = (*client)->FollowEvents(options.reads, print);
  while (absl::IsNotFound(followed) && dir->Exists() && dir->Alive() && !*interrupted) {
    // Another daemon goes on, or the sandbox ends.
    client = ConnectTo(*dir);
    if (client.ok()) {
      Warn("another daemon goes on; what happened in between is not shown");
      followed = (*client)->FollowEvents(options.reads, print);
    } else if (absl::IsUnavailable(client.status())) {
      absl::SleepFor(kConnectInterval);
    } else {
      followed = client.status();
    }
  }
  // The end of the sandbox is the end of its events; a daemon that was killed is not.
  if (absl::IsNotFound(followed)) {
    if (dir->Exists() && !dir->Alive()) return Fail(DeadSandbox(*dir), options.json);
  } else if (!followed.ok()) {
    return Fail(followed, options.json);
  }
  return FlushLines();
}

}  // namespace

void AddEvents(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand("events", "Print what happens in a sandbox's files");
  auto options = std::make_shared<EventsOptions>();
  command->add_option("name", options->name, "The sandbox")->required()->type_name("NAME");
  command->add_flag("--follow,-f", options->follow,
                    "Go on until interrupted or the sandbox ends; otherwise for the time of --for");
  command->add_option("--for", options->time, "For how long, from now on")
      ->type_name("DURATION")
      ->excludes("--follow")
      ->capture_default_str();
  command->add_flag("--reads", options->reads, "Print reads, too");
  command->add_flag("--json", options->json, "Print a JSON object per line");
  command->footer(
      "A line for each event, from the moment on when the command begins: nothing is kept of\n"
      "what was before. Files are opened by the kernel, and read from its cache, without asking\n"
      "the server: of these there are no events, but where the server is asked (host directories\n"
      "that others change). Of what programs write to mappings there are when the kernel writes\n"
      "it back.\n\n"
      "  stasis events box --follow --json");
  command->callback(
      [options, &invocation] { invocation.action = [options] { return Events(*options); }; });
}

}  // namespace stasis::cli
