#pragma once
/// Which position each row n = b * T + t of a micro-batch has: what the rotary and the learned position embedding turn
/// into numbers.
#include <cstddef>
#include <cstdint>
#include <span>

namespace stoa::trainer {

struct RowPositions {
  std::int64_t per_sequence = 1;  ///< T
  std::int64_t first = 0;
  std::span<const std::int32_t> ids{};  ///< one a row; empty: first + n % per_sequence

  std::int64_t of(std::int64_t n) const {
    return ids.empty() ? first + n % per_sequence : ids[static_cast<std::size_t>(n)];
  }
};

}  // namespace stoa::trainer
