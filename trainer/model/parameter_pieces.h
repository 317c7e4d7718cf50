#pragma once
/// A model's flat buffers as pieces of named global tensors: what a checkpoint saves and loads. Names are PREFIX/NAME
/// ("parameters/layers.0.attention.query.weight"), shapes the true ones: padding rows are in no piece.
#include <span>
#include <string_view>
#include <vector>

#include "stoa/checkpoint/tensor_piece.h"
#include "stoa/trainer/model/parameter_table.h"

namespace stoa::trainer {

/// Every tensor whole. `flat` (table.elements, or InternalError) is borrowed; its padding is not written.
std::vector<checkpoint::PieceToLoad> pieces_to_load(const ParameterTable& table, std::string_view prefix,
                                                    std::span<float> flat);

/// This rank's part where every one of `data_ranks` holds the same values: the balanced slice of each tensor along dim
/// 0. Together the ranks' pieces tile each tensor once; an empty slice gives no piece.
std::vector<checkpoint::PieceToSave> pieces_to_save(const ParameterTable& table, std::string_view prefix,
                                                    std::span<const float> flat, int data_ranks, int data_rank);

}  // namespace stoa::trainer
