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
#include "stoa/trainer/loop/starting_point.h"
#include "stoa/trainer/model/identity.h"
#include "stoa/trainer/model/initial_weights.h"
#include "stoa/trainer/model/parameter_pieces.h"
#include "stoa/trainer/optimizer/learning_rate.h"

namespace stoa::trainer {
namespace {

SumOrder sum_order(const TrainingSettings& training) {
  return training.deterministic ? SumOrder::kTree : SumOrder::kFast;
}

}  // namespace

std::int64_t micro_batches_per_rank(const TrainingSettings& training, int data_ranks) {
  return training.global_batch / (training.micro_batch * data_ranks);
}

TrainingLoop::TrainingLoop(const LoopSettings& settings, LoopParts parts)
    : settings_(settings),
      parts_(std::move(parts)),
      micro_batches_(micro_batches_per_rank(settings.training, parts_.ranks.size())),
      table_(make_parameter_table(settings.model)),
      parameters_(table_, settings.training.precision),
      model_(make_model(
          parts_.queue, table_, parameters_, settings.training.precision,
          {.samples = settings.training.micro_batch, .use = ModelUse::kTraining, .seed = settings.training.seed})),
      optimizer_(parts_.queue, table_, settings.optimizer),
      gradients_(parts_.queue, table_, parts_.ranks, sum_order(settings.training), micro_batches_),
      spikes_(settings.training.spike),
      batch_(settings.training.micro_batch, settings.model.context_length) {
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
  parts_.log.info("resumed from step {}", step_);
}

void TrainingLoop::begin() {
  const std::string& folder = settings_.training.start_from;
  if (folder.empty())
    return initialize_parameters(parts_.queue, table_, settings_.training.seed, parameters_.masters());
  StartingPoint start;
  checkpoint::on_all_ranks(parts_.ranks, "starting weights",
                           [&] { start = load_start(folder, table_, parameters_.masters()); });
  start_digest_ = start.digest;
  if (parts_.ranks.rank() == 0) parts_.log.info("begins with the weights of {}, step {}", folder, start.step);
}

void TrainingLoop::start() {
  auto pieces = pieces_to_load(table_, "parameters", parameters_.masters());
  for (auto& piece : pieces_to_load(table_, "adam_m", optimizer_.first_moments())) pieces.push_back(std::move(piece));
  for (auto& piece : pieces_to_load(table_, "adam_v", optimizer_.second_moments())) pieces.push_back(std::move(piece));
  if (const auto saved = parts_.store.load_newest(pieces, parts_.ranks))
    resume(*saved);
  else
    begin();
  parameters_.refresh_copies(parts_.queue);
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
  const std::int64_t batch_begin = step_ * training.global_batch;
  const std::int64_t first_micro_batch = parts_.ranks.rank() * micro_batches_;
  const LossScale scale{float(1.0 / double(tokens_per_step())), float(training.z_loss)};
  gradients_.begin_step();
  for (std::int64_t m = 0; m < micro_batches_; ++m) {
    const std::int64_t in_batch = (first_micro_batch + m) * training.micro_batch;
    MicroBatch view = batch_.read(parts_.train, batch_begin + in_batch, training.micro_batch);
    view.first_sample = in_batch;
    view.step = std::uint64_t(step_ + 1);
    gradients_.add([&](std::span<float> into) { return model_->train(view, scale, into); });
  }
  const LossSums sums = gradients_.finish_step();
  ++step_;
  StepResult result;
  // Neither is ever below zero; abs takes the sign off a NaN, which would be printed.
  result.loss = std::abs(sums.loss / double(tokens_per_step()));
  result.gradient_norm = std::abs(optimizer_.norm(gradients_.gradients()));
  result.verdict = spikes_.judge(step_, result.loss, result.gradient_norm);
  if (result.verdict == StepVerdict::kApply) {
    ++updates_;
    optimizer_.update(updates_, learning_rate(settings_.optimizer, training.steps, step_), result.gradient_norm,
                      gradients_.gradients(), parameters_);
  }
  return result;
}

void TrainingLoop::report(const StepResult& result, double step_s) {
  const double tokens_per_s = double(tokens_per_step()) / step_s;
  const double flops = training_flops_per_token(settings_.model) * tokens_per_s;
  parts_.metrics.write({{"kind", "step"},
                        {"step", step_},
                        {"steps", settings_.training.steps},
                        {"loss", result.loss},
                        {"gradient_norm", result.gradient_norm},
                        {"parameter_norm", optimizer_.norm(parameters_.masters())},
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
  const EvaluationPlan plan{settings_.evaluation.batches * settings_.training.global_batch,
                            settings_.training.micro_batch, settings_.model.context_length};
  const EvaluationResult result = evaluate(*model_, *parts_.held_out, plan, parts_.token_bytes, parts_.ranks);
  parts_.metrics.write({{"kind", "evaluation"},
                        {"step", step_},
                        {"loss", result.loss},
                        {"perplexity", result.perplexity()},
                        {"bits_per_byte", result.bits_per_byte()},
                        {"tokens", result.tokens},
                        {"bytes", result.bytes}});
}

void TrainingLoop::save() {
  if (saved_step_ == step_) return;
  const double begin_s = parts_.clock.monotonic_s();
  const auto ranges = row_ranges(table_, parts_.ranks.size(), parts_.ranks.rank());
  auto pieces = pieces_to_save(table_, "parameters", parameters_.masters(), ranges);
  for (auto& piece : pieces_to_save(table_, "adam_m", optimizer_.first_moments(), ranges)) pieces.push_back(piece);
  for (auto& piece : pieces_to_save(table_, "adam_v", optimizer_.second_moments(), ranges)) pieces.push_back(piece);
  Json identities = identity();
  identities["data"] = parts_.data_identity;
  const Json state = {{"identity", identities},
                      {"consumed_samples", step_ * settings_.training.global_batch},
                      {"updates", updates_},
                      {"spikes", spikes_.state()}};
  std::array<std::int64_t, 1> bytes = {
      parts_.store.save({step_, state}, pieces, parts_.ranks, settings_.checkpoint.keep_last)};
  parts_.ranks.all_reduce(std::span<std::int64_t>(bytes), parallel::ReduceOp::kSum, "checkpoint bytes");
  saved_step_ = step_;
  const double seconds = parts_.clock.monotonic_s() - begin_s;
  parts_.metrics.write({{"kind", "checkpoint"}, {"step", step_}, {"bytes", bytes[0]}, {"seconds", seconds}});
}

/// Sums what the ranks have to tell at the end of a step: energy, and whether any was asked to stop.
bool TrainingLoop::all_told(double& energy_j) {
  std::array told = {parts_.power.energy_j(), parts_.stop_requested() ? 1.0 : 0.0};
  parts_.ranks.all_reduce(std::span<double>(told), parallel::ReduceOp::kSum, "energy and stop flag");
  energy_j = told[0];
  return told[1] > 0;
}

LoopOutcome TrainingLoop::run() {
  start();
  bool stopping = false;
  double begin_s = parts_.clock.monotonic_s();
  const auto due = [this](std::int64_t every) { return every > 0 && step_ % every == 0; };
  while (step_ < settings_.training.steps && !stopping) {
    const StepResult result = step();
    stopping = all_told(energy_j_);
    const double now_s = parts_.clock.monotonic_s();
    report(result, now_s - begin_s);
    const bool last = step_ == settings_.training.steps;
    if (last || due(settings_.evaluation.every_steps)) evaluate_held_out();
    if (last || stopping || due(settings_.checkpoint.every_steps)) save();
    begin_s = parts_.clock.monotonic_s();
  }
  // The last evaluation and checkpoint have drawn energy too.
  all_told(energy_j_);
  return {step_ == settings_.training.steps, step_, energy_j_};
}

}  // namespace stoa::trainer
