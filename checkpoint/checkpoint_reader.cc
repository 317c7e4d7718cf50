#include "stoa/checkpoint/checkpoint_reader.h"

#include <algorithm>

#include "stoa/base/error.h"
#include "stoa/checkpoint/piece_loading.h"
#include "stoa/checkpoint/tensor_json.h"

namespace stoa::checkpoint {
namespace {

constexpr std::size_t kMostOpen = 8;

}  // namespace

CheckpointReader::CheckpointReader(std::filesystem::path folder)
    : folder_(std::move(folder)), manifest_(read_manifest(folder_)) {
  std::vector<PieceDescription> stored;
  for (std::size_t s = 0; s < manifest_.shards.size(); ++s) {
    const ShardReader& reader = shard(s);
    for (std::size_t i = 0; i < reader.pieces().size(); ++i) {
      const StoredPiece& piece = reader.pieces()[i];
      stored.push_back({piece.tensor, piece.box});
      places_[piece.tensor.name].push_back({s, i, piece.box});
    }
  }
  check_tiling(folder_, manifest_, stored);
}

ShardReader& CheckpointReader::shard(std::size_t number) {
  const auto found = std::find_if(open_.begin(), open_.end(), [&](const auto& open) { return open.first == number; });
  if (found != open_.end()) {
    open_.splice(open_.begin(), open_, found);
  } else {
    if (open_.size() == kMostOpen) open_.pop_back();
    open_.emplace_front(number, ShardReader(folder_, manifest_.shards[number]));
  }
  return open_.front().second;
}

void CheckpointReader::read(const PieceToLoad& wanted) {
  const auto& tensors = manifest_.tensors;
  const auto listed = std::find_if(tensors.begin(), tensors.end(),
                                   [&](const GlobalTensor& tensor) { return tensor.name == wanted.tensor.name; });
  if (listed == tensors.end()) throw CheckpointError("{}: has no tensor {}", folder_.string(), wanted.tensor.name);
  if (listed->shape != wanted.tensor.shape)
    throw CheckpointError("{}: tensor {} has shape {}, but this model needs {}", folder_.string(), listed->name,
                          describe_shape(listed->shape), describe_shape(wanted.tensor.shape));
  // The pieces of a tensor tile it, so what they give is the whole box.
  for (const Place& place : places_.find(wanted.tensor.name)->second)
    if (const auto shared = parallel::intersect(place.box, wanted.box); shared && shared->elements() > 0)
      shard(place.shard).load(place.piece, wanted);
}

}  // namespace stoa::checkpoint
