#pragma once
/// Bytes on their way from the thread that trains to the one that writes them, through memory of a bounded size. One
/// thread puts, one takes.
#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <span>

#include "stoa/checkpoint/piece_table.h"
#include "stoa/parallel/private_memory.h"

namespace stoa::checkpoint {

class StagedChunks {
 public:
  /// Every chunk begins at a multiple of this, for direct writing.
  static constexpr std::int64_t kAlignment = 4096;
  static std::int64_t padded_bytes(std::int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

  /// Room for chunks whose padded bytes come to `bytes`, and for two of kTransferBytes at least. Its pages are taken
  /// now. ResourceError.
  explicit StagedChunks(std::int64_t bytes);
  /// What that takes.
  static std::int64_t memory_bytes(std::int64_t bytes) { return padded_bytes(std::max(bytes, 2 * kTransferBytes)); }

  std::int64_t bytes() const { return bytes_; }

  /// Copies a chunk of 1 to kTransferBytes bytes, and waits for room before. False, and nothing is copied, where the
  /// other thread gave up.
  bool put(std::span<const std::byte> chunk);
  /// The next chunk, waited for; valid until the next call.
  std::span<const std::byte> take();
  /// By the thread that takes: nothing more will be taken, so put() does not wait any more.
  void give_up();
  /// Empty, and open again. REQUIRES: neither thread is in a call.
  void clear();

 private:
  /// In bytes since clear(), of a ring of bytes_.
  struct Place {
    std::int64_t begin = 0, end = 0;
  };
  /// Where the next chunk of so many bytes goes: in one part, so behind the ring's end there may be a gap.
  Place place_behind(std::int64_t last, std::int64_t size) const;

  std::int64_t bytes_;
  parallel::PrivateMemory memory_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Place> waiting_;  ///< the first is at hand where at_hand_
  std::int64_t last_ = 0, freed_ = 0;
  bool at_hand_ = false, given_up_ = false;
};

}  // namespace stoa::checkpoint
