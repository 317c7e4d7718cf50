#pragma once
/// The repetition rules of Gopher (Rae et al. 2021, arXiv 2112.11446, appendix A.1.1 and table A1). A line, paragraph
/// or n-gram of words is a duplicate where the same stood earlier in the document; lengths are characters of words,
/// spaces left out, and a character inside several duplicate n-grams counts once. The top n-gram is the one with the
/// largest product of occurrences and length among those that occur at least twice. Lines and paragraphs are compared
/// without spaces at their ends; blank lines do not count. Of a document the first 8 MiB are looked at, so memory is
/// bounded (about 90 bytes a word); time is linear.
#include <array>

#include "stoa/trainer/curation/document_step.h"

namespace stoa::trainer {

/// Fractions above which a document is dropped. The defaults are Gopher's.
struct RepetitionSettings {
  double duplicate_lines = 0.30, duplicate_paragraphs = 0.30;
  double duplicate_line_characters = 0.20, duplicate_paragraph_characters = 0.20;
  double top_2_gram = 0.20, top_3_gram = 0.18, top_4_gram = 0.16;
  double duplicate_5_grams = 0.15, duplicate_6_grams = 0.14, duplicate_7_grams = 0.13;
  double duplicate_8_grams = 0.12, duplicate_9_grams = 0.11, duplicate_10_grams = 0.10;
};

class RepetitionStep final : public DocumentStep {
 public:
  explicit RepetitionStep(const RepetitionSettings& settings);
  std::span<const std::string_view> reasons() const override;
  Outcome apply(Document& document) override;

 private:
  struct Slot {
    std::uint64_t hash = 0;  ///< 0: free
    std::uint64_t amount = 0;
  };

  void clear_table(std::size_t most_entries);
  Slot& slot(std::uint64_t hash);
  std::uint32_t repeated_lines(std::string_view text);
  void take_words(std::string_view text);
  void lengthen_grams(std::size_t n);
  double top_gram_fraction(std::size_t n);
  double duplicate_gram_fraction(std::size_t n);

  RepetitionSettings settings_;
  std::array<double, 3> most_top_;         ///< of 2, 3, 4 words
  std::array<double, 6> most_duplicates_;  ///< of 5 .. 10 words
  std::vector<Slot> table_;                ///< open addressing, a power of two
  std::vector<std::uint64_t> words_;       ///< hashes
  std::vector<std::uint64_t> grams_;       ///< of the n words that begin at each word
  std::vector<std::uint64_t> ends_;        ///< characters of all words before each word, and of all
};

}  // namespace stoa::trainer
