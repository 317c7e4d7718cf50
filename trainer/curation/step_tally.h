#pragma once
/// The counts and samples of one step, gathered in the order of documents.
#include <set>

#include "stoa/trainer/curation/curation_record.h"
#include "stoa/trainer/curation/document_step.h"

namespace stoa::trainer {

struct DocumentPlace {
  std::int64_t file = 0;  ///< index into the sources
  std::int64_t line = 0;
};

class StepTally {
 public:
  /// `reasons` in the order of an outcome's bits. At most `samples` for each reason.
  StepTally(std::string name, std::int64_t version, Json settings, std::vector<std::string> reasons,
            std::int64_t samples);

  /// `text` is the document's text when the step is tallied: an excerpt of it may become a sample.
  void add(const Outcome& outcome, std::string_view text, std::int64_t bytes_in, std::int64_t bytes_out,
           const DocumentPlace& place);

  StepRecord record(const std::vector<std::string>& files) const;

 private:
  /// Which documents are shown depends on a hash of name, place and text, so that neither the first nor chosen ones
  /// are.
  struct Sample {
    std::uint64_t key;
    DocumentPlace place;
    std::string excerpt;
    bool operator<(const Sample& other) const { return key < other.key; }
  };
  void offer_sample(std::size_t reason, const Outcome& outcome, std::string_view text, const DocumentPlace& place);

  StepRecord record_;
  std::vector<std::string> reasons_;
  std::size_t most_samples_;
  std::vector<std::int64_t> counts_, replaced_;
  std::vector<std::multiset<Sample>> samples_;
};

}  // namespace stoa::trainer
