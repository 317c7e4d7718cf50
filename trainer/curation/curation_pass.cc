#include "stoa/trainer/curation/curation_pass.h"

#include <time.h>

#include "stoa/trainer/curation/json_lines.h"
#include "stoa/trainer/curation/utf8_step.h"

namespace stoa::trainer {
namespace {

std::unique_ptr<DocumentStep> make_filter(const CurationStepSettings& step) {
  switch (step.kind) {
    case StepKind::kLanguage:
      return std::make_unique<LanguageStep>(step.language);
    case StepKind::kLength:
      return std::make_unique<LengthStep>(step.length);
    case StepKind::kQuality:
      return std::make_unique<QualityStep>(step.quality);
    case StepKind::kRepetition:
      return std::make_unique<RepetitionStep>(step.repetition);
    case StepKind::kC4:
      return std::make_unique<C4Step>(step.c4);
    case StepKind::kPii:
      return std::make_unique<PersonalDataStep>(step.pii);
    case StepKind::kExactDuplicates:
    case StepKind::kNearDuplicates:
      break;
  }
  return nullptr;
}

}  // namespace

double thread_processor_s() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

std::vector<PassStep> pass_steps(const CurationSettings& settings) {
  std::vector<PassStep> steps(1);
  steps[0].is_utf8 = true;
  for (const CurationStepSettings& step : settings.steps) {
    PassStep& added = steps.emplace_back();
    added.kind = step.kind;
    if (step.kind == StepKind::kExactDuplicates) added.duplicates = exact_duplicates(step.exact_duplicates);
    if (step.kind == StepKind::kNearDuplicates) added.duplicates = near_duplicates(step.near_duplicates);
  }
  return steps;
}

std::vector<std::unique_ptr<DocumentStep>> make_filters(const CurationSettings& settings) {
  std::vector<std::unique_ptr<DocumentStep>> filters;
  filters.push_back(std::make_unique<Utf8Step>());
  for (const CurationStepSettings& step : settings.steps) filters.push_back(make_filter(step));
  return filters;
}

std::vector<std::string> step_reasons(const PassStep& step, const DocumentStep* filter) {
  if (step.duplicates) return {std::string(step.duplicates->reason())};
  return {filter->reasons().begin(), filter->reasons().end()};
}

PassWorker::PassWorker(const CurationSettings& settings, const std::vector<PassStep>& steps)
    : settings_(settings), steps_(steps), filters_(make_filters(settings)) {
  times_.steps_s.resize(steps.size());
}

void PassWorker::run_step(std::size_t step, DocumentBatch& batch, std::vector<bool>& alive) {
  const std::size_t count = batch.documents.size();
  for (std::size_t d = 0; d < count; ++d) {
    if (!alive[d]) continue;
    Document& document = batch.documents[d];
    const std::size_t at = step * count + d;
    if (steps_[step].duplicates) {
      steps_[step].duplicates->mark(document.text(), batch.marks[at]);
    } else {
      batch.outcomes[at] = filters_[step]->apply(document);
      alive[d] = batch.outcomes[at].kind != Outcome::Kind::kDropped;
    }
    batch.bytes_after[at] = static_cast<std::int64_t>(document.text().size());
  }
}

void PassWorker::work(DocumentBatch& batch) {
  double before_s = thread_processor_s();
  const auto lap = [&](double& sum_s) {
    const double now_s = thread_processor_s();
    sum_s += now_s - before_s;
    before_s = now_s;
  };
  batch.views = &batch.finder->find(batch.chunk);
  const std::size_t count = batch.views->size();
  batch.documents.clear();
  batch.documents.reserve(count);
  for (const DocumentView& view : *batch.views) batch.documents.emplace_back(view.text);
  batch.outcomes.assign(steps_.size() * count, {});
  batch.bytes_after.assign(steps_.size() * count, 0);
  batch.marks.assign(steps_.size() * count, {});
  lap(times_.finding_s);
  std::vector<bool> alive(count, true);
  for (std::size_t step = 0; step < steps_.size(); ++step) {
    run_step(step, batch, alive);
    lap(times_.steps_s[step]);
  }
  batch.lines.assign(count, {});
  for (std::size_t d = 0; d < count; ++d) {
    if (!alive[d]) continue;
    const std::string_view object = (*batch.views)[d].json_object;
    const Document& document = batch.documents[d];
    if (object.empty())
      batch.lines[d] = json_line(settings_.sources.text_field, document.text());
    else if (document.is_changed())
      batch.lines[d] = json_line_with(object, settings_.sources.text_field, document.text());
  }
  lap(times_.writing_s);
}

}  // namespace stoa::trainer
