#pragma once
/// What training and evaluation read: samples by their number, with no state, so that any rank asks for any sample.
#include <cstdint>
#include <span>

#include "stoa/trainer/settings.h"

namespace stoa::trainer {

/// Where the parts of one sample of T = context_length tokens go.
struct SampleSpans {
  std::span<std::int32_t> inputs;
  std::span<std::int32_t> targets;  ///< the inputs shifted by one
  /// For each input the index in the sample of its document's first token, 0 where that lies before the sample. May be
  /// empty: not asked for.
  std::span<std::int32_t> document_begins;
};

/// Any thread may read.
class SampleStream {
 public:
  virtual ~SampleStream() = default;

  /// Samples before the stream repeats itself or ends.
  virtual std::int64_t samples() const = 0;
  virtual void read(std::int64_t index, const SampleSpans& sample) const = 0;
  virtual DocumentRules document_rules() const = 0;
};

}  // namespace stoa::trainer
