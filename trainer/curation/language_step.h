#pragma once
/// Keeps documents in the languages that are asked for, by Compact Language Detector 2 (Sites 2013), which looks at the
/// first `most_bytes` and tells the shares of up to three languages. The tables that decide are part of the installed
/// library: its version stands in the record's settings.
#include "stoa/trainer/curation/document_step.h"

namespace stoa::trainer {

struct LanguageSettings {
  std::vector<std::string> keep = {"en"};  ///< ISO 639-1
  double least_share = 0.8;                ///< of the text's letters, for the language kept
  bool keep_unreliable = false;            ///< also where the detector is not sure
  std::int64_t most_bytes = 65'536;        ///< of a document are looked at
};

/// Whether the detector knows the two letters.
bool language_is_known(std::string_view code);
std::string language_detector_version();

struct DetectedLanguage {
  std::string code;  ///< ISO 639-1 or, where there is none, the detector's own; "un" for unknown
  double share = 0;
};
struct LanguageGuess {
  std::vector<DetectedLanguage> languages;  ///< largest share first, at most three
  bool is_reliable = false;
};
/// REQUIRES: valid UTF-8.
LanguageGuess detect_language(std::string_view text);

class LanguageStep final : public DocumentStep {
 public:
  explicit LanguageStep(const LanguageSettings& settings) : settings_(settings) {}
  std::span<const std::string_view> reasons() const override;
  /// Sets document.language to the kept one.
  Outcome apply(Document& document) override;

 private:
  LanguageSettings settings_;
};

}  // namespace stoa::trainer
