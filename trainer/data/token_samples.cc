#include "stoa/trainer/data/token_samples.h"

#include <algorithm>
#include <bit>

#include "stoa/base/error.h"

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

/// Epochs of one order; the orders of the sources of a mixture follow each other.
constexpr int kEpochBits = 40;

}  // namespace

Permutation::Permutation(std::uint64_t n, std::uint64_t seed, std::uint64_t number, RandomPurpose purpose)
    : n_(n), bits_(static_cast<int>(std::bit_width(n - 1))) {
  if (n == 0 || n > std::uint64_t{1} << 62) throw InternalError("a permutation of {} numbers (1 to 2^62)", n);
  const PhiloxKey key = philox_key(seed, purpose, number);
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
                           DataSplit split, std::uint32_t source)
    : dataset_(dataset),
      context_length_(context_length),
      split_(split),
      seed_(settings.seed),
      order_(std::uint64_t{source} << kEpochBits),
      held_out_fraction_(settings.held_out_fraction),
      held_out_key_(philox_key(settings.seed, RandomPurpose::kHeldOut)),
      rules_(settings.document_rules()) {
  if (context_length < 1) throw InternalError("samples of {} tokens", context_length);
  group_begins_.reserve(static_cast<std::size_t>(dataset.documents() / kGroup + 2));
  std::int64_t tokens = 0;
  std::int64_t documents = 0;
  for (std::int64_t document = 0; document < dataset.documents(); ++document) {
    if (document % kGroup == 0) group_begins_.push_back(tokens);
    const std::int64_t size = split_size(document);
    tokens += size;
    documents += size > 0 ? 1 : 0;
  }
  group_begins_.push_back(tokens);
  if (tokens < context_length + 1)
    throw DataError(
        "{}: the {} split has {} tokens in {} of {} documents (data.held_out_fraction {}), but one sample of "
        "model.context_length {} needs {}",
        dataset.prefix().string(), split == DataSplit::kHeldOut ? "held-out" : "training", tokens, documents,
        dataset.documents(), settings.held_out_fraction, context_length, context_length + 1);
  samples_ = (tokens - 1) / context_length;
}

std::int64_t TokenSamples::split_size(std::int64_t document) const {
  bool held_out = false;
  if (held_out_fraction_ > 0) {
    const PhiloxBlock block = philox_block(held_out_key_, static_cast<std::uint64_t>(document));
    held_out = uniform_double(block[0], block[1]) < held_out_fraction_;
  }
  return held_out == (split_ == DataSplit::kHeldOut) ? dataset_.document_size(document) : 0;
}

void TokenSamples::read(std::int64_t index, const SampleSpans& sample) const {
  const auto length = static_cast<std::size_t>(context_length_);
  const bool documents_fit = sample.document_begins.empty() || sample.document_begins.size() == length;
  if (index < 0 || sample.inputs.size() != length || sample.targets.size() != length || !documents_fit)
    throw InternalError("sample {} read into {} inputs and {} targets; the context has {} tokens", index,
                        sample.inputs.size(), sample.targets.size(), length);
  const auto epoch = static_cast<std::uint64_t>(index / samples_);
  auto place = static_cast<std::uint64_t>(index % samples_);
  if (split_ == DataSplit::kTrain)
    place = Permutation(static_cast<std::uint64_t>(samples_), seed_, order_ + epoch)(place);
  const std::int64_t begin = static_cast<std::int64_t>(place) * context_length_;
  read_stream(begin, sample.inputs, sample.document_begins);
  std::copy(sample.inputs.begin() + 1, sample.inputs.end(), sample.targets.begin());
  read_stream(begin + context_length_, sample.targets.last(1), {});
}

void TokenSamples::read_stream(std::int64_t begin, std::span<std::int32_t> out,
                               std::span<std::int32_t> document_begins) const {
  const auto after = std::upper_bound(group_begins_.begin(), group_begins_.end(), begin);
  const std::ptrdiff_t group = after - group_begins_.begin() - 1;
  std::int64_t document_begin = group_begins_[static_cast<std::size_t>(group)];
  std::size_t done = 0;
  for (std::int64_t document = group * kGroup; done < out.size(); ++document) {
    const std::int64_t size = split_size(document);
    const std::int64_t at = begin + static_cast<std::int64_t>(done);
    const std::int64_t available = document_begin + size - at;
    if (available > 0) {
      const auto part = out.subspan(done, std::min(out.size() - done, static_cast<std::size_t>(available)));
      dataset_.read(dataset_.document_begin(document) + at - document_begin, part);
      if (!document_begins.empty())
        std::fill_n(document_begins.begin() + static_cast<std::ptrdiff_t>(done), part.size(),
                    static_cast<std::int32_t>(done));
      done += part.size();
    }
    document_begin += size;
  }
}

}  // namespace stoa::trainer
