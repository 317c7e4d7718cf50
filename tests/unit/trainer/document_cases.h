#pragma once
/// What the tests of packed documents share: the begins and positions that a list of lengths gives.
#include <cstdint>
#include <vector>

namespace stoa::trainer {

/// The lengths of one sample's documents.
using Lengths = std::vector<std::int32_t>;

struct PackedDocuments {
  std::vector<std::int32_t> begin_bt;
  std::vector<std::int32_t> positions_bt;  ///< counted from the begin
};

inline PackedDocuments packed(const std::vector<Lengths>& samples) {
  PackedDocuments documents;
  for (const Lengths& lengths : samples) {
    std::int32_t begin = 0;
    for (const std::int32_t length : lengths) {
      for (std::int32_t i = 0; i < length; ++i) {
        documents.begin_bt.push_back(begin);
        documents.positions_bt.push_back(i);
      }
      begin += length;
    }
  }
  return documents;
}

}  // namespace stoa::trainer
