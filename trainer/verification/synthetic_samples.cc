#include "stoa/trainer/verification/synthetic_samples.h"

#include <limits>

#include "stoa/trainer/data/token_samples.h"
#include "stoa/trainer/kernels/philox.h"

namespace stoa::trainer {

std::int64_t SyntheticSamples::samples() const {
  return std::numeric_limits<std::int64_t>::max() / settings_.context_length - 1;
}

std::int32_t SyntheticSamples::token(std::int64_t place) const {
  const auto ids = std::uint64_t(settings_.vocabulary_size), at = std::uint64_t(place);
  return std::int32_t(Permutation(ids, settings_.seed, at / ids)(at % ids));
}

bool SyntheticSamples::begins_document(std::int64_t index, std::int64_t in_sample) const {
  if (in_sample == 0 || index % 3 == 0) return false;
  const PhiloxKey key = philox_key(settings_.seed, RandomPurpose::kHeldOut);
  return uniform_float(philox_block(key, std::uint64_t(index), std::uint64_t(in_sample))[0]) < 0.25F;
}

void SyntheticSamples::read(std::int64_t index, const SampleSpans& sample) const {
  const std::int64_t tokens = settings_.context_length;
  std::int32_t begin = 0;
  for (std::int64_t t = 0; t < tokens; ++t) {
    const auto at = std::size_t(t);
    sample.inputs[at] = token(index * tokens + t);
    sample.targets[at] = token(index * tokens + t + 1);
    if (begins_document(index, t)) begin = std::int32_t(t);
    if (!sample.document_begins.empty()) sample.document_begins[at] = begin;
  }
}

}  // namespace stoa::trainer
