#include "stoa/checkpoint/streamed_checkpoint.h"

#include <fcntl.h>

#include "stoa/base/clock.h"
#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/checkpoint/hdf5_global_view.h"
#include "stoa/checkpoint/publication.h"
#include "stoa/checkpoint/save_plan.h"
#include "stoa/checkpoint/tensor_json.h"

namespace stoa::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr const char* kAttempt = "import";

SavePlan plan_of(std::span<const PieceToProduce> pieces, const std::string& file) {
  std::vector<PieceSource> sources;
  for (const PieceToProduce& piece : pieces) {
    std::string defect = tensor_defect(piece.tensor);
    if (defect.empty()) defect = box_defect(piece.box, piece.tensor);
    if (!defect.empty()) throw InternalError("tensor {}: {}", piece.tensor.name, defect);
    sources.push_back({{piece.tensor, piece.box}, file});
  }
  return make_save_plan(std::move(sources));
}

}  // namespace

void write_streamed_checkpoint(const fs::path& directory, const CheckpointState& state,
                               std::span<const PieceToProduce> pieces, Log& log) {
  const std::string file = shard_file_name(0, 1);
  const SavePlan plan = plan_of(pieces, file);
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) throw StorageError("{}: creating the folder failed: {}", directory.string(), error.message());
  const fs::path partial = begin_partial(directory, state.step, kAttempt);
  try {
    const WrittenShard shard = write_shard(partial / file, pieces);
    publish_whole(partial, directory, make_manifest(state, kAttempt, plan, {&shard.record, 1}, shard.squares), plan,
                  log);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(partial, ignored);
    throw;
  }
}

}  // namespace stoa::checkpoint
