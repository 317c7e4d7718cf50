#include "stoa/trainer/data/token_samples.h"

#include <algorithm>
#include <bit>

#include "stoa/base/error.h"
#include "stoa/trainer/kernels/philox.h"

namespace stoa::trainer {
namespace {

/// The order of samples depends on these numbers, and a resumed run must see the same order: never change them.
constexpr int kRounds = 8;

/// The finalizer of splitmix64 (Steele, Lea and Flood 2014).
constexpr std::uint64_t mix(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31);
}

bool is_held_out(const DataSettings& settings, std::int64_t document) {
  const PhiloxKey key = philox_key(settings.seed, RandomPurpose::kHeldOut);
  const PhiloxBlock block = philox_block(key, static_cast<std::uint64_t>(document));
  return uniform_double(block[0], block[1]) < settings.held_out_fraction;
}

}  // namespace

Permutation::Permutation(std::uint64_t n, std::uint64_t seed, std::uint64_t number)
    : n_(n), bits_(static_cast<int>(std::bit_width(n - 1))) {
  if (n == 0 || n > std::uint64_t{1} << 62) throw InternalError("a permutation of {} numbers (1 to 2^62)", n);
  const PhiloxKey key = philox_key(seed, RandomPurpose::kSampleOrder, number);
  key_ = (std::uint64_t{key.high} << 32) | key.low;
}

std::uint64_t Permutation::operator()(std::uint64_t index) const {
  // Two parts of unequal width where the bits are odd: each round changes one part by the other, which any width
  // undoes.
  const int low_bits = (bits_ + 1) / 2;
  const std::uint64_t low_mask = (std::uint64_t{1} << low_bits) - 1;
  const std::uint64_t high_mask = (std::uint64_t{1} << (bits_ - low_bits)) - 1;
  do {
    std::uint64_t low = index & low_mask;
    std::uint64_t high = index >> low_bits;
    std::uint64_t round_key = key_;
    for (int round = 0; round < kRounds; round += 2) {
      low ^= mix(high + (round_key += 0x9E3779B97F4A7C15U)) & low_mask;
      high ^= mix(low + (round_key += 0x9E3779B97F4A7C15U)) & high_mask;
    }
    index = (high << low_bits) | low;
  } while (index >= n_);
  return index;
}

TokenSamples::TokenSamples(const IndexedDataset& dataset, const DataSettings& settings, std::int64_t context_length,
                           DataSplit split)
    : dataset_(dataset), context_length_(context_length), split_(split), seed_(settings.seed) {
  if (context_length < 1) throw InternalError("samples of {} tokens", context_length);
  begins_.push_back(0);
  for (std::int64_t document = 0; document < dataset.documents(); ++document) {
    const bool wanted = is_held_out(settings, document) == (split == DataSplit::kHeldOut);
    if (!wanted || dataset.document_size(document) == 0) continue;
    documents_.push_back(document);
    begins_.push_back(begins_.back() + dataset.document_size(document));
  }
  if (tokens() < context_length + 1)
    throw DataError(
        "{}: the {} split has {} tokens in {} of {} documents (data.held_out_fraction {}), but one sample of "
        "model.context_length {} needs {}",
        dataset.prefix().string(), split == DataSplit::kHeldOut ? "held-out" : "training", tokens(), documents_.size(),
        dataset.documents(), settings.held_out_fraction, context_length, context_length + 1);
  samples_ = (tokens() - 1) / context_length;
}

std::int64_t TokenSamples::tokens() const { return begins_.back(); }

void TokenSamples::read(std::int64_t index, std::span<std::int32_t> inputs, std::span<std::int32_t> targets) const {
  const auto length = static_cast<std::size_t>(context_length_);
  if (index < 0 || inputs.size() != length || targets.size() != length)
    throw InternalError("sample {} read into {} inputs and {} targets; the context has {} tokens", index, inputs.size(),
                        targets.size(), length);
  const auto epoch = static_cast<std::uint64_t>(index / samples_);
  auto place = static_cast<std::uint64_t>(index % samples_);
  if (split_ == DataSplit::kTrain) place = Permutation(static_cast<std::uint64_t>(samples_), seed_, epoch)(place);
  const std::int64_t begin = static_cast<std::int64_t>(place) * context_length_;
  read_stream(begin, inputs);
  std::copy(inputs.begin() + 1, inputs.end(), targets.begin());
  read_stream(begin + context_length_, targets.last(1));
}

void TokenSamples::read_stream(std::int64_t begin, std::span<std::int32_t> out) const {
  const auto after = std::upper_bound(begins_.begin(), begins_.end(), begin);
  for (auto entry = static_cast<std::size_t>(after - begins_.begin()) - 1; !out.empty(); ++entry) {
    const std::int64_t available = begins_[entry + 1] - begin;
    const auto part = out.first(std::min(out.size(), static_cast<std::size_t>(available)));
    dataset_.read(dataset_.document_begin(documents_[entry]) + begin - begins_[entry], part);
    out = out.subspan(part.size());
    begin += static_cast<std::int64_t>(part.size());
  }
}

}  // namespace stoa::trainer
