#include "stoa/trainer/curation/language_step.h"

#include <cld2/public/compact_lang_det.h>
#include <cld2/public/encodings.h>

#include <algorithm>

#include "stoa/trainer/curation/text_units.h"

namespace stoa::trainer {
namespace {

enum class Reason { kOtherLanguage, kLowShare, kUnreliable };
constexpr std::string_view kReasons[] = {"other_language", "low_share", "unreliable"};

/// CLD2 speaks an older ISO 639 and adds scripts ("zh-Hant").
std::string iso_639_1(CLD2::Language language) {
  std::string code = CLD2::LanguageCode(language);
  code = code.substr(0, code.find('-'));
  if (code == "iw") return "he";
  if (code == "jw") return "jv";
  return code;
}

std::string_view first_bytes(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) --most;
  return text.substr(0, most);
}

/// CLD2 refuses text with code points that are not for interchange (most control characters, noncharacters): they
/// become spaces.
std::string for_interchange(std::string_view text) {
  std::string clean(text);
  for (std::size_t at = 0; at < text.size();) {
    const auto [c, bytes] = decode_utf8(text.data() + at);
    const bool is_control = (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || (c >= 0x7F && c < 0xA0);
    if (is_control || (c >= 0xFDD0 && c <= 0xFDEF) || (c & 0xFFFE) == 0xFFFE) clean.replace(at, bytes, bytes, ' ');
    at += bytes;
  }
  return clean;
}

struct RawGuess {
  CLD2::Language languages[3] = {CLD2::UNKNOWN_LANGUAGE, CLD2::UNKNOWN_LANGUAGE, CLD2::UNKNOWN_LANGUAGE};
  int percents[3] = {0, 0, 0};
  bool is_reliable = false;
  bool was_read = false;
};

RawGuess ask_cld2(std::string_view text) {
  RawGuess raw;
  double scores[3] = {0, 0, 0};
  int letters = 0, valid = 0;
  const CLD2::CLDHints no_hints{nullptr, nullptr, CLD2::UNKNOWN_ENCODING, CLD2::UNKNOWN_LANGUAGE};
  const auto size = static_cast<int>(text.size());
  CLD2::ExtDetectLanguageSummaryCheckUTF8(text.data(), size, true, &no_hints, 0, raw.languages, raw.percents, scores,
                                          nullptr, &letters, &raw.is_reliable, &valid);
  raw.was_read = valid == size;
  return raw;
}

}  // namespace

bool language_is_known(std::string_view code) {
  if (code.size() != 2 || code == "un" || code == "xx") return false;  // unknown, and scripts without a language
  for (int i = 0; i < CLD2::NUM_LANGUAGES; ++i)
    if (iso_639_1(static_cast<CLD2::Language>(i)) == code) return true;
  return false;
}

std::string language_detector_version() { return std::string("CLD2 ") + CLD2::DetectLanguageVersion(); }

LanguageGuess detect_language(std::string_view text) {
  RawGuess raw = ask_cld2(text);
  if (!raw.was_read) raw = ask_cld2(for_interchange(text));
  LanguageGuess guess;
  guess.is_reliable = raw.is_reliable;
  for (int i = 0; i < 3; ++i) {
    if (raw.percents[i] == 0) continue;
    const std::string code = iso_639_1(raw.languages[i]);
    const auto same = std::find_if(guess.languages.begin(), guess.languages.end(),
                                   [&](const DetectedLanguage& other) { return other.code == code; });
    if (same != guess.languages.end())
      same->share += raw.percents[i] / 100.0;
    else
      guess.languages.push_back({code, raw.percents[i] / 100.0});
  }
  if (guess.languages.empty()) guess.languages.push_back({"un", 0});
  return guess;
}

std::span<const std::string_view> LanguageStep::reasons() const { return kReasons; }

Outcome LanguageStep::apply(Document& document) {
  // CLD2 counts in int.
  const auto most = static_cast<std::size_t>(std::min<std::int64_t>(settings_.most_bytes, 1 << 30));
  const LanguageGuess guess = detect_language(first_bytes(document.text(), most));
  const auto kept = std::find_if(guess.languages.begin(), guess.languages.end(), [&](const DetectedLanguage& found) {
    return std::find(settings_.keep.begin(), settings_.keep.end(), found.code) != settings_.keep.end();
  });
  if (kept == guess.languages.end()) return dropped(Reason::kOtherLanguage);
  if (kept->share < settings_.least_share) return dropped(Reason::kLowShare);
  if (!guess.is_reliable && !settings_.keep_unreliable) return dropped(Reason::kUnreliable);
  document.language = kept->code;
  return {};
}

}  // namespace stoa::trainer
