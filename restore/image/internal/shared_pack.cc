// SPDX-License-Identifier: Apache-2.0

#include "restore/image/internal/shared_pack.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

namespace stasis::image {
namespace {

constexpr uint64_t kMagic = 0x324d524653415453;  // "STASFRM2"
constexpr uint64_t kPage = 4096;
// Frames of a pack that can be found, 64 bytes each.
constexpr uint64_t kMostPlaces = uint64_t{1} << 17;
constexpr uint64_t kMostBlocks = uint64_t{1} << 24;  // 64 GiB of content
// Beyond, the table counts as full.
constexpr uint64_t kMostProbes = 64;
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW;

uint64_t BlocksFor(uint64_t bytes) { return (bytes + SharedPack::kBlock - 1) / SharedPack::kBlock; }

uint64_t ToPages(uint64_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

// Not 0.
uint64_t KeyOf(const FrameEntry& frame) {
  uint64_t key = 0;
  std::memcpy(&key, frame.content_digest.bytes.data(), sizeof(key));
  return key | 1;
}

}  // namespace

struct SharedPack::Header {
  uint64_t magic;
  std::array<uint8_t, 32> pack;
  uint64_t places;
  uint64_t blocks;
  std::atomic<uint64_t> next_block;
};

// One slot of a hash table with open addressing. Set once: first the key, then the rest, then the
// block.
struct alignas(64) SharedPack::Place {
  std::atomic<uint64_t> key;    // the beginning of the digest
  std::atomic<uint64_t> block;  // the first one, + 1
  std::array<uint8_t, 32> digest;
  uint32_t length;

