#include "stoa/launcher/verification.h"

#include <fmt/format.h>

#include <algorithm>

#include "stoa/base/clock.h"
#include "stoa/base/error.h"
#include "stoa/base/progress_lines.h"
#include "stoa/base/units.h"
#include "stoa/launcher/run_report.h"
#include "stoa/trainer/verification/small_model.h"

namespace stoa::launcher {
namespace {

using trainer::Comparison;
using trainer::LayoutVerdict;
using trainer::StepSettings;

constexpr const char* kMeshTitle = "data x pipeline x tensor";
constexpr const char* kScheduleTitle = "schedule";

std::string mesh_column(const StepSettings& layout) {
  const parallel::MeshSize& mesh = layout.parallel.mesh;
  return fmt::format("{} x {} x {}", mesh.data, mesh.pipeline, mesh.tensor);
}

const char* verdict_word(const LayoutVerdict& verdict) {
  if (verdict.comparison.bounds.gradient == 0) return "stopped";
  if (verdict.fault) return "DIFFERENT";
  return verdict.comparison.same_bits ? "same bits" : "equal";
}

std::string small_text(const StepSettings& small, const VerifyLayoutsOptions& options, std::size_t layouts) {
  const trainer::TrainingSettings& training = small.training;
  return fmt::format(
      "{}, made small: {}, {} samples of {} tokens in micro-batches of {}\n"
      "Two steps on one rank and on {} layouts of thread ranks.\n\n",
      options.file, describe_model(small.model), training.global_batch, small.model.context_length,
      training.micro_batch, layouts);
}

Json report_json(const StepSettings& small, const std::vector<LayoutVerdict>& verdicts,
                 const VerifyLayoutsOptions& options) {
  Json layouts = Json::array();
  for (const LayoutVerdict& verdict : verdicts) layouts.push_back(verdict_json(verdict));
  return {{"experiment", options.file},
          {"model", describe_model(small.model)},
          {"precision", small.training.precision == trainer::Precision::kBf16 ? "bf16" : "fp32"},
          {"deterministic", small.training.deterministic},
          {"global_batch", small.training.global_batch},
          {"layouts", layouts},
          {"equal", faults_text(verdicts).empty()}};
}

}  // namespace

VerificationTable::VerificationTable(const std::vector<StepSettings>& layouts)
    : mesh_width_(std::string_view(kMeshTitle).size()), schedule_width_(std::string_view(kScheduleTitle).size()) {
  for (const StepSettings& layout : layouts)
    schedule_width_ = std::max(schedule_width_, trainer::schedule_text(layout.parallel).size());
}

std::string VerificationTable::header() const {
  return fmt::format(
      "{:<{}}  zero  {:<{}}  recompute  loss 1   loss 2   gradient  verdict    seconds  worst parameter\n", kMeshTitle,
      mesh_width_, kScheduleTitle, schedule_width_);
}

std::string VerificationTable::line(const LayoutVerdict& verdict) const {
  const Comparison& found = verdict.comparison;
  const trainer::ParallelSettings& parallel = verdict.layout.parallel;
  return fmt::format("{:<{}}  {:<4}  {:<{}}  {:<9}  {:<7.1e}  {:<7.1e}  {:<8.1e}  {:<9}  {:>7.2f}  {}\n",
                     mesh_column(verdict.layout), mesh_width_, int(parallel.zero), trainer::schedule_text(parallel),
                     schedule_width_, trainer::recompute_name(verdict.layout.training.recompute), found.loss_difference,
                     found.second_loss_difference, found.gradient.difference, verdict_word(verdict), verdict.seconds,
                     found.gradient.name);
}

Json verdict_json(const LayoutVerdict& verdict) {
  const Comparison& found = verdict.comparison;
  const trainer::ParallelSettings& parallel = verdict.layout.parallel;
  return {{"data", parallel.mesh.data},
          {"pipeline", parallel.mesh.pipeline},
          {"tensor", parallel.mesh.tensor},
          {"zero", int(parallel.zero)},
          {"schedule", pipeline_kind_name(parallel.schedule)},
          {"chunks_per_stage", parallel.chunks_per_stage},
          {"stage_layers", parallel.stage_layers},
          {"recompute", trainer::recompute_name(verdict.layout.training.recompute)},
          {"same_bits", found.same_bits},
          {"same_bits_promised", found.bounds.same_bits},
          {"loss_difference", found.loss_difference},
          {"loss_bound", found.bounds.loss},
          {"second_loss_difference", found.second_loss_difference},
          {"second_loss_bound", found.second_loss_bound},
          {"gradient_norm_difference", found.norm_difference},
          {"gradient_difference", found.gradient.difference},
          {"gradient_bound", found.bounds.gradient},
          {"worst_parameter", found.gradient.name},
          {"update_difference_of_bound", found.update.difference},
          {"worst_update", found.update.name},
          {"equal", !verdict.fault.has_value()},
          {"fault", verdict.fault.value_or("")},
          {"seconds", verdict.seconds}};
}

std::string faults_text(const std::vector<LayoutVerdict>& verdicts) {
  std::string text;
  std::size_t faults = 0;
  for (const LayoutVerdict& verdict : verdicts) {
    if (!verdict.fault) continue;
    ++faults;
    text += fmt::format("\n  {}: {}", trainer::layout_text(verdict.layout), *verdict.fault);
  }
  if (faults == 0) return "";
  return fmt::format("{} of {} layouts do not give what one rank gives:{}", faults, verdicts.size(), text);
}

void verify_experiment(const Experiment& experiment, const VerifyLayoutsOptions& options, std::FILE* out, Log& log) {
  const StepSettings small =
      trainer::small_settings({experiment.model, experiment.training, experiment.parallel, experiment.optimizer});
  std::vector<StepSettings> layouts = trainer::layouts_of(small, options.choice);
  if (const auto most = std::size_t(options.most_layouts); most > 0 && layouts.size() > most) layouts.resize(most);
  const trainer::SyntheticSamples samples = trainer::samples_for(small, experiment.data.document_rules());
  const VerificationTable table(layouts);
  const bool text = options.format == TextOrJson::kText;
  if (text) fmt::print(out, "{}{}", small_text(small, options, layouts.size()), table.header());
  const SystemClock clock;
  ProgressLines progress(log, clock);
  std::size_t done = 0;
  const auto verdicts =
      trainer::verify_layouts(layouts, {.samples = samples, .clock = clock, .told = [&](const LayoutVerdict& verdict) {
                                          ++done;
                                          if (!text) return progress.line("{} of {} layouts", done, layouts.size());
                                          fmt::print(out, "{}", table.line(verdict));
                                          std::fflush(out);
                                        }});
  if (!text) fmt::print(out, "{}\n", report_json(small, verdicts, options).dump(2));
  if (const std::string faults = faults_text(verdicts); !faults.empty()) throw NumericError("{}", faults);
  if (text)
    fmt::print(out, "\nAll {} layouts give what one rank gives, in {}.\n", verdicts.size(),
               format_duration(progress.elapsed_s()));
}

}  // namespace stoa::launcher
