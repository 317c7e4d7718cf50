#pragma once
/// The line and page rules of C4 (Raffel et al. 2019, arXiv 1910.10683, section 2.2, and the code that was published
/// with it) for English web pages. Lines are removed, the others stay byte for byte; then pages are dropped.
///
/// A sentence ends at a run of '.', '?', '!' (quotes and brackets after it belong to it) before a space or the end.
#include "stoa/trainer/curation/document_step.h"

namespace stoa::trainer {

/// The defaults are C4's.
struct C4Settings {
  bool require_end_punctuation = true;  ///< a line stays where it ends in . ? ! or " but not in an ellipsis
  std::int64_t least_words_in_line = 5;
  std::int64_t longest_word = 1000;  ///< characters; a line with a longer word goes
  /// A line that contains one of these goes, a page that contains one of the others is dropped; ASCII case aside.
  std::vector<std::string> bad_lines = {"javascript",   "terms of use",   "privacy policy", "cookie policy",
                                        "uses cookies", "use of cookies", "use cookies"};
  std::vector<std::string> bad_pages = {"lorem ipsum"};
  bool drop_braces = true;  ///< pages with '{': program text
  std::int64_t least_sentences = 3;
};

class C4Step final : public DocumentStep {
 public:
  explicit C4Step(const C4Settings& settings);
  std::span<const std::string_view> reasons() const override;
  Outcome apply(Document& document) override;

 private:
  C4Settings settings_;
  std::string lower_;  ///< the text in small ASCII letters
  std::vector<std::string_view> bad_lines_here_;
};

}  // namespace stoa::trainer
