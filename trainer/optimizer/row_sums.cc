#include "stoa/trainer/optimizer/row_sums.h"

#include <algorithm>
#include <bit>
#include <numeric>

namespace stoa::trainer {
namespace {

using parallel::Slice;

constexpr std::int64_t kWordBits = 64;

std::size_t words_of(const RowShape& shape) { return std::size_t((shape.rows() + kWordBits - 1) / kWordBits); }

std::int64_t packed_size(std::int64_t elements, int ranks) { return std::max<std::int64_t>(elements, ranks); }

bool is_touched(std::span<const float> row) {
  std::uint32_t bits = 0;
  for (const float value : row) bits |= std::bit_cast<std::uint32_t>(value);
  return bits != 0;
}

/// Goes through the touched elements of one part.
class Cursor {
 public:
  Cursor(std::span<const Slice> runs, const Slice& part) : part_(part) {
    const auto first =
        std::partition_point(runs.begin(), runs.end(), [&](const Slice& r) { return r.end <= part.begin; });
    const auto last = std::partition_point(first, runs.end(), [&](const Slice& r) { return r.begin < part.end; });
    runs_ = {first, last};
    for (const Slice& run : runs_) left_ += clipped(run).size();
    if (!runs_.empty()) at_ = clipped(runs_.front()).begin;
  }

  std::int64_t left() const { return left_; }

  /// Calls visit(slice) for the next `count` elements. REQUIRES: count <= left().
  template <typename Visit>
  void take(std::int64_t count, Visit&& visit) {
    left_ -= count;
    while (count > 0) {
      const std::int64_t end = clipped(runs_.front()).end;
      const Slice slice{at_, std::min(end, at_ + count)};
      visit(slice);
      count -= slice.size();
      at_ = slice.end;
      if (at_ < end) continue;
      runs_ = runs_.subspan(1);
      if (!runs_.empty()) at_ = runs_.front().begin;
    }
  }

 private:
  Slice clipped(const Slice& run) const { return {std::max(run.begin, part_.begin), std::min(run.end, part_.end)}; }

