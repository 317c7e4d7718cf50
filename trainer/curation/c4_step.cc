#include "stoa/trainer/curation/c4_step.h"

#include <algorithm>
#include <array>

#include "stoa/trainer/curation/text_units.h"

namespace stoa::trainer {
namespace {

enum class Reason { kBadPage, kBraces, kFewSentences, kEndPunctuation, kFewWords, kLongWord, kBadLine };
constexpr std::string_view kReasons[] = {
    "bad_page",      "braces",  "too_few_sentences", "no_end_punctuation", "too_few_words_in_line",
    "word_too_long", "bad_line"};

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

bool ends_a_sentence(std::string_view line) {
  if (line.ends_with("...") || line.ends_with("\u2026")) return false;
  return line.ends_with('.') || line.ends_with('?') || line.ends_with('!') || line.ends_with('"') ||
         line.ends_with("\u201D");
}

bool is_closing(char c) { return c == '"' || c == '\'' || c == ')' || c == ']'; }

std::int64_t count_sentences(std::string_view text) {
  std::int64_t sentences = 0;
  for (std::size_t at = text.find_first_of(".?!"); at != std::string_view::npos; at = text.find_first_of(".?!", at)) {
    while (at < text.size() && (text[at] == '.' || text[at] == '?' || text[at] == '!')) ++at;
    for (bool closing = true; closing && at < text.size();) {
      closing = is_closing(text[at]) || text.substr(at).starts_with("\u201D") || text.substr(at).starts_with("\u2019");
      if (closing) at += is_closing(text[at]) ? 1 : 3;
    }
    if (at == text.size() || is_space(decode_utf8(text.data() + at).value)) ++sentences;
  }
  return sentences;
}

}  // namespace

C4Step::C4Step(const C4Settings& settings) : settings_(settings) {
  for (auto* list : {&settings_.bad_lines, &settings_.bad_pages})
    for (std::string& text : *list) std::transform(text.begin(), text.end(), text.begin(), ascii_lower);
}

std::span<const std::string_view> C4Step::reasons() const { return kReasons; }

Outcome C4Step::apply(Document& document) {
  const std::string_view text = document.text();
  lower_.resize(text.size());
  std::transform(text.begin(), text.end(), lower_.begin(), ascii_lower);
  for (const std::string& bad : settings_.bad_pages)
    if (contains(lower_, bad)) return dropped(Reason::kBadPage);
  if (settings_.drop_braces && contains(text, "{")) return dropped(Reason::kBraces);
  bad_lines_here_.clear();
  for (const std::string& bad : settings_.bad_lines)
    if (contains(lower_, bad)) bad_lines_here_.push_back(bad);

  const auto why_not = [&](std::string_view line) -> std::optional<Reason> {
    const auto begin = static_cast<std::size_t>(line.data() - text.data());
    const std::string_view lower = std::string_view(lower_).substr(begin, line.size());
    line = stripped(line);
    if (line.empty()) return std::nullopt;
    if (settings_.require_end_punctuation && !ends_a_sentence(line)) return Reason::kEndPunctuation;
    std::int64_t words = 0, longest = 0;
    for_each_word(line, [&](const Word& word) {
      ++words;
      longest = std::max(longest, static_cast<std::int64_t>(word.characters));
    });
    if (words < settings_.least_words_in_line) return Reason::kFewWords;
    if (longest > settings_.longest_word) return Reason::kLongWord;
    for (const std::string_view bad : bad_lines_here_)
      if (contains(lower, bad)) return Reason::kBadLine;
    return std::nullopt;
  };
  std::array<std::int64_t, std::size(kReasons)> removed{};
  std::optional<std::size_t> first;
  std::string kept;
  const char* copied = text.data();  // what stands before it is in `kept` or was removed
  for_each_line(text, [&](std::string_view line) {
    const std::optional<Reason> reason = why_not(line);
    if (!reason) return;
    ++removed[static_cast<std::size_t>(*reason)];
    kept.append(copied, line.data());
    if (!first) first = kept.size();
    const std::size_t newline = text.find('\n', static_cast<std::size_t>(line.data() + line.size() - text.data()));
    copied = text.data() + (newline == std::string_view::npos ? text.size() : newline + 1);
  });
  if (first) kept.append(copied, text.data() + text.size());
  if (count_sentences(first ? std::string_view(kept) : text) < settings_.least_sentences)
    return dropped(Reason::kFewSentences);
  if (!first) return {};
  Outcome outcome{.kind = Outcome::Kind::kChanged, .at = *first};
  for (std::uint32_t reason = 0; reason < removed.size(); ++reason) {
    if (removed[reason] == 0) continue;
    outcome.reasons |= std::uint32_t{1} << reason;
    outcome.replaced.push_back({reason, removed[reason]});
  }
  document.replace(std::move(kept));
  return outcome;
}

}  // namespace stoa::trainer
