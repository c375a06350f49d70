// SPDX-License-Identifier: Apache-2.0
//
// layer_source.h: the upper layer of an overlay as the tree of an OCI layer.
//
// Whiteouts become files ".wh.NAME", opaque directories get a file ".wh..wh..opq". A directory that
// was moved (redirect) is opaque and there in full, as it is seen; a file without data (metacopy)
// has the data that is seen. Names are sorted, markers before the others.

#ifndef STASIS_RESTORE_OCI_INTERNAL_LAYER_SOURCE_H_
#define STASIS_RESTORE_OCI_INTERNAL_LAYER_SOURCE_H_

#include <absl/status/status.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "restore/transfer/tree_source.h"
#include "state/base/clock.h"

namespace stasis::oci {

// Not thread-safe.
class LayerSource final : public restore::TreeSource {
 public:
  // Borrows both, which are at their roots. Without `merged` nothing may have been moved.
  // Modification times later than `max_mtime` become it.
  LayerSource(restore::TreeSource& upper, restore::TreeSource* merged,
              std::optional<TimeNs> max_mtime);

  // What made a call fail, where an errno says too little.
  const absl::Status& status() const { return status_; }

  Result<std::vector<std::string>> List() override;
  Result<restore::FileAttributes> Stat(const std::string& name) override;
  Result<std::string> ReadLink(const std::string& name) override;
  Result<restore::Xattrs> GetXattrs(const std::string& name) override;
  Result<std::unique_ptr<restore::FileReader>> Open(const std::string& name) override;
  Result<void> Enter(const std::string& name) override;
  Result<void> Leave() override;

 private:
  struct Level {
    std::string path;     // for messages
    bool upper = true;    // the upper layer is in it; otherwise all is taken from what is seen
    bool opaque = false;  // with a marker
  };

  bool in_upper() const { return levels_.back().upper; }
  // Where a name of the current directory is taken from.
  Result<restore::TreeSource*> From(const std::string& name);
  Result<restore::TreeSource*> NeedMerged(const std::string& name, const char* why);
  Result<std::string> NameInLayer(const std::string& name);
  restore::FileAttributes Adjusted(restore::FileAttributes attributes) const;

  restore::TreeSource& upper_;
  restore::TreeSource* const merged_;
  const std::optional<TimeNs> max_mtime_;
  std::vector<Level> levels_;
  // The last answer of From.
  std::string from_name_;
  restore::TreeSource* from_ = nullptr;
  absl::Status status_;
};

}  // namespace stasis::oci

#endif  // STASIS_RESTORE_OCI_INTERNAL_LAYER_SOURCE_H_
