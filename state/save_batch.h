// SPDX-License-Identifier: Apache-2.0
//
// save_batch.h: the objects of one message, as generated code sees them while it builds rows.

#ifndef STASIS_STATE_SAVE_BATCH_H_
#define STASIS_STATE_SAVE_BATCH_H_

#include <capnp/blob.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "state/codec/encoder.h"
#include "state/graph_writer.h"

namespace stasis::state {

class SaveBatch {
 public:
  explicit SaveBatch(const GraphWriter& graph) : graph_(graph) {}

  void SetObjects(std::span<Object* const> objects) { objects_ = objects; }
  uint32_t size() const { return static_cast<uint32_t>(objects_.size()); }
  const Object& operator[](uint32_t i) const { return *objects_[i]; }
  const GraphWriter& graph() const { return graph_; }

  // An empty column to be filled. `index` counts the columns of one class from 0.
  Encoder& Column(size_t index) {
    while (columns_.size() <= index) columns_.push_back(std::make_unique<Encoder>(graph_));
    columns_[index]->Clear();
    return *columns_[index];
  }

  // The content of a filled column. Refused above kMaxColumn: the batch is then saved in two.
  capnp::Data::Reader Content(const Encoder& column) {
    if (column.size() > kMaxColumn) {
      too_large_ = true;
      return {};
    }
    return {column.data(), column.size()};
  }
  bool too_large() const { return too_large_; }
  void ResetTooLarge() { too_large_ = false; }

 private:
  // Below the limits of a Cap'n Proto Data (2^29 bytes), and a bound on what a reader must hold.
  static constexpr size_t kMaxColumn = size_t{1} << 28;

  const GraphWriter& graph_;
  std::span<Object* const> objects_;
  std::vector<std::unique_ptr<Encoder>> columns_;  // stable addresses
  bool too_large_ = false;
};

}  // namespace stasis::state

#endif  // STASIS_STATE_SAVE_BATCH_H_
