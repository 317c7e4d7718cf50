#pragma once
/// A model's flat buffers as pieces of named global tensors: what a checkpoint saves and loads, whatever share of the
/// model a rank has and whatever part of it is here. Names are PREFIX/NAME
/// ("parameters/layers.0.attention.query.weight"), shapes the true ones: padding rows are in no piece.
#include <span>
#include <string_view>
#include <vector>

#include "stoa/checkpoint/tensor_piece.h"
#include "stoa/trainer/model/parameter_parts.h"

namespace stoa::trainer {

/// All of the given ranges that is parameter, copies too (the tied head, key-value heads and replicated parameters that
/// other ranks hold as well). `flat` (table.elements, or InternalError) is borrowed. What the ranges do not name is not
/// written, and padding never is.
std::vector<checkpoint::PieceToLoad> pieces_to_load(const ParameterTable& table, std::string_view prefix,
                                                    std::span<float> flat, std::span<const parallel::Slice> ranges);
/// Everything that this rank's share has.
std::vector<checkpoint::PieceToLoad> pieces_to_load(const ParameterTable& table, std::string_view prefix,
                                                    std::span<float> flat);

/// The same, of what this rank is the one to count (Parameter::counted_here). The pieces of all shares tile each tensor
/// once where the ranges of the ranks of one share hold each of its elements once: row_ranges, where all hold the same
/// values; a rank's own part of what is cut over data ranks.
std::vector<checkpoint::PieceToSave> pieces_to_save(const ParameterTable& table, std::string_view prefix,
                                                    std::span<const float> flat,
                                                    std::span<const parallel::Slice> ranges);
/// Everything that this rank's share counts.
std::vector<checkpoint::PieceToSave> pieces_to_save(const ParameterTable& table, std::string_view prefix,
                                                    std::span<const float> flat);

}  // namespace stoa::trainer