  bool IsOf(const FrameEntry& frame) const {
    return digest == frame.content_digest.bytes && length == frame.content_length;
  }
};

SharedPack::SharedPack(std::unique_ptr<MemoryFile> file) : file_(std::move(file)) {}

SharedPack::Header& SharedPack::header() const {
  return *std::launder(reinterpret_cast<Header*>(file_->data()));
}

std::span<SharedPack::Place> SharedPack::places() const {
  return {std::launder(reinterpret_cast<Place*>(file_->data() + kPage)), places_};
}

std::span<std::atomic<uint8_t>> SharedPack::present() const {
  std::byte* const at = file_->data() + kPage + ToPages(places_ * sizeof(Place));
  return {std::launder(reinterpret_cast<std::atomic<uint8_t>*>(at)), blocks_};
}

uint64_t SharedPack::content_start() const {
  return kPage + ToPages(places_ * sizeof(Place)) + ToPages(blocks_);
}

const std::byte* SharedPack::At(uint64_t place, uint32_t offset) const {
  return file_->data() + content_start() + place * kBlock + offset;
}

Result<std::unique_ptr<SharedPack>> SharedPack::Create(const Digest& pack, uint64_t frames,
                                                       uint64_t content) {
  const uint64_t places = std::bit_ceil(std::clamp<uint64_t>(2 * frames, 64, kMostPlaces));
  // Each frame's content begins with a block of its own.
  const uint64_t blocks = std::min(2 * (BlocksFor(content) + frames), kMostBlocks);
  const uint64_t start = kPage + ToPages(places * sizeof(Place)) + ToPages(blocks);
  STASIS_ASSIGN_OR_RETURN(auto file, MemoryFile::Create("", start + blocks * kBlock));
  STASIS_RETURN_IF_ERROR(file->Take(0, start));
  if (::fcntl(file->fd(), F_ADD_SEALS, kSeals) != 0) return Err(errno);
  // Written by pwrite(2) only: what goes wrong in one process is not to go wrong in all.
  if (::mprotect(file->data() + start, blocks * kBlock, PROT_READ) != 0) return Err(errno);
  std::unique_ptr<SharedPack> made(new SharedPack(std::move(file)));
  made->places_ = places;
  made->blocks_ = blocks;
  Header& header = made->header();
  header.pack = pack.bytes;
  header.places = places;
  header.blocks = blocks;
  header.magic = kMagic;
  return made;
}

Result<std::unique_ptr<SharedPack>> SharedPack::Adopt(UniqueFd fd, const Digest& pack) {
  struct stat st;
  if (::fstat(fd.get(), &st) != 0) return Err(errno);
  const int seals = ::fcntl(fd.get(), F_GET_SEALS);
  if (st.st_size < static_cast<off_t>(kPage) || seals < 0 || (seals & kSeals) != kSeals)
    return Err(EINVAL);
  STASIS_ASSIGN_OR_RETURN(auto file, MemoryFile::Adopt(std::move(fd)));
  std::unique_ptr<SharedPack> found(new SharedPack(std::move(file)));
  if (!found->IsOf(pack)) return Err(EINVAL);
  found->places_ = found->header().places;
  found->blocks_ = found->header().blocks;
  if (!std::has_single_bit(found->places_) || found->places_ > kMostPlaces ||
      found->blocks_ > kMostBlocks ||
      found->content_start() + found->blocks_ * kBlock != found->file_->size())
    return Err(EINVAL);
  std::byte* const content = found->file_->data() + found->content_start();
  if (::mprotect(content, found->blocks_ * kBlock, PROT_READ) != 0) return Err(errno);
  return found;
}

bool SharedPack::IsOf(const Digest& pack) const {
  return header().magic == kMagic && header().pack == pack.bytes;
}

std::optional<uint64_t> SharedPack::PlaceOf(const FrameEntry& frame) const {
  const std::span<Place> all = places();
  const uint64_t wanted = KeyOf(frame);
  for (uint64_t i = 0; i < kMostProbes; ++i) {
    const Place& slot = all[((wanted >> 8) + i) & (places_ - 1)];
    const uint64_t key = slot.key.load(std::memory_order_acquire);
    if (key == 0) return std::nullopt;
    if (key != wanted) continue;
    // None yet, or never if whoever was to set it has died.
    const uint64_t block = slot.block.load(std::memory_order_acquire);
    const bool is = block != 0 && block <= blocks_ && slot.IsOf(frame) &&
                    BlocksFor(frame.content_length) <= blocks_ - (block - 1);
    return is ? std::optional(block - 1) : std::nullopt;
  }
  return std::nullopt;
}

std::optional<uint64_t> SharedPack::TakeBlocks(uint64_t count) {
  std::atomic<uint64_t>& next = header().next_block;
  uint64_t first = next.load(std::memory_order_relaxed);
  do {
    if (first > blocks_ || count > blocks_ - first) return std::nullopt;
  } while (!next.compare_exchange_weak(first, first + count, std::memory_order_relaxed));
  return first;
}

std::optional<uint64_t> SharedPack::MakePlace(const FrameEntry& frame) {
  if (const auto place = PlaceOf(frame)) return place;
  const std::span<Place> all = places();
  const uint64_t wanted = KeyOf(frame);
  for (uint64_t i = 0; i < kMostProbes; ++i) {
    Place& slot = all[((wanted >> 8) + i) & (places_ - 1)];
    uint64_t key = 0;
    if (slot.key.compare_exchange_strong(key, wanted, std::memory_order_acq_rel)) {
      slot.digest = frame.content_digest.bytes;
      slot.length = frame.content_length;
      const auto place = TakeBlocks(BlocksFor(frame.content_length));
      if (place) slot.block.store(*place + 1, std::memory_order_release);
      return place;
    }
    if (key == wanted) return PlaceOf(frame);
  }
  return std::nullopt;
}

const std::byte* SharedPack::Find(const FrameEntry& frame, uint32_t offset, uint32_t size) const {
  if (size == 0 || offset > frame.content_length || size > frame.content_length - offset)
    return nullptr;
  const auto place = PlaceOf(frame);
  if (!place) return nullptr;
  const auto blocks = present().subspan(*place);
  for (uint64_t i = offset / kBlock; i <= (offset + size - 1) / kBlock; ++i)
    if (blocks[i].load(std::memory_order_acquire) == 0) return nullptr;
  return At(*place, offset);
}

bool SharedPack::PutBlock(uint64_t block, std::span<const std::byte> bytes) {
  std::atomic<uint8_t>& there = present()[block];
  if (there.load(std::memory_order_acquire) != 0) return true;
  // By a call that can fail: a store to a page for which there is no room is a signal.
  const auto at = static_cast<off_t>(content_start() + block * kBlock);
  if (::pwrite(fd(), bytes.data(), bytes.size(), at) != static_cast<ssize_t>(bytes.size()))
    return false;
  there.store(1, std::memory_order_release);
  return true;
}

const std::byte* SharedPack::Put(const FrameEntry& frame, std::span<const std::byte> content,
                                 uint32_t offset, uint32_t size) {
  if (size == 0 || content.size() != frame.content_length || offset > content.size() ||
      size > content.size() - offset)
    return nullptr;
  const auto place = MakePlace(frame);
  if (!place) return nullptr;
  for (uint64_t i = offset / kBlock; i <= (offset + size - 1) / kBlock; ++i) {
    const auto from = content.subspan(i * kBlock);
    if (!PutBlock(*place + i, from.first(std::min<size_t>(kBlock, from.size())))) return nullptr;
  }
  return At(*place, offset);
}

uint64_t SharedPack::bytes() const {
  struct stat st;
  return ::fstat(fd(), &st) == 0 ? static_cast<uint64_t>(st.st_blocks) * 512 : 0;
}

}  // namespace stasis::image
