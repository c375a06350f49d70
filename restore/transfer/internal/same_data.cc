// SPDX-License-Identifier: Apache-2.0

#include "restore/transfer/internal/same_data.h"

#include <algorithm>

#include "fsimpl/gofer/inode.h"
#include "fsimpl/memfs/inode.h"
#include "fsimpl/overlay/inode.h"
#include "restore/image/pack_reader.h"

namespace stasis::restore {
namespace {

// What stored bytes are told by. Null if the chunk is in no image.
const image::FrameEntry* FrameOf(const state::Chunk::StoredCopy& stored) {
  const auto* source = dynamic_cast<const image::PackReader*>(stored.source.get());
  if (source == nullptr || stored.at.frame >= source->frames().size()) return nullptr;
  return &source->frames()[stored.at.frame];
}

bool IsSame(const state::Chunk& a, const state::Chunk& b) {
  if (&a == &b) return true;
  if (a.size() != b.size()) return false;
  const state::Chunk::StoredCopy left = a.stored();
  const state::Chunk::StoredCopy right = b.stored();
  const image::FrameEntry* frame = FrameOf(left);
  const image::FrameEntry* other = FrameOf(right);
  return frame != nullptr && other != nullptr && left.at.offset == right.at.offset &&
         frame->content_digest == other->content_digest;
}

bool IsSame(const vfs::ChunkMap& a, const vfs::ChunkMap& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.first == y.first && IsSame(*x.second, *y.second);
  });
}

// The file that has the bytes: of an overlay's, one of a layer. Null if they are in several.
const vfs::Inode* DataOf(const vfs::Inode& file) {
  const vfs::Inode* data = &file;
  while (const auto* overlaid = dynamic_cast<const overlay::OverlayRegular*>(data))
    if (data = overlaid->data_file(); data == nullptr) break;
  return data;
}

}  // namespace

bool HaveSameData(const vfs::Inode& a, const vfs::Inode& b) {
  const vfs::Inode* left = DataOf(a);
  const vfs::Inode* right = DataOf(b);
  if (const auto* file = dynamic_cast<const memfs::RegularInode*>(left)) {
    const auto* other = dynamic_cast<const memfs::RegularInode*>(right);
    return other != nullptr && IsSame(file->chunks(), other->chunks());
  }
  if (const auto* file = dynamic_cast<const gofer::HostRegular*>(left)) {
    const auto* other = dynamic_cast<const gofer::HostRegular*>(right);
    return other != nullptr && !file->detached() && !other->detached() &&
           file->key() == other->key();
  }
  return false;
}

}  // namespace stasis::restore
