#include "stoa/trainer/data/indexed_dataset.h"

#include <algorithm>
#include <limits>

#include "stoa/base/error.h"
#include "stoa/trainer/data/indexed_dataset_format.h"
#include "stoa/trainer/data/indexed_dataset_index.h"
#include "stoa/trainer/data/ordered_work.h"

namespace stoa::trainer {
namespace {

using indexed::value_at;

constexpr std::int64_t kVerifiedAtOnce = 65536;

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

IndexedDataset::IndexedDataset(const std::filesystem::path& prefix)
    : prefix_(prefix),
      index_(prefix),
      bin_(map_part_of_dataset(indexed::tokens_path(prefix))),
      dtype_(index_.type()),
      tokens_(index_.checked_tokens(bin_.bytes().size())) {}

std::int64_t IndexedDataset::document_begin(std::int64_t document) const {
  const std::int64_t sequence = index_.first_sequence(document);
  return sequence == index_.sequences() ? tokens_ : index_.sequence_at(sequence) / indexed::token_bytes(dtype_);
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

void IndexedDataset::verify_tokens(std::int64_t vocabulary_size, int threads) const {
  struct Part {
    std::int64_t begin = 0;
    std::int64_t bad = -1;  // the first one's place in the part
    std::int32_t bad_token = 0;
  };
  std::int64_t next = 0;
  std::vector<std::vector<std::int32_t>> of_worker(static_cast<std::size_t>(threads));
  work_in_order<Part>(
      threads,
      [&](Part& part) {
        part.begin = next;
        next += kVerifiedAtOnce;
        return part.begin < tokens();
      },
      [&](int worker, Part& part) {
        std::vector<std::int32_t>& ids = of_worker[static_cast<std::size_t>(worker)];
        ids.resize(static_cast<std::size_t>(std::min(tokens() - part.begin, kVerifiedAtOnce)));
        read(part.begin, ids);
        const auto bad =
            std::find_if(ids.begin(), ids.end(), [&](std::int32_t id) { return id < 0 || id >= vocabulary_size; });
        if (bad == ids.end()) return;
        part.bad = bad - ids.begin();
        part.bad_token = *bad;
      },
      [&](const Part& part) {
        if (part.bad < 0) return;
        const std::int64_t position = part.begin + part.bad;
        std::int64_t document = 0, behind = documents();  // the last document that begins at or before the token
        while (behind - document > 1) {
          const std::int64_t middle = document + (behind - document) / 2;
          (document_begin(middle) <= position ? document : behind) = middle;
        }
        throw DataError("{}: byte {}: token {} of document {} is {}, but the vocabulary has ids 0 to {}",
                        bin_.path().string(), position * indexed::token_bytes(dtype_), position, document,
                        part.bad_token, vocabulary_size - 1);
      });
}

}  // namespace stoa::trainer
