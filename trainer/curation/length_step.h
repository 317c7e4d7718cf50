#pragma once
/// Drops documents that are too short or too long, in bytes, characters or words (text_units.h).
#include "stoa/trainer/curation/document_step.h"

namespace stoa::trainer {

/// 0: no upper limit.
struct LengthSettings {
  std::int64_t least_bytes = 0, most_bytes = 0;
  std::int64_t least_characters = 0, most_characters = 0;
  std::int64_t least_words = 0, most_words = 0;
};

class LengthStep final : public DocumentStep {
 public:
  explicit LengthStep(const LengthSettings& settings) : settings_(settings) {}
  std::span<const std::string_view> reasons() const override;
  Outcome apply(Document& document) override;

 private:
  LengthSettings settings_;
};

}  // namespace stoa::trainer
