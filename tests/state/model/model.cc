// SPDX-License-Identifier: Apache-2.0

#include "tests/state/model/model.h"

#include <utility>

namespace stasis::model {

absl::Status TreeNode::AfterLoad(state::LoadContext& context) {
  if (name.find('/') != std::string::npos)
    return context.Invalid(*this, "name", "contains a slash");
  depth = parent != nullptr && parent.get() != this ? parent->depth + 1 : 0;
  if (auto* log = context.Service<LoadLog>(); log != nullptr) log->lines.push_back(name);
  return absl::OkStatus();
}

absl::Status Holder::LoadTitle(std::string_view title, state::LoadContext& context) {
  self_ = RefPtr<Holder>(this);
  if (title == "refused") return context.Invalid(*this, "title", "is refused");
  title_ = std::string(title);
  self_.reset();
  return absl::OkStatus();
}

absl::Status Holder::LoadSecret(uint64_t saved, state::LoadContext&) {
  secret_ = ~saved;
  return absl::OkStatus();
}

}  // namespace stasis::model
