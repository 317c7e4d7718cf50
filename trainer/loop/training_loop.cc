#include "stoa/trainer/loop/training_loop.h"

#include <array>
#include <cmath>
#include <utility>

#include "stoa/base/error.h"
#include "stoa/base/units.h"
#include "stoa/checkpoint/rank_agreement.h"
#include "stoa/trainer/data/data_identity.h"
#include "stoa/trainer/kernels/peak.h"
#include "stoa/trainer/loop/evaluation.h"
#include "stoa/trainer/loop/recorded_loss.h"
#include "stoa/trainer/loop/starting_point.h"
#include "stoa/trainer/model/identity.h"
#include "stoa/trainer/model/initial_weights.h"
#include "stoa/trainer/model/parameter_pieces.h"
#include "stoa/trainer/optimizer/learning_rate.h"

namespace stoa::trainer {

TrainingLoop::TrainingLoop(const LoopSettings& settings, LoopParts parts)
    : settings_(settings),
      parts_(std::move(parts)),
      passes_(parts_.queue, {settings.model, settings.training, settings.parallel, settings.optimizer},
              parallel::make_mesh_groups(parts_.ranks, settings.parallel.mesh)),
      saving_(parts_.store, parts_.ranks.split(0, "checkpoint group"), settings.checkpoint.staging_bytes()),
      spikes_(settings.training.spike) {
  parts_.ranks.barrier("before measuring the peak");
  std::array peak = {measure_peak_gflops(
      parts_.queue, settings.training.precision == Precision::kBf16 ? PeakKind::kBf16 : PeakKind::kFp32)};
  parts_.ranks.all_reduce(std::span<double>(peak), parallel::ReduceOp::kSum, "measured peak");
  peak_gflops_ = peak[0];
}

/// What must be the same, beside the data, for the losses to go on as if nothing had happened.
Json TrainingLoop::identity() const {
  Json identity = {{"seed", settings_.training.seed},
                   {"global_batch", settings_.training.global_batch},
                   {"precision", settings_.training.precision == Precision::kBf16 ? "bf16" : "fp32"},
                   {"model", model_identity(settings_.model)}};
  if (!start_digest_.empty()) identity["start_from"] = start_digest_;
  return identity;
}

void TrainingLoop::resume(const checkpoint::CheckpointState& saved) {
  const std::string place = "checkpoint of step " + std::to_string(saved.step);
  const Json before = json_field<Json>(saved.state, "identity", place);
  // The weights it began with are in it: where they came from need not be there any more.
  start_digest_ = before.is_object() ? before.value("start_from", "") : "";
  if (start_digest_.empty() != settings_.training.start_from.empty())
    throw CheckpointError("{}: the run was {}begun from another checkpoint's weights, but training.start_from is '{}'",
                          place, start_digest_.empty() ? "not " : "", settings_.training.start_from);
  require_same_identity(before, identity(), place);
  require_same_data(before.value("data", Json()), parts_.data_identity, place + ".data");
  step_ = saved_step_ = saved.step;
  updates_ = json_field<std::int64_t>(saved.state, "updates", place);
  spikes_.restore(json_field<Json>(saved.state, "spikes", place), place);
  resumed_step_ = step_;
  parts_.log.info("resumed from step {}", step_);
}

void TrainingLoop::begin() {
  const std::string& folder = settings_.training.start_from;
  const ParameterTable& table = passes_.table();
  TrainingState& state = passes_.state();
  if (folder.empty())
    return initialize_parameters(parts_.queue, table, settings_.training.seed, state.masters(), state.owned());
  StartingPoint start;
  checkpoint::on_all_ranks(parts_.ranks, "starting weights",
                           [&] { start = load_start(folder, table, state.masters(), state.owned()); });
  start_digest_ = start.digest;
  if (parts_.ranks.rank() == 0) parts_.log.info("begins with the weights of {}, step {}", folder, start.step);
}

void TrainingLoop::start() {
  const ParameterTable& table = passes_.table();
  TrainingState& state = passes_.state();
  auto pieces = pieces_to_load(table, "parameters", state.masters(), state.owned());
  for (auto& piece : pieces_to_load(table, "adam_m", state.first_moments(), state.owned()))
    pieces.push_back(std::move(piece));
  for (auto& piece : pieces_to_load(table, "adam_v", state.second_moments(), state.owned()))
    pieces.push_back(std::move(piece));
  if (const auto saved = parts_.store.load_newest(pieces, parts_.ranks))
    resume(*saved);
  else
    begin();
  state.gather_all();
  if (settings_.checkpoint.every_steps > 0) saving_.reserve(pieces_of_state());
  parts_.metrics.write({{"kind", "start"},
                        {"step", step_},
                        {"host", host_name()},
                        {"ranks", parts_.ranks.size()},
                        {"threads_per_rank", parts_.queue.threads()},
                        {"isa", cpu::isa_name(parts_.queue.isa())},
                        {"parameters", parameter_count(settings_.model)},
                        {"peak_gflops", peak_gflops_}});
  if (step_ == 0) evaluate_held_out();
}

/// One optimizer step, told in order.
TrainingLoop::StepResult TrainingLoop::step() {
  const TrainingSettings& training = settings_.training;
  TrainingState& state = passes_.state();
  const LossSums sums = passes_.run(parts_.train, ++step_);
  StepResult result;
  // Neither is ever below zero; abs takes the sign off a NaN, which would be printed.
  result.loss = std::abs(sums.loss / double(tokens_per_step()));
  result.gradient_norm = std::abs(state.gradient_norm());
  result.verdict = spikes_.judge(step_, result.loss, result.gradient_norm);
  if (result.verdict == StepVerdict::kApply)
    state.update(++updates_, learning_rate(settings_.optimizer, training.steps, step_), result.gradient_norm);
  return result;
}

void TrainingLoop::compare_with_recorded(double loss) {
  const auto recorded = parts_.metrics.recorded_loss(step_);
  if (!recorded) return;
  const std::string defect = loss_defect(loss, *recorded, settings_.training.precision);
  if (defect.empty())
    parts_.log.info("the loss of step {} is what it was before: {}", step_, loss);
  else
    parts_.log.warning("the loss of step {} {}; do not trust this run before it is explained", step_, defect);
}

void TrainingLoop::report(const StepResult& result, double step_s) {
  if (step_ == resumed_step_ + 1 && resumed_step_ >= 0) compare_with_recorded(result.loss);
  const double tokens_per_s = double(tokens_per_step()) / step_s;
  const double flops = training_flops_per_token(settings_.model) * tokens_per_s;
  parts_.metrics.write({{"kind", "step"},
                        {"step", step_},
                        {"steps", settings_.training.steps},
                        {"loss", result.loss},
                        {"gradient_norm", result.gradient_norm},
                        {"parameter_norm", passes_.state().parameter_norm()},
                        {"learning_rate", learning_rate(settings_.optimizer, settings_.training.steps, step_)},
                        {"consumed_tokens", step_ * tokens_per_step()},
                        {"step_s", step_s},
                        {"tokens_per_s", tokens_per_s},
                        {"model_flops_utilisation", peak_gflops_ > 0 ? flops / (peak_gflops_ * 1e9) : 0.0},
                        {"peak_gflops", peak_gflops_},
                        {"resident_bytes", resident_bytes()},
                        {"energy_j", energy_j_},
                        {"energy_source", parts_.power.source()},
                        {"skipped", verdict_name(result.verdict)}});
  if (result.verdict != StepVerdict::kApply)
    parts_.log.warning("step {} was not applied: {} (loss {}, gradient norm {})", step_, verdict_name(result.verdict),
                       result.loss, result.gradient_norm);
}

void TrainingLoop::evaluate_held_out() {
  if (parts_.held_out == nullptr || settings_.evaluation.batches == 0) return;
  parts_.progress.enter(LoopPhase::kEvaluating);
  const EvaluationResult result = evaluate(
      passes_, *parts_.held_out, settings_.evaluation.batches * settings_.training.global_batch, parts_.token_bytes);
  evaluated_step_ = step_;
  evaluation_loss_ = std::isfinite(result.loss) ? std::optional(result.loss) : std::nullopt;
  parts_.metrics.write({{"kind", "evaluation"},
                        {"step", step_},
                        {"loss", result.loss},
                        {"perplexity", result.perplexity()},
                        {"bits_per_byte", result.bits_per_byte()},
                        {"tokens", result.tokens},
                        {"bytes", result.bytes}});
}

/// What this rank saves: what it alone owns, or its part of what all data ranks hold.
std::vector<checkpoint::PieceToSave> TrainingLoop::pieces_of_state() {
  const ParameterTable& table = passes_.table();
  TrainingState& state = passes_.state();
  const parallel::MeshGroups& groups = passes_.groups();
  const bool cut = state.plan().zero != Zero::kNone;
  const FlatRanges ranges = cut ? state.owned() : row_ranges(table, groups.size.data, groups.at.data);
  auto pieces = pieces_to_save(table, "parameters", state.masters(), ranges);
  for (auto& piece : pieces_to_save(table, "adam_m", state.first_moments(), ranges)) pieces.push_back(std::move(piece));
  for (auto& piece : pieces_to_save(table, "adam_v", state.second_moments(), ranges))
    pieces.push_back(std::move(piece));
  return pieces;
}

// The save before must have been published: its failure is heard here, if not before.
void TrainingLoop::save(SaveWay way) {
  if (saved_step_ == step_) return;
  parts_.progress.enter(LoopPhase::kSaving);
  end_save();
  Json identities = identity();
  identities["data"] = parts_.data_identity;
  const Json state = {{"identity", identities},
                      {"consumed_samples", step_ * settings_.training.global_batch},
                      {"updates", updates_},
                      {"spikes", spikes_.state()}};
  const CheckpointSettings& rules = settings_.checkpoint;
  const checkpoint::RetentionRules kept{rules.keep_last, rules.keep_every_steps, rules.keep_best};
  checkpoint::CheckpointState saved{step_, state, evaluated_step_ == step_ ? evaluation_loss_ : std::nullopt};
  if (way == SaveWay::kAtOnce)
    saving_.save_now(saved, pieces_of_state(), kept);
  else
    saving_.start(std::move(saved), pieces_of_state(), kept);
  saved_step_ = step_;
}

/// Collective, where a save is under way: waits for it.
void TrainingLoop::end_save() {
  const auto saved = saving_.finish();
  if (!saved) return;
  std::array<std::int64_t, 1> bytes = {saved->bytes};
  parts_.ranks.all_reduce(std::span<std::int64_t>(bytes), parallel::ReduceOp::kSum, "checkpoint bytes");
  parts_.metrics.write({{"kind", "checkpoint"},
                        {"step", saved->step},
                        {"bytes", bytes[0]},
                        {"seconds", saved->seconds},
                        {"paused_s", saved->paused_s}});
}

TrainingLoop::Told TrainingLoop::all_told() {
  std::array told = {parts_.power.energy_j(), parts_.stop_requested() ? 1.0 : 0.0, saving_.has_ended() ? 1.0 : 0.0};
  parts_.ranks.all_reduce(std::span<double>(told), parallel::ReduceOp::kSum, "energy, stop flag and end of a save");
  return {.energy_j = told[0], .stop = told[1] > 0, .save_ended = told[2] == double(parts_.ranks.size())};
}

LoopOutcome TrainingLoop::run() {
  start();
  bool stopping = false;
  double begin_s = parts_.clock.monotonic_s();
  const auto due = [this](std::int64_t every) { return every > 0 && step_ % every == 0; };
  parts_.progress.step = step_;
  while (step_ < settings_.training.steps && !stopping) {
    parts_.progress.step = step_ + 1;
    parts_.progress.enter(LoopPhase::kTraining);
    const StepResult result = step();
    const Told told = all_told();
    energy_j_ = told.energy_j;
    stopping = told.stop;
    const double now_s = parts_.clock.monotonic_s();
    parts_.progress.step_s = now_s - begin_s;
    report(result, now_s - begin_s);
    if (told.save_ended) end_save();
    const bool last = step_ == settings_.training.steps;
    if (last || due(settings_.evaluation.every_steps)) evaluate_held_out();
    if (last || stopping)
      save(SaveWay::kAtOnce);
    else if (due(settings_.checkpoint.every_steps))
      save(SaveWay::kBeside);
    begin_s = parts_.clock.monotonic_s();
  }
  parts_.progress.enter(LoopPhase::kEnding);
  end_save();
  energy_j_ = all_told().energy_j;  // the last evaluation and checkpoint have drawn some too
  return {step_ == settings_.training.steps, step_, energy_j_};
}

}  // namespace stoa::trainer
