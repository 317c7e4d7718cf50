#pragma once
/// The checkpoints of one run, in the folder layout of the architecture page (section 5; FORMAT.md has every byte):
///   DIRECTORY/step-00004000/{manifest.json, shard-00000-of-00002.h5, ..., checkpoint.h5}, latest -> step-00004000
/// A step is published by one rename of step-XXXXXXXX.partial-ATTEMPT; a crash anywhere leaves the last good one.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "stoa/base/json.h"
#include "stoa/base/log.h"
#include "stoa/checkpoint/retention.h"
#include "stoa/checkpoint/shard_writer.h"
#include "stoa/checkpoint/tensor_piece.h"
#include "stoa/checkpoint/tiling.h"
#include "stoa/parallel/communicator.h"

namespace stoa::checkpoint {

/// What is not a piece of a tensor stands here, once. `state` is the trainer's own (consumed samples, seed, schedule,
/// spike window, ...): opaque to this room, returned as saved.
struct CheckpointState {
  std::int64_t step = 0;
  Json state;
  std::optional<double> evaluation_loss;  ///< of these very weights, where they were evaluated: finite
};

/// One published checkpoint.
struct CheckpointEntry {
  std::int64_t step = 0;
  std::filesystem::path folder;
};

/// InternalError where a piece's box or number of values is not right.
void check_pieces(std::span<const PieceToSave> pieces);
std::vector<PieceDescription> descriptions_of(std::span<const PieceToSave> pieces);

class CheckpointStore {
 public:
  /// `attempt` names this attempt of the run in partial folders and manifests ([A-Za-z0-9_.-], 64 at most: UsageError).
  /// Creates DIRECTORY where it is missing. Borrows the log.
  CheckpointStore(std::filesystem::path directory, std::string attempt, Log& log);

  /// Collective over `ranks`: each rank writes its pieces as its shard; together the pieces tile every tensor exactly
  /// once (checked before anything is written; InternalError that names the tensor, as for a state that JSON cannot
  /// hold: NaN). fsync of every file, all agree, rank 0 writes manifest and checkpoint.h5, renames, fsyncs the
  /// directory, points `latest` at it, removes older ones that no rule keeps (never the one just published) and what
  /// unfinished saves of this and earlier steps left. `state` is rank 0's. Returns the bytes this rank wrote. Every
  /// rank throws the same StorageError where any rank failed; partial files are removed and the last good one stays. A
  /// step that is already published and whole stays too: StorageError that names its attempt, so do not save the step
  /// just resumed from.
  std::int64_t save(const CheckpointState& state, std::span<const PieceToSave> pieces, parallel::Communicator& ranks,
                    const RetentionRules& rules);

  /// The same of pieces whose bytes come from a source, in their order (shard_writer.h).
  std::int64_t save(const CheckpointState& state, std::span<const PieceDescription> pieces, const ByteSource& next,
                    parallel::Communicator& ranks, const RetentionRules& rules);

  /// Published checkpoints, oldest first, found by scanning.
  std::vector<CheckpointEntry> list() const;

  /// Collective: reads the newest whole checkpoint into `pieces` (which may be cut differently from the saved ones) and
  /// returns its state, or nothing where none was ever published. A checkpoint whose manifest, file size, digest, piece
  /// table or chunk is wrong or cannot be read is named (file, tensor, byte range) in rank 0's log, and all ranks try
  /// the next older one. CheckpointError, the same on every rank, where published ones exist but none is whole, and
  /// where tensors are missing, of another shape, or asked for by no rank (the next save would lose them). After an
  /// error the values are unspecified.
  std::optional<CheckpointState> load_newest(std::span<const PieceToLoad> pieces, parallel::Communicator& ranks);

  /// One rank alone, one given checkpoint folder (for eval and sample): CheckpointError where it is not whole. Tensors
  /// that are not asked for are not read.
  CheckpointState load(const std::filesystem::path& folder, std::span<const PieceToLoad> pieces);

  /// The manifest's state without any tensor.
  CheckpointState read_state(const std::filesystem::path& folder) const;

 private:
  std::filesystem::path directory_;
  std::string attempt_;
  Log& log_;
};

}  // namespace stoa::checkpoint
