#include "stoa/trainer/data/tokenizer_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <optional>
#include <string>

#include "stoa/base/error.h"

namespace stoa::trainer {
namespace {

constexpr char32_t kCodePoints = 0x110000;

/// White_Space stands for \s: PCRE2's own \s also has U+180E, which Unicode no longer counts as a space.
constexpr std::string_view kGpt2Pattern =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\p{White_Space}\\p{L}\\p{N}]+|"
    "\\p{White_Space}+(?!\\P{White_Space})|\\p{White_Space}+";
constexpr std::string_view kLlama3Pattern =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
    "?[^\\p{White_Space}\\p{L}\\p{N}]+[\\r\\n]*|"
    "\\p{White_Space}*[\\r\\n]+|\\p{White_Space}+(?!\\P{White_Space})|\\p{White_Space}+";

struct CodeFree {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct MatchFree {
  void operator()(pcre2_match_data* match) const { pcre2_match_data_free(match); }
};

struct Match {
  std::size_t begin;
  std::size_t end;
  int group;  ///< The number of the alternative, where each is a group.
};

class Regex {
 public:
  explicit Regex(std::string_view pattern) {
    int error = 0;
    PCRE2_SIZE at = 0;
    code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), PCRE2_UTF | PCRE2_UCP,
                              &error, &at, nullptr));
    if (!code_) throw InternalError("the pattern \"{}\" is refused by PCRE2 at {} (error {})", pattern, at, error);
    pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE);  // Where the system forbids it, the interpreter matches.
    match_.reset(pcre2_match_data_create_from_pattern(code_.get(), nullptr));
  }

  /// REQUIRES: text is valid UTF-8.
  std::optional<Match> find(std::string_view text, std::size_t begin) const {
    const int result = pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), begin,
                                   PCRE2_NO_UTF_CHECK, match_.get(), nullptr);
    if (result == PCRE2_ERROR_NOMATCH) return std::nullopt;
    if (result < 0) throw InternalError("PCRE2 failed with error {} at byte {}", result, begin);
    const PCRE2_SIZE* const ends = pcre2_get_ovector_pointer(match_.get());
    return Match{ends[0], ends[1], result - 1};
  }

 private:
  std::unique_ptr<pcre2_code, CodeFree> code_;
  std::unique_ptr<pcre2_match_data, MatchFree> match_;
};

constexpr bool is_surrogate(char32_t c) { return c >= 0xD800 && c < 0xE000; }
constexpr std::size_t utf8_bytes(char32_t c) { return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4; }

void append_utf8(std::string& text, char32_t c) {
  const std::size_t bytes = utf8_bytes(c);
  constexpr std::uint8_t kLead[] = {0, 0, 0xC0, 0xE0, 0xF0};
  for (std::size_t left = bytes; left > 0; --left) {
    const char32_t bits = c >> (6 * (left - 1));
    const char32_t byte = left == bytes ? kLead[bytes] | bits : 0x80 | (bits & 0x3F);
    text += static_cast<char>(byte);
  }
}

std::string every_character() {
  std::string text;
  for (char32_t c = 0; c < kCodePoints; ++c)
    if (!is_surrogate(c)) append_utf8(text, c);
  return text;
}

std::vector<std::uint8_t> class_of_every_character() {
  std::vector<std::uint8_t> classes(kCodePoints, static_cast<std::uint8_t>(CharacterClass::kOther));
  const std::string all = every_character();
  const Regex regex("(\\p{L}+)|(\\p{N}+)|(\\p{White_Space}+)");
  constexpr CharacterClass kClassOfGroup[] = {CharacterClass::kOther, CharacterClass::kLetter, CharacterClass::kNumber,
                                              CharacterClass::kSpace};
  char32_t c = 0;
  std::size_t offset = 0;
  const auto advance_to = [&](std::size_t end, CharacterClass value) {
    for (; offset < end; ++c) {
      if (is_surrogate(c)) continue;
      classes[c] = static_cast<std::uint8_t>(value);
      offset += utf8_bytes(c);
    }
  };
  for (auto found = regex.find(all, 0); found; found = regex.find(all, found->end)) {
    advance_to(found->begin, CharacterClass::kOther);
    advance_to(found->end, kClassOfGroup[found->group]);
  }
  return classes;
}

}  // namespace

CharacterClasses::CharacterClasses() {
  const std::vector<std::uint8_t> classes = class_of_every_character();
  for (auto page = classes.begin(); page != classes.end(); page += kPageSize) {
    const auto same = std::find_if(pages_.begin(), pages_.end(), [&](const std::vector<std::uint8_t>& known) {
      return std::equal(known.begin(), known.end(), page);
    });
    page_of_.push_back(static_cast<std::uint16_t>(same - pages_.begin()));
    if (same == pages_.end()) pages_.emplace_back(page, page + kPageSize);
  }
}

const CharacterClasses& character_classes() {
  static const CharacterClasses classes;
  return classes;
}

struct PreTokenPattern::State {
  explicit State(std::string_view pattern) : regex(pattern) {}
  Regex regex;
};

PreTokenPattern::PreTokenPattern(PreTokenizer kind)
    : state_(std::make_unique<State>(kind == PreTokenizer::kGpt2 ? kGpt2Pattern : kLlama3Pattern)) {}
PreTokenPattern::~PreTokenPattern() = default;

std::size_t PreTokenPattern::match(std::string_view text, std::size_t begin) const {
  const auto found = state_->regex.find(text, begin);
  if (!found || found->begin != begin || found->end == begin)
    throw InternalError("the pre-tokenizer's pattern does not match at byte {}", begin);
  return found->end - begin;
}

}  // namespace stoa::trainer
