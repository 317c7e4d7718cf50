#include "stoa/checkpoint/streamed_checkpoint.h"

#include <fcntl.h>

#include "stoa/base/clock.h"
#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/checkpoint/hdf5_global_view.h"
#include "stoa/checkpoint/publication.h"
#include "stoa/checkpoint/tensor_json.h"
#include "stoa/checkpoint/tiling.h"

namespace stoa::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr const char* kAttempt = "import";

std::vector<PieceSource> checked_sources(std::span<const PieceToProduce> pieces, const std::string& file) {
  std::vector<PieceSource> sources;
  for (const PieceToProduce& piece : pieces) {
    std::string defect = tensor_defect(piece.tensor);
    if (defect.empty()) defect = box_defect(piece.box, piece.tensor);
    if (!defect.empty()) throw InternalError("tensor {}: {}", piece.tensor.name, defect);
    sources.push_back({{piece.tensor, piece.box}, file});
  }
  return sources;
}

Tiling checked_tiling(std::span<const PieceSource> sources) {
  std::vector<PieceDescription> descriptions;
  for (const PieceSource& source : sources) descriptions.push_back(source.piece);
  Tiling tiling = tile(descriptions);
  if (!tiling.defect.empty()) throw InternalError("{}", tiling.defect);
  return tiling;
}

}  // namespace

void write_streamed_checkpoint(const fs::path& directory, const CheckpointState& state,
                               std::span<const PieceToProduce> pieces, Log& log) {
  const std::string file = shard_file_name(0, 1);
  const std::vector<PieceSource> sources = checked_sources(pieces, file);
  const Tiling tiling = checked_tiling(sources);
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) throw StorageError("{}: creating the folder failed: {}", directory.string(), error.message());
  const fs::path partial = begin_partial(directory, state.step, kAttempt);
  try {
    const ShardRecord shard = write_shard(partial / file, pieces);
    const fs::path view = partial / "checkpoint.h5";
    write_global_view(view, tiling.tensors, sources);
    sync_file(open_file(view, O_RDONLY).get(), view);
    write_file_durably(
        partial / "manifest.json",
        format_manifest(
            {state.step, kAttempt, format_utc(SystemClock().unix_s()), state.state, tiling.tensors, {shard}}));
    publish(partial, directory, state.step, kAttempt, log);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(partial, ignored);
    throw;
  }
}

}  // namespace stoa::checkpoint
