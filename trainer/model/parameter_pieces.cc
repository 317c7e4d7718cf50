#include "stoa/trainer/model/parameter_pieces.h"

#include <fmt/format.h>

#include <array>

namespace stoa::trainer {
namespace {

template <typename Piece>
Piece piece(const Parameter& parameter, std::string_view prefix, const ParameterPart& part, auto flat) {
  const auto values = flat.subspan(std::size_t(part.offset), std::size_t(part.box.elements()));
  return {
      {fmt::format("{}/{}", prefix, parameter.name), checkpoint::DType::kFloat32, parameter.shape}, part.box, values};
}

}  // namespace

std::vector<checkpoint::PieceToLoad> pieces_to_load(const ParameterTable& table, std::string_view prefix,
                                                    std::span<float> flat, std::span<const parallel::Slice> ranges) {
  std::vector<checkpoint::PieceToLoad> pieces;
  for (const ParameterPart& part : parameter_parts(table, ranges, flat.size()))
    pieces.push_back(piece<checkpoint::PieceToLoad>(table.parameters[part.parameter], prefix, part, flat));
  return pieces;
}

std::vector<checkpoint::PieceToLoad> pieces_to_load(const ParameterTable& table, std::string_view prefix,
                                                    std::span<float> flat) {
  return pieces_to_load(table, prefix, flat, std::array{whole_range(table)});
}

std::vector<checkpoint::PieceToSave> pieces_to_save(const ParameterTable& table, std::string_view prefix,
                                                    std::span<const float> flat,
                                                    std::span<const parallel::Slice> ranges) {
  std::vector<checkpoint::PieceToSave> pieces;
  for (const ParameterPart& part : parameter_parts(table, ranges, flat.size()))
    if (const Parameter& parameter = table.parameters[part.parameter]; parameter.counted_here)
      pieces.push_back(piece<checkpoint::PieceToSave>(parameter, prefix, part, flat));
  return pieces;
}

std::vector<checkpoint::PieceToSave> pieces_to_save(const ParameterTable& table, std::string_view prefix,
                                                    std::span<const float> flat) {
  return pieces_to_save(table, prefix, flat, std::array{whole_range(table)});
}

}  // namespace stoa::trainer
