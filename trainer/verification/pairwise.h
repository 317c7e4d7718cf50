#pragma once
/// A few combinations in which every two values of different axes meet: most errors of composition need two (Kuhn,
/// Wallace and Gallo, "Software fault interactions", IEEE TSE 2004). Pure.
#include <functional>
#include <vector>

namespace stoa::trainer {

/// A value of each axis, by its index.
using Combination = std::vector<int>;
using Permitted = std::function<bool(const Combination&)>;

/// All permitted combinations of axes with sizes[i] values, the last axis counting fastest.
std::vector<Combination> full_cross(const std::vector<int>& sizes, const Permitted& permitted);

/// Combinations of `all`, each followed by a value of every free axis, in which every pair of values that can meet
/// does: two that are in one combination of `all`, and those of free axes with everything. Greedily the one with the
/// most new pairs next, of as many the earlier one, so that each beginning of the result covers as much as it can.
std::vector<Combination> pairwise_cover(const std::vector<Combination>& all, const std::vector<int>& free_sizes = {});

}  // namespace stoa::trainer
