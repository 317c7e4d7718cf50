#include "stoa/checkpoint/save_plan.h"

#include <utility>

#include "stoa/base/error.h"
#include "stoa/base/json.h"
#include "stoa/checkpoint/manifest.h"
#include "stoa/checkpoint/tensor_json.h"

namespace stoa::checkpoint {

std::string describe_pieces(std::span<const PieceDescription> pieces) {
  Json array = Json::array();
  for (const PieceDescription& piece : pieces) {
    Json object = tensor_to_json(piece.tensor, "tensor");
    add_box(object, piece.box);
    array.push_back(std::move(object));
  }
  return array.dump();
}

SavePlan make_save_plan(std::vector<PieceSource> sources) {
  std::vector<PieceDescription> descriptions;
  descriptions.reserve(sources.size());
  for (const PieceSource& source : sources) descriptions.push_back(source.piece);
  Tiling tiling = tile(descriptions);
  if (!tiling.defect.empty()) throw InternalError("{}", tiling.defect);
  return {std::move(sources), std::move(tiling.tensors)};
}

SavePlan make_save_plan(std::span<const std::string> texts) {
  std::vector<PieceSource> sources;
  for (std::size_t r = 0; r < texts.size(); ++r) {
    const std::string file = shard_file_name(static_cast<int>(r), static_cast<int>(texts.size()));
    for (const Json& object : parse_json(texts[r], "pieces")) {
      GlobalTensor tensor = tensor_from_json(object, "tensor", "pieces");
      parallel::Box box = box_from_json(object, tensor, "pieces");
      sources.push_back({{std::move(tensor), std::move(box)}, file});
    }
  }
  return make_save_plan(std::move(sources));
}

}  // namespace stoa::checkpoint
