#pragma once
/// Saves beside the training: it stops for a copy of the state alone, and a thread writes, checks, agrees and
/// publishes.
///
/// Where the copy has less memory than the state, start() goes on copying as the thread writes, and returns when the
/// rest fits. One save is under way at a time.
#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <thread>

#include "stoa/checkpoint/checkpoint_store.h"
#include "stoa/checkpoint/staged_chunks.h"
#include "stoa/parallel/communicator.h"

namespace stoa::checkpoint {

/// A save that was published.
struct SavedCheckpoint {
  std::int64_t step = 0;
  std::int64_t bytes = 0;  ///< that this rank wrote
  double seconds = 0;      ///< from start() until it was published
  double paused_s = 0;     ///< in start()
};

class BackgroundSave {
 public:
  /// `ranks`: a group that nobody else makes calls of. `staging_bytes`: the most memory of the copy, which stays
  /// until the end (StagedChunks). Borrows the store.
  BackgroundSave(CheckpointStore& store, std::unique_ptr<parallel::Communicator> ranks, std::int64_t staging_bytes);
  /// Waits for the save under way. While an exception is under way that was not when this was built, the group is
  /// interrupted first: the other ranks need not come any more.
  ~BackgroundSave();
  BackgroundSave(const BackgroundSave&) = delete;
  BackgroundSave& operator=(const BackgroundSave&) = delete;

  /// Takes the copy's memory for these pieces, page by page; else the first save does.
  void reserve(std::span<const PieceToSave> pieces);

  /// Collective: as CheckpointStore::save, but what a save does wrong is finish()'s to throw. The pieces' memory is the
  /// caller's again when it returns. REQUIRES: no save is under way.
  void start(CheckpointState state, std::span<const PieceToSave> pieces, const RetentionRules& rules);
  /// Collective: the same in this thread, from the pieces' own memory, without a copy: where nothing goes on beside it.
  /// finish() tells of it. REQUIRES: no save is under way.
  void save_now(const CheckpointState& state, std::span<const PieceToSave> pieces, const RetentionRules& rules);
  bool under_way() const { return thread_.joinable(); }
  /// Whether finish() would not wait; true where none is under way. The ranks of a group may see it at other times.
  bool has_ended() const { return !under_way() || ended_.load(); }
  /// Waits for the save under way, and throws what it threw: the same on all ranks but for a CommError. Nothing where
  /// none was under way.
  std::optional<SavedCheckpoint> finish();

 private:
  void write(const CheckpointState& state, std::span<const PieceDescription> pieces, const RetentionRules& rules);

  CheckpointStore& store_;
  std::unique_ptr<parallel::Communicator> ranks_;
  std::int64_t staging_bytes_;
  int uncaught_at_start_;
  std::unique_ptr<StagedChunks> staged_;
  SavedCheckpoint saved_;
  bool saved_now_ = false;  ///< and finish() has not told yet
  std::exception_ptr failure_;
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

}  // namespace stoa::checkpoint
