#include "stoa/trainer/curation/quality_step.h"

#include <algorithm>
#include <bit>

#include "stoa/trainer/curation/text_units.h"

namespace stoa::trainer {
namespace {

enum class Reason {
  kFewWords,
  kManyWords,
  kMeanWordLength,
  kSymbols,
  kBulletLines,
  kEllipsisLines,
  kAlphabeticWords,
  kStopWords
};
constexpr std::string_view kReasons[] = {"too_few_words", "too_many_words", "mean_word_length", "symbols",
                                         "bullet_lines",  "ellipsis_lines", "alphabetic_words", "stop_words"};

constexpr std::string_view kDots = "...";
constexpr std::string_view kEllipsis = "\u2026";
/// Signs that begin a line of a list. '-', '*' and '+' do so only before a space.
constexpr std::string_view kBullets[] = {"\u2022", "\u2023", "\u25B6", "\u25C0", "\u25E6", "\u25A0",
                                         "\u25A1", "\u25AA", "\u25AB", "\u2013", "\u00B7"};

std::int64_t occurrences(std::string_view text, std::string_view sign) {
  std::int64_t count = 0;
  for (std::size_t at = text.find(sign); at != std::string_view::npos; at = text.find(sign, at + sign.size())) ++count;
  return count;
}

bool begins_with_bullet(std::string_view line) {
  if (line.size() > 1 && (line[0] == '-' || line[0] == '*' || line[0] == '+')) return line[1] == ' ';
  if (static_cast<unsigned char>(line[0]) < 0x80) return line == "-" || line == "*";
  return std::any_of(std::begin(kBullets), std::end(kBullets), [&](auto bullet) { return line.starts_with(bullet); });
}

struct Lines {
  std::int64_t all = 0, bullets = 0, ellipses = 0;
};

Lines count_lines(std::string_view text) {
  Lines lines;
  for_each_line(text, [&](std::string_view line) {
    line = stripped(line);
    if (line.empty()) return;
    ++lines.all;
    lines.bullets += begins_with_bullet(line) ? 1 : 0;
    lines.ellipses += line.ends_with(kDots) || line.ends_with(kEllipsis) ? 1 : 0;
  });
  return lines;
}

/// part / whole > most, without a division by zero.
bool exceeds(std::int64_t part, std::int64_t whole, double most) {
  return static_cast<double>(part) > most * static_cast<double>(whole);
}

bool is_ascii_punctuation(char c) {
  return c > ' ' && static_cast<unsigned char>(c) < 0x7F && !is_ascii_letter(c) && !is_ascii_digit(c);
}

}  // namespace

QualityStep::QualityStep(const QualitySettings& settings) : settings_(settings) {
  stop_words_.assign(
      settings.stop_words.begin(),
      settings.stop_words.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(settings.stop_words.size(), 64)));
  for (std::string& word : stop_words_) {
    std::transform(word.begin(), word.end(), word.begin(), ascii_lower);
    longest_stop_word_ = std::max(longest_stop_word_, word.size());
  }
}

std::span<const std::string_view> QualityStep::reasons() const { return kReasons; }

/// The bit of the stop word that `word` is, or 0.
std::uint64_t QualityStep::stop_word(std::string_view word) const {
  while (!word.empty() && is_ascii_punctuation(word.front())) word.remove_prefix(1);
  while (!word.empty() && is_ascii_punctuation(word.back())) word.remove_suffix(1);
  if (word.size() > longest_stop_word_) return 0;
  const auto same = [](char a, char b) { return ascii_lower(a) == b; };
  for (std::size_t i = 0; i < stop_words_.size(); ++i)
    if (word.size() == stop_words_[i].size() && std::equal(word.begin(), word.end(), stop_words_[i].begin(), same))
      return std::uint64_t{1} << i;
  return 0;
}

Outcome QualityStep::apply(Document& document) {
  const std::string_view text = document.text();
  std::int64_t words = 0, characters = 0, alphabetic = 0;
  std::uint64_t stop_words = 0;
  for_each_word(text, [&](const Word& word) {
    ++words;
    characters += static_cast<std::int64_t>(word.characters);
    alphabetic += word.has_letter ? 1 : 0;
    if (std::popcount(stop_words) < settings_.least_stop_words)
      stop_words |= stop_word(text.substr(word.begin, word.end - word.begin));
  });
  if (words < settings_.least_words) return dropped(Reason::kFewWords);
  if (words > settings_.most_words) return dropped(Reason::kManyWords);
  if (static_cast<double>(characters) < settings_.least_mean_word_length * static_cast<double>(words) ||
      exceeds(characters, words, settings_.most_mean_word_length))
    return dropped(Reason::kMeanWordLength);
  const auto hashes = static_cast<std::int64_t>(std::count(text.begin(), text.end(), '#'));
  if (exceeds(hashes, words, settings_.most_symbols_per_word) ||
      exceeds(occurrences(text, kDots) + occurrences(text, kEllipsis), words, settings_.most_symbols_per_word))
    return dropped(Reason::kSymbols);
  const Lines lines = count_lines(text);
  if (exceeds(lines.bullets, lines.all, settings_.most_bullet_lines)) return dropped(Reason::kBulletLines);
  if (exceeds(lines.ellipses, lines.all, settings_.most_ellipsis_lines)) return dropped(Reason::kEllipsisLines);
  if (static_cast<double>(alphabetic) < settings_.least_alphabetic_words * static_cast<double>(words))
    return dropped(Reason::kAlphabeticWords);
  if (std::popcount(stop_words) < settings_.least_stop_words) return dropped(Reason::kStopWords);
  return {};
}

}  // namespace stoa::trainer
