#include "stoa/trainer/curation/length_step.h"

#include "stoa/trainer/curation/text_units.h"

namespace stoa::trainer {
namespace {

enum class Reason { kFewBytes, kManyBytes, kFewCharacters, kManyCharacters, kFewWords, kManyWords };
constexpr std::string_view kReasons[] = {"too_few_bytes",       "too_many_bytes", "too_few_characters",
                                         "too_many_characters", "too_few_words",  "too_many_words"};

bool is_above(std::int64_t size, std::int64_t most) { return most > 0 && size > most; }

}  // namespace

std::span<const std::string_view> LengthStep::reasons() const { return kReasons; }

Outcome LengthStep::apply(Document& document) {
  const std::string_view text = document.text();
  const auto bytes = static_cast<std::int64_t>(text.size());
  if (bytes < settings_.least_bytes) return dropped(Reason::kFewBytes);
  if (is_above(bytes, settings_.most_bytes)) return dropped(Reason::kManyBytes);
  if (settings_.least_characters > 0 || settings_.most_characters > 0) {
    const auto characters = static_cast<std::int64_t>(count_characters(text));
    if (characters < settings_.least_characters) return dropped(Reason::kFewCharacters);
    if (is_above(characters, settings_.most_characters)) return dropped(Reason::kManyCharacters);
  }
  if (settings_.least_words > 0 || settings_.most_words > 0) {
    std::int64_t words = 0;
    for_each_word(text, [&](const Word&) { ++words; });
    if (words < settings_.least_words) return dropped(Reason::kFewWords);
    if (is_above(words, settings_.most_words)) return dropped(Reason::kManyWords);
  }
  return {};
}

}  // namespace stoa::trainer