  Slice part_;
  std::span<const Slice> runs_;
  std::int64_t left_ = 0, at_ = 0;
};

/// One cursor for each part of the gradient.
std::vector<Cursor> cursors_of(std::span<const Slice> runs, std::span<const std::size_t> parts) {
  std::vector<Cursor> cursors;
  std::int64_t begin = 0;
  for (const std::size_t part : parts) {
    cursors.emplace_back(runs, Slice{begin, begin + std::int64_t(part)});
    begin += std::int64_t(part);
  }
  return cursors;
}

/// The next elements of each part, one part behind the other; sizes[r] of part r. False where none are left.
bool pack_next(std::span<Cursor> cursors, std::span<const float> terms, std::span<float> packed,
               std::span<std::size_t> sizes) {
  const std::int64_t share = std::ssize(packed) / std::ssize(cursors);
  float* to = packed.data();
  for (std::size_t r = 0; r < cursors.size(); ++r) {
    const std::int64_t size = std::min(share, cursors[r].left());
    sizes[r] = std::size_t(size);
    cursors[r].take(size, [&](const Slice& slice) { to = std::copy_n(terms.data() + slice.begin, slice.size(), to); });
  }
  return to != packed.data();
}

}  // namespace

RowSums::RowSums(parallel::Communicator& data, const RowShape& shape, std::int64_t packed_elements)
    : shape_(shape), mask_words_(words_of(shape)), mask_(mask_words_), masks_(mask_words_ * std::size_t(data.size())) {
  const auto size = std::size_t(packed_size(packed_elements, data.size()));
  memory_ = data.allocate(size * sizeof(float), "touched rows");
  packed_ = {reinterpret_cast<float*>(memory_->bytes().data()), size};
  runs_.reserve(std::size_t(shape.rows()) / 2 + 1);
}

std::size_t RowSums::memory_bytes(const RowShape& shape, std::int64_t packed_elements, int ranks) {
  return std::size_t(packed_size(packed_elements, ranks)) * sizeof(float) +
         words_of(shape) * sizeof(std::uint64_t) * std::size_t(ranks + 1) +
         (std::size_t(shape.rows()) / 2 + 1) * sizeof(Slice);
}

void RowSums::mark_touched(std::span<const float> terms, std::span<std::uint64_t> mask) const {
  std::ranges::fill(mask, 0);
  for (std::int64_t row = 0; row < shape_.rows(); ++row) {
    const std::int64_t begin = row * shape_.width, size = std::min(shape_.width, shape_.elements - begin);
    if (is_touched(terms.subspan(std::size_t(begin), std::size_t(size))))
      mask[std::size_t(row / kWordBits)] |= std::uint64_t{1} << (row % kWordBits);
  }
}

void RowSums::unite_masks() {
  std::ranges::fill(mask_, 0);
  for (std::size_t i = 0; i < masks_.size(); ++i) mask_[i % mask_words_] |= masks_[i];
  touched_rows_ = 0;
  for (const std::uint64_t word : mask_) touched_rows_ += std::popcount(word);
}

void RowSums::add_run(std::int64_t row) {
  const Slice slice{row * shape_.width, std::min((row + 1) * shape_.width, shape_.elements)};
  if (!runs_.empty() && runs_.back().end == slice.begin)
    runs_.back().end = slice.end;
  else
    runs_.push_back(slice);
}

/// Collective. Sets runs_ where it is true.
bool RowSums::few_are_touched(parallel::Communicator& data, std::span<const float> terms) {
  mark_touched(terms, mask_);
  data.all_gather(std::as_bytes(std::span(mask_)), std::as_writable_bytes(std::span(masks_)), "touched rows");
  unite_masks();
  if (2 * touched_rows_ > shape_.rows()) return false;
  runs_.clear();
  for (std::size_t word = 0; word < mask_words_; ++word)
    for (std::uint64_t bits = mask_[word]; bits != 0; bits &= bits - 1)
      add_run(std::int64_t(word) * kWordBits + std::countr_zero(bits));
  return true;
}

void RowSums::all_reduce(parallel::Communicator& data, std::span<float> terms) {
  if (!few_are_touched(data, terms)) return data.all_reduce(terms, parallel::ReduceOp::kSum, "gradients");
  const std::size_t everything = terms.size();
  std::size_t size = 0;
  std::vector<Cursor> packing = cursors_of(runs_, {&everything, 1}), unpacking = packing;
  while (pack_next(packing, terms, packed_, {&size, 1})) {
    data.all_reduce(packed_.first(size), parallel::ReduceOp::kSum, "gradients");
    const float* from = packed_.data();
    unpacking[0].take(std::int64_t(size), [&](const Slice& slice) {
      std::copy_n(from, slice.size(), terms.data() + slice.begin);
      from += slice.size();
    });
  }
}

void RowSums::reduce_scatter(parallel::Communicator& data, std::span<float> terms, std::span<const std::size_t> parts,
                             std::span<float> mine) {
  if (!few_are_touched(data, terms)) return data.reduce_scatter(terms, parts, mine, "gradients");
  const auto me = std::size_t(data.rank());
  const auto begin = std::reduce(parts.begin(), parts.begin() + std::ptrdiff_t(me), std::size_t{0});
  // In place whatever no rank touched is zero already.
  if (mine.data() != terms.data() + begin) std::ranges::fill(mine, 0.0F);
  std::vector<std::size_t> sizes(parts.size());
  std::vector<Cursor> packing = cursors_of(runs_, parts);
  Cursor unpacking = packing[me];
  while (pack_next(packing, terms, packed_, sizes)) {
    const auto first = std::reduce(sizes.begin(), sizes.begin() + std::ptrdiff_t(me), std::size_t{0});
    const auto own = packed_.subspan(first, sizes[me]);
    const auto all = std::reduce(sizes.begin(), sizes.end(), std::size_t{0});
    data.reduce_scatter(packed_.first(all), sizes, own, "gradients");
    const float* from = own.data();
    unpacking.take(std::ssize(own), [&](const Slice& slice) {
      std::copy_n(from, slice.size(), mine.data() + (std::size_t(slice.begin) - begin));
      from += slice.size();
    });
  }
}

}  // namespace stoa::trainer
