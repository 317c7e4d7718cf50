#include "stoa/trainer/curation/repetition_step.h"

#include <algorithm>
#include <bit>

#include "stoa/base/checksum.h"
#include "stoa/trainer/curation/text_units.h"

namespace stoa::trainer {
namespace {

/// 0, 1: lines, paragraphs; 2, 3: their characters; 4 .. 6: top n-grams; 7 .. 12: duplicate n-grams.
constexpr std::string_view kReasons[] = {"duplicate_lines",
                                         "duplicate_paragraphs",
                                         "duplicate_line_characters",
                                         "duplicate_paragraph_characters",
                                         "top_2_gram",
                                         "top_3_gram",
                                         "top_4_gram",
                                         "duplicate_5_grams",
                                         "duplicate_6_grams",
                                         "duplicate_7_grams",
                                         "duplicate_8_grams",
                                         "duplicate_9_grams",
                                         "duplicate_10_grams"};
constexpr std::size_t kMostBytes = std::size_t{8} << 20;
constexpr std::uint32_t kNoReason = ~std::uint32_t{0};

std::uint64_t hash_of(std::string_view text) {
  const std::uint64_t hash = xxh3_64(std::as_bytes(std::span(text)));
  return hash == 0 ? 1 : hash;
}

/// How much of a document's units stood there before.
struct Repeats {
  std::uint64_t units = 0, repeated = 0, characters = 0, repeated_characters = 0;
  void add(std::size_t length, bool seen) {
    ++units;
    characters += length;
    repeated += seen ? 1 : 0;
    repeated_characters += seen ? length : 0;
  }
};

bool exceeds(std::uint64_t part, std::uint64_t whole, double most) {
  return static_cast<double>(part) > most * static_cast<double>(whole);
}

}  // namespace

RepetitionStep::RepetitionStep(const RepetitionSettings& s)
    : settings_(s), most_top_{s.top_2_gram, s.top_3_gram, s.top_4_gram}, most_duplicates_{s.duplicate_5_grams,
                                                                                          s.duplicate_6_grams,
                                                                                          s.duplicate_7_grams,
                                                                                          s.duplicate_8_grams,
                                                                                          s.duplicate_9_grams,
                                                                                          s.duplicate_10_grams} {}

std::span<const std::string_view> RepetitionStep::reasons() const { return kReasons; }

void RepetitionStep::clear_table(std::size_t most_entries) {
  table_.assign(std::bit_ceil(2 * most_entries + 2), Slot{});
}

/// The slot of the hash, or the free one where it belongs.
RepetitionStep::Slot& RepetitionStep::slot(std::uint64_t hash) {
  const std::size_t mask = table_.size() - 1;
  std::size_t at = static_cast<std::size_t>((hash * 0x9E3779B97F4A7C15U) >> 32) & mask;
  while (table_[at].hash != 0 && table_[at].hash != hash) at = (at + 1) & mask;
  return table_[at];
}

std::uint32_t RepetitionStep::repeated_lines(std::string_view text) {
  const auto newlines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  clear_table(2 * (newlines + 1));  // lines and paragraphs share it: their hashes differ by a salt
  Repeats lines, paragraphs;
  const auto seen = [&](std::uint64_t hash) {
    Slot& found = slot(hash);
    const bool before = found.hash != 0;
    found.hash = hash;
    return before;
  };
  std::uint64_t paragraph_hash = 0, paragraph_length = 0;
  const auto end_paragraph = [&] {
    if (paragraph_length == 0) return;
    paragraphs.add(paragraph_length, seen(paragraph_hash | 1));
    paragraph_hash = paragraph_length = 0;
  };
  for_each_line(text, [&](std::string_view line) {
    line = stripped(line);
    if (line.empty()) return end_paragraph();
    const std::uint64_t hash = hash_of(line);
    const std::size_t length = count_characters(line);
    lines.add(length, seen((hash & ~std::uint64_t{1}) | (hash < 2 ? 2 : 0)));
    paragraph_hash = (paragraph_hash ^ hash) * 0xD6E8FEB86659FD93U + length;
    paragraph_length += length;
  });
  end_paragraph();
  if (exceeds(lines.repeated, lines.units, settings_.duplicate_lines)) return 0;
  if (exceeds(paragraphs.repeated, paragraphs.units, settings_.duplicate_paragraphs)) return 1;
  if (exceeds(lines.repeated_characters, lines.characters, settings_.duplicate_line_characters)) return 2;
  if (exceeds(paragraphs.repeated_characters, paragraphs.characters, settings_.duplicate_paragraph_characters))
    return 3;
  return kNoReason;
}

void RepetitionStep::take_words(std::string_view text) {
  words_.clear();
  ends_.assign(1, 0);
  for_each_word(text, [&](const Word& word) {
    words_.push_back(hash_of(text.substr(word.begin, word.end - word.begin)));
    ends_.push_back(ends_.back() + word.characters);
  });
  grams_ = words_;
}

/// From n-grams of n - 1 words to those of n.
void RepetitionStep::lengthen_grams(std::size_t n) {
  if (words_.size() < n) return grams_.clear();
  for (std::size_t i = 0; i + n <= words_.size(); ++i) {
    const std::uint64_t mixed = (std::rotl(grams_[i], 23) ^ words_[i + n - 1]) * 0xD6E8FEB86659FD93U;
    grams_[i] = mixed == 0 ? 1 : mixed;
  }
  grams_.resize(words_.size() - n + 1);
}

double RepetitionStep::top_gram_fraction(std::size_t n) {
  clear_table(grams_.size());
  std::uint64_t top = 0;
  for (std::size_t i = 0; i < grams_.size(); ++i) {
    Slot& found = slot(grams_[i]);
    found.hash = grams_[i];
    if (++found.amount > 1) top = std::max(top, found.amount * (ends_[i + n] - ends_[i]));
  }
  return ends_.back() == 0 ? 0 : static_cast<double>(top) / static_cast<double>(ends_.back());
}

double RepetitionStep::duplicate_gram_fraction(std::size_t n) {
  clear_table(grams_.size());
  std::uint64_t covered = 0;
  std::size_t covered_to = 0;  // words before this one are counted already where they are duplicates
  for (std::size_t i = 0; i < grams_.size(); ++i) {
    Slot& found = slot(grams_[i]);
    if (found.hash != 0) {
      covered += ends_[i + n] - ends_[std::max(i, covered_to)];
      covered_to = i + n;
    }
    found.hash = grams_[i];
  }
  return ends_.back() == 0 ? 0 : static_cast<double>(covered) / static_cast<double>(ends_.back());
}

Outcome RepetitionStep::apply(Document& document) {
  const std::string_view text = first_bytes(document.text(), kMostBytes);
  if (const std::uint32_t reason = repeated_lines(text); reason != kNoReason) return dropped(reason);
  take_words(text);
  for (std::size_t n = 2; n <= 4; ++n) {
    lengthen_grams(n);
    if (top_gram_fraction(n) > most_top_[n - 2]) return dropped(n + 2);
  }
  for (std::size_t n = 5; n <= 10; ++n) {
    lengthen_grams(n);
    const double fraction = duplicate_gram_fraction(n);
    if (fraction > most_duplicates_[n - 5]) return dropped(n + 2);
    // Every word inside a duplicate of n + 1 words is inside one of n: longer n-grams cover no more than this.
    if (fraction <=
        *std::min_element(most_duplicates_.begin() + static_cast<std::ptrdiff_t>(n - 5), most_duplicates_.end()))
      break;
  }
  return {};
}

}  // namespace stoa::trainer
