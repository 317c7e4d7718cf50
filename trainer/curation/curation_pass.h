#pragma once
/// The part of a curation that several threads do (curate.cc is its only caller): a batch is the documents of one chunk
/// on their way through the steps.
#include <deque>
#include <memory>
#include <mutex>

#include "stoa/trainer/curation/curation_settings.h"
#include "stoa/trainer/curation/document_step.h"
#include "stoa/trainer/curation/duplicate_step.h"
#include "stoa/trainer/curation/step_tally.h"

namespace stoa::trainer {

/// Owns what its documents' views point into.
struct DocumentBatch {
  TextChunk chunk;
  std::unique_ptr<ChunkDocuments> finder;
  const std::vector<DocumentView>* views = nullptr;
  std::vector<Document> documents;
  /// [step * documents + document]; a step after the one that dropped a document has no outcome for it.
  std::vector<Outcome> outcomes;
  std::vector<std::int64_t> bytes_after;
  std::vector<DuplicateMark> marks;
  std::vector<std::string> lines;  ///< of documents that no filter dropped; empty: the JSON object as it was read
};

/// Processor seconds by step, and of reading and of making lines.
struct PassTimes {
  std::vector<double> steps_s;
  double finding_s = 0, writing_s = 0;
};

/// A step as the pass sees it: one of the two.
struct PassStep {
  StepKind kind = StepKind::kLength;
  bool is_utf8 = false;
  std::unique_ptr<DuplicateStep> duplicates;  ///< null: a filter, of which each thread has one
};

/// The steps in order, the repair of UTF-8 first.
std::vector<PassStep> pass_steps(const CurationSettings& settings);
/// One filter for each step that is none of duplicates, null for the others.
std::vector<std::unique_ptr<DocumentStep>> make_filters(const CurationSettings& settings);
std::vector<std::string> step_reasons(const PassStep& step, const DocumentStep* filter);

/// One of each thread.
class PassWorker {
 public:
  PassWorker(const CurationSettings& settings, const std::vector<PassStep>& steps);
  /// Runs all filters, makes all marks and the lines. What a duplicate step will drop is worked on in vain.
  void work(DocumentBatch& batch);
  const PassTimes& times() const { return times_; }

 private:
  void run_step(std::size_t step, DocumentBatch& batch, std::vector<bool>& alive);

  const CurationSettings& settings_;
  const std::vector<PassStep>& steps_;
  std::vector<std::unique_ptr<DocumentStep>> filters_;
  PassTimes times_;
};

/// Of the calling thread.
double thread_processor_s();

}  // namespace stoa::trainer
