// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/daemon/events.h"

#include <optional>
#include <string>
#include <utility>

#include "cmd/stasis/seen_paths.h"
#include "vfs/tree_events.h"

namespace stasis::cli {
namespace {

// For as long as the reader of the socket is busy.
constexpr size_t kCapacity = 65536;

class BoxEvents final : public control::EventSource {
 public:
  BoxEvents(Box& box, bool reads)
      : box_(box),
        ring_(std::make_shared<vfs::TreeEvents>(
            box.types().clock(), reads ? vfs::TreeEvents::kAll : vfs::TreeEvents::kChanges,
            kCapacity)) {
    box_.LookAtTree([this](const sandbox::Tree& tree) { Attach(tree); });
  }
  ~BoxEvents() override {
    if (table_) table_->RemoveListener(*ring_);
  }

  control::Events Take(size_t limit) override {
    vfs::TreeEvents::Taken taken = ring_->Take(limit);
    control::Events events;
    events.lost = taken.lost;
    box_.LookAtTree([&](const sandbox::Tree& tree) {
      Attach(tree);
      if (!taken.events.empty()) paths_ = SeenPaths(*tree.vfs, *tree.ns);
    });
    for (vfs::TreeEvent& event : taken.events) {
      // What happens in the layers of an overlay is its own business.
      std::optional<std::string> path = paths_.Of(event.dev, event.path);
      if (path.has_value())
        events.events.push_back(
            {event.time, event.events, event.cookie, event.removed, *std::move(path)});
    }
    return events;
  }

 private:
  void Attach(const sandbox::Tree& tree) {
    RefPtr<vfs::WatchTable> table(&tree.vfs->watches());
    if (table == table_) return;
    if (table_) table_->RemoveListener(*ring_);
    table_ = std::move(table);
    table_->AddListener(ring_);
  }

  Box& box_;
  const std::shared_ptr<vfs::TreeEvents> ring_;
  RefPtr<vfs::WatchTable> table_;
  SeenPaths paths_;
};

}  // namespace

std::unique_ptr<control::EventSource> FollowEvents(Box& box, bool reads) {
  return std::make_unique<BoxEvents>(box, reads);
}

}  // namespace stasis::cli
