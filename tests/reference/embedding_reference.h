#pragma once
/// The embedding of tokens with learned positions, and its gradients, in the order of tokens.
#include <cstdint>

#include "stoa/tests/reference/values.h"

namespace stoa::reference {

struct EmbeddingShape {
  std::size_t width = 0;
  std::size_t positions_per_sequence = 0;
  std::size_t first_position = 0;
  std::vector<std::int32_t> position_ids{};  ///< one a token; empty: counted in each sequence

  std::size_t position(std::size_t n) const {
    return position_ids.empty() ? first_position + n % positions_per_sequence
                                : static_cast<std::size_t>(position_ids[n]);
  }
};

/// positions may be empty.
inline Values embedding(const std::vector<std::int32_t>& tokens, const Values& table, const Values& positions,
                        const EmbeddingShape& shape) {
  Values x;
  for (std::size_t n = 0; n < tokens.size(); ++n) {
    for (std::size_t d = 0; d < shape.width; ++d) {
      const double learned = positions.empty() ? 0 : positions[shape.position(n) * shape.width + d];
      x.push_back(table[static_cast<std::size_t>(tokens[n]) * shape.width + d] + learned);
    }
  }
  return x;
}

/// Adds to both gradients. Float, so that the order of the sums shows in the bits; dpositions may be empty.
inline void add_embedding_gradients(const std::vector<std::int32_t>& tokens, const std::vector<float>& dx,
                                    const EmbeddingShape& shape, std::vector<float>& dtable,
                                    std::vector<float>& dpositions) {
  for (std::size_t n = 0; n < tokens.size(); ++n) {
    for (std::size_t d = 0; d < shape.width; ++d) {
      dtable[static_cast<std::size_t>(tokens[n]) * shape.width + d] += dx[n * shape.width + d];
      if (!dpositions.empty()) dpositions[shape.position(n) * shape.width + d] += dx[n * shape.width + d];
    }
  }
}

}  // namespace stoa::reference
