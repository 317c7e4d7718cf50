#include "stoa/trainer/model/parameter_pieces.h"

#include <fmt/format.h>

#include "stoa/base/error.h"
#include "stoa/parallel/shard.h"

namespace stoa::trainer {
namespace {

checkpoint::GlobalTensor global_tensor(const Parameter& parameter, std::string_view prefix) {
  return {fmt::format("{}/{}", prefix, parameter.name), checkpoint::DType::kFloat32, parameter.shape};
}

void check_size(const ParameterTable& table, std::string_view prefix, std::size_t size) {
  if (size != static_cast<std::size_t>(table.elements))
    throw InternalError("the buffer of {} has {} elements, the model's table {}", prefix, size, table.elements);
}

}  // namespace

std::vector<checkpoint::PieceToLoad> pieces_to_load(const ParameterTable& table, std::string_view prefix,
                                                    std::span<float> flat) {
  check_size(table, prefix, flat.size());
  std::vector<checkpoint::PieceToLoad> pieces;
  pieces.reserve(table.parameters.size());
  for (const Parameter& parameter : table.parameters)
    pieces.push_back({global_tensor(parameter, prefix), parallel::whole_box(parameter.shape),
                      flat.subspan(std::size_t(parameter.offset), std::size_t(parameter.elements))});
  return pieces;
}

std::vector<checkpoint::PieceToSave> pieces_to_save(const ParameterTable& table, std::string_view prefix,
                                                    std::span<const float> flat, int data_ranks, int data_rank) {
  check_size(table, prefix, flat.size());
  std::vector<checkpoint::PieceToSave> pieces;
  pieces.reserve(table.parameters.size());
  for (const Parameter& parameter : table.parameters) {
    const parallel::Slice rows = parallel::balanced_slice(parameter.shape[0], data_ranks, data_rank);
    if (rows.size() == 0) continue;
    parallel::Box box = parallel::whole_box(parameter.shape);
    box.begin[0] = rows.begin;
    box.size[0] = rows.size();
    const std::int64_t row_elements = parameter.elements / parameter.shape[0];
    pieces.push_back({global_tensor(parameter, prefix), std::move(box),
                      flat.subspan(std::size_t(parameter.offset + rows.begin * row_elements),
                                   std::size_t(rows.size() * row_elements))});
  }
  return pieces;
}

}  // namespace stoa::trainer
