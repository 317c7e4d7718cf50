#include "stoa/trainer/curation/length_step.h"

#include "stoa/trainer/curation/text_units.h"

namespace stoa::trainer {
namespace {

enum class Reason { kFewBytes, kManyBytes, kFewCharacters, kManyCharacters, kFewWords, kManyWords };
constexpr std::string_view kReasons[] = {"too_few_bytes",       "too_many_bytes", "too_few_characters",
                                         "too_many_characters", "too_few_words",  "too_many_words"};

bool is_limited(std::int64_t least, std::int64_t most) { return least > 0 || most < LengthSettings::kNoLimit; }

}  // namespace

std::span<const std::string_view> LengthStep::reasons() const { return kReasons; }

Outcome LengthStep::apply(Document& document) {
  const std::string_view text = document.text();
  const auto bytes = static_cast<std::int64_t>(text.size());
  if (bytes < settings_.least_bytes) return dropped(Reason::kFewBytes);
  if (bytes > settings_.most_bytes) return dropped(Reason::kManyBytes);
  if (is_limited(settings_.least_characters, settings_.most_characters)) {
    const auto characters = static_cast<std::int64_t>(count_characters(text));
    if (characters < settings_.least_characters) return dropped(Reason::kFewCharacters);
    if (characters > settings_.most_characters) return dropped(Reason::kManyCharacters);
  }
  if (is_limited(settings_.least_words, settings_.most_words)) {
    std::int64_t words = 0;
    for_each_word(text, [&](const Word&) { ++words; });
    if (words < settings_.least_words) return dropped(Reason::kFewWords);
    if (words > settings_.most_words) return dropped(Reason::kManyWords);
  }
  return {};
}

}  // namespace stoa::trainer
