#include "stoa/trainer/curation/utf8_step.h"

#include "stoa/trainer/curation/text_units.h"

namespace stoa::trainer {

std::span<const std::string_view> Utf8Step::reasons() const {
  static constexpr std::string_view kReasons[] = {"invalid_utf8"};
  return kReasons;
}

Outcome Utf8Step::apply(Document& document) {
  auto repaired = repaired_utf8(document.text());
  if (!repaired) return {};
  document.replace(std::move(repaired->text));
  return {.kind = Outcome::Kind::kChanged, .reasons = 1, .at = repaired->first, .replaced = {{0, repaired->replaced}}};
}

}  // namespace stoa::trainer
