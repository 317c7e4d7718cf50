#pragma once
/// The quality rules of Gopher (Rae et al. 2021, arXiv 2112.11446, appendix A.1.1) for languages that put spaces
/// between words; text_units.h says what words and lines are. Blank lines do not count. Text without spaces has words
/// far above most_mean_word_length and is dropped: keep such languages away from this step, or set its limits for them.
#include "stoa/trainer/curation/document_step.h"

namespace stoa::trainer {

/// The defaults are Gopher's.
struct QualitySettings {
  std::int64_t least_words = 50, most_words = 100'000;
  double least_mean_word_length = 3, most_mean_word_length = 10;  ///< characters
  double most_symbols_per_word = 0.1;                             ///< '#', and apart from it "..." or U+2026
  double most_bullet_lines = 0.9;                                 ///< fraction of lines that begin with a bullet
  double most_ellipsis_lines = 0.3;                               ///< fraction of lines that end in an ellipsis
  double least_alphabetic_words = 0.8;                            ///< fraction of words with a letter
  std::int64_t least_stop_words = 2;                              ///< different ones of the list
  /// Compared without ASCII case and without ASCII punctuation around a word; at most 64 are used.
  std::vector<std::string> stop_words = {"the", "be", "to", "of", "and", "that", "have", "with"};
};

class QualityStep final : public DocumentStep {
 public:
  explicit QualityStep(const QualitySettings& settings);
  std::span<const std::string_view> reasons() const override;
  Outcome apply(Document& document) override;

 private:
  std::uint64_t stop_word(std::string_view word) const;

  QualitySettings settings_;
  std::vector<std::string> stop_words_;  ///< in small letters
  std::size_t longest_stop_word_ = 0;
};

}  // namespace stoa::trainer
