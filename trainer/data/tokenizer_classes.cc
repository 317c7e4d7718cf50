#include "stoa/trainer/data/tokenizer_classes.h"

#include <algorithm>

namespace stoa::trainer {
namespace {

constexpr std::uint32_t kRuns[] = {
#include "stoa/trainer/data/tokenizer_class_runs.inc"
};
constexpr char32_t kCodePoints = 0x110000;

}  // namespace

CharacterClasses::CharacterClasses() {
  const auto* next_run = std::begin(kRuns);
  std::uint8_t current = 0;
  for (char32_t first = 0; first < kCodePoints; first += kPageSize) {
    std::array<std::uint8_t, kPageSize> page{};
    for (std::size_t i = 0; i < kPageSize; ++i) {
      if (next_run != std::end(kRuns) && *next_run >> 3 == first + i) current = *next_run++ & 7;
      page[i] = current;
    }
    const auto same = std::find(pages_.begin(), pages_.end(), page);
    page_of_.push_back(static_cast<std::uint16_t>(same - pages_.begin()));
    if (same == pages_.end()) pages_.push_back(page);
  }
}

const CharacterClasses& character_classes() {
  static const CharacterClasses classes;
  return classes;
}

}  // namespace stoa::trainer
