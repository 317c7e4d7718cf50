/// Processor time of each step of a curation on one thread, over the documents of the given files: curation_bench
/// FILE... Each step sees all documents as they were read, whatever the others would drop, so the figures do not depend
/// on order.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "stoa/base/error.h"
#include "stoa/trainer/curation/curation_pass.h"
#include "stoa/trainer/data/text_chunks.h"

namespace {

using namespace stoa;
using namespace stoa::trainer;

constexpr int kRounds = 5;
constexpr StepKind kKinds[] = {
    StepKind::kLength, StepKind::kC4,       StepKind::kQuality,         StepKind::kRepetition,
    StepKind::kPii,    StepKind::kLanguage, StepKind::kExactDuplicates, StepKind::kNearDuplicates};

std::vector<std::string> read_documents(const std::vector<std::string>& files, double& bytes) {
  const TextInputs inputs{.files = files};
  TextChunkReader reader(inputs);
  ChunkDocuments finder(inputs);
  std::vector<std::string> documents;
  for (TextChunk chunk; reader.next(chunk);)
    for (const DocumentView& view : finder.find(chunk)) {
      documents.emplace_back(view.text);
      bytes += static_cast<double>(view.text.size());
    }
  return documents;
}

/// The median of the rounds.
double step_s(StepKind kind, const std::vector<std::string>& documents) {
  std::vector<double> rounds_s;
  for (int round = 0; round < kRounds; ++round) {
    CurationSettings settings;
    settings.steps.resize(1);
    settings.steps[0].kind = kind;
    settings.steps[0].length.least_characters = settings.steps[0].length.least_words = 1;
    const auto steps = pass_steps(settings);
    const auto filters = make_filters(settings);
    const double before_s = thread_processor_s();
    for (const std::string& text : documents) {
      if (steps[1].duplicates) {
        DuplicateMark mark;
        steps[1].duplicates->mark(text, mark);
        steps[1].duplicates->was_seen(mark);
      } else {
        Document document(text);
        filters[1]->apply(document);
      }
    }
    rounds_s.push_back(thread_processor_s() - before_s);
  }
  std::nth_element(rounds_s.begin(), rounds_s.begin() + kRounds / 2, rounds_s.end());
  return rounds_s[kRounds / 2];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: curation_bench FILE...\n");
    return exit_code(ErrorKind::kUsage);
  }
  double bytes = 0;
  const auto documents = read_documents({argv + 1, argv + argc}, bytes);
  fmt::print(
      "{} documents, {:.1f} MB, one thread, median of {} rounds of processor time\n\n| step | MB/s |\n|---|---|\n",
      documents.size(), bytes / 1e6, kRounds);
  double filters_s = 0;
  for (const StepKind kind : kKinds) {
    const double took_s = step_s(kind, documents);
    const bool counts =
        kind != StepKind::kLanguage && kind != StepKind::kExactDuplicates && kind != StepKind::kNearDuplicates;
    if (counts) filters_s += took_s;
    fmt::print("| {} | {:.0f} |\n", step_name(kind), bytes / 1e6 / took_s);
  }
  fmt::print("| length, c4, quality, repetition and pii together | {:.0f} |\n", bytes / 1e6 / filters_s);
}
