#include "stoa/trainer/data/indexed_dataset.h"

#include <algorithm>
#include <limits>

#include "stoa/base/error.h"
#include "stoa/trainer/data/indexed_dataset_format.h"
#include "stoa/trainer/data/indexed_dataset_index.h"

namespace stoa::trainer {
namespace {

using indexed::value_at;

template <typename T>
void widen(const std::byte* from, std::span<std::int32_t> out) {
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::int32_t>(value_at<T>(from, i * sizeof(T)));
}

void narrow(const std::byte* from, std::int64_t first, const std::string& name, std::span<std::int32_t> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto token = value_at<std::int64_t>(from, i * sizeof(std::int64_t));
    if (token < std::numeric_limits<std::int32_t>::min() || token > std::numeric_limits<std::int32_t>::max())
      throw DataError("{}: byte {}: token {} is no 32-bit number", name, (first + static_cast<std::int64_t>(i)) * 8,
                      token);
    out[i] = static_cast<std::int32_t>(token);
  }
}

}  // namespace

IndexedDataset::IndexedDataset(const std::filesystem::path& prefix) : prefix_(prefix) {
  const DatasetIndex index(prefix);
  bin_ = map_part_of_dataset(indexed::tokens_path(prefix));
  dtype_ = index.type();
  document_tokens_begin_ = index.document_begins(bin_.bytes().size());
}

void IndexedDataset::read(std::int64_t begin, std::span<std::int32_t> out) const {
  const std::byte* from = bin_.bytes().data() + begin * indexed::token_bytes(dtype_);
  switch (dtype_) {
    case 1:
      return widen<std::uint8_t>(from, out);
    case 2:
      return widen<std::int8_t>(from, out);
    case 3:
      return widen<std::int16_t>(from, out);
    case 4:
      return widen<std::int32_t>(from, out);
    case 8:
      return widen<std::uint16_t>(from, out);
    default:
      return narrow(from, begin, bin_.path().string(), out);
  }
}

void IndexedDataset::verify_tokens(std::int64_t vocabulary_size) const {
  std::vector<std::int32_t> part;
  for (std::int64_t begin = 0; begin < tokens(); begin += static_cast<std::int64_t>(part.size())) {
    part.resize(static_cast<std::size_t>(std::min<std::int64_t>(tokens() - begin, 65536)));
    read(begin, part);
    const auto bad =
        std::find_if(part.begin(), part.end(), [&](std::int32_t id) { return id < 0 || id >= vocabulary_size; });
    if (bad == part.end()) continue;
    const std::int64_t position = begin + (bad - part.begin());
    const auto after = std::upper_bound(document_tokens_begin_.begin(), document_tokens_begin_.end(), position);
    throw DataError("{}: byte {}: token {} of document {} is {}, but the vocabulary has ids 0 to {}",
                    bin_.path().string(), position * indexed::token_bytes(dtype_), position,
                    after - document_tokens_begin_.begin() - 1, *bad, vocabulary_size - 1);
  }
}

}  // namespace stoa::trainer
