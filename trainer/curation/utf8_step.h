#pragma once
/// Always the first step: text that is no UTF-8 cannot stand in JSON and would fool every step after it. Each longest
/// invalid part becomes U+FFFD.
#include "stoa/trainer/curation/document_step.h"

namespace stoa::trainer {

/// Takes any bytes.
class Utf8Step final : public DocumentStep {
 public:
  std::span<const std::string_view> reasons() const override;
  Outcome apply(Document& document) override;
};

}  // namespace stoa::trainer
