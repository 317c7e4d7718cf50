#include "stoa/trainer/loop/training_step.h"

#include <algorithm>
#include <utility>

#include "stoa/parallel/tree_order.h"

namespace stoa::trainer {
namespace {

using parallel::PipelineAction;
using parallel::PipelineStep;

Batch make_batch(const StepSettings& settings) {
  return {settings.training.micro_batch, settings.model.context_length};
}

}  // namespace

std::int64_t micro_batches_per_rank(const TrainingSettings& training, const parallel::MeshSize& mesh) {
  return training.global_batch / (training.micro_batch * mesh.data);
}

parallel::PipelineShape pipeline_shape(const StepSettings& settings) {
  return {.kind = settings.parallel.schedule,
          .stages = settings.parallel.mesh.pipeline,
          .chunks = settings.parallel.chunks_per_stage,
          .micro_batches = int(micro_batches_per_rank(settings.training, settings.parallel.mesh))};
}

TrainingStateSettings state_settings(const StepSettings& settings) {
  return {.zero = settings.parallel.zero,
          .precision = settings.training.precision,
          .gradients = {.order = settings.training.deterministic ? SumOrder::kTree : SumOrder::kFast,
                        .micro_batches = micro_batches_per_rank(settings.training, settings.parallel.mesh),
                        .tokens = settings.training.global_batch * settings.model.context_length},
          .optimizer = settings.optimizer};
}

ModelShape model_shape(const StepSettings& settings, const parallel::PipelinePlan& plan) {
  return {.samples = settings.training.micro_batch,
          .use = ModelUse::kTraining,
          .seed = settings.training.seed,
          .recompute = settings.training.recompute,
          .slots = plan.slots,
          .split_backward = settings.parallel.schedule == parallel::PipelineKind::kZeroBubble};
}

std::size_t message_floats(const ModelSettings& model, const ModelShare& share, std::int64_t samples) {
  const std::int64_t tokens = samples * model.context_length;
  return std::size_t(parallel::balanced_slice(tokens, share.tensor_parts, share.tensor_index).size() * model.width);
}

/// A step's micro-batches, by their place in this data rank's part of the step.
class TrainingStep::Work : public parallel::PipelineWork {
 public:
  explicit Work(TrainingStep& step) : step_(step) {}

  std::size_t message_floats(int micro_batch) const override {
    return trainer::message_floats(step_.settings_.model, step_.table_.share, samples_of(micro_batch));
  }

 protected:
  virtual std::int64_t samples_of(int micro_batch) const = 0;
  /// One rank of those that hold the head speaks for all of them.
  bool tells_losses() const { return step_.table_.share.holds_end && step_.table_.share.tensor_index == 0; }
  bool ends(const PipelineAction& action) const {
    return step_.table_.share.holds_end && action.chunk + 1 == step_.shape_.chunks;
  }

  TrainingStep& step_;
};

class TrainingStep::Training final : public Work {
 public:
  Training(TrainingStep& step, LossScale scale, std::vector<LossSums>& losses)
      : Work(step), scale_(scale), losses_(losses) {}

  void forward(const PipelineAction& action, std::span<const float> x_in, std::span<float> x_out) override {
    step_.model_->forward(pass(action), x_in, x_out);
  }

  void backward(const PipelineAction& action, std::span<const float> dx_out, std::span<float> dx_in) override {
    GradientSink& sink = step_.state_.sink();
    const LossSums sums = action.step == PipelineStep::kBackward
                              ? step_.model_->backward(pass(action), scale_, dx_out, dx_in, sink)
                              : step_.model_->backward_input(pass(action), scale_, dx_out, dx_in, sink);
    if (ends(action) && tells_losses()) losses_[std::size_t(step_.number(action.micro_batch))] = sums;
  }

  void backward_weight(const PipelineAction& action) override {
    step_.model_->backward_weight(pass(action), step_.state_.sink());
  }

 private:
  std::int64_t samples_of(int) const override { return step_.settings_.training.micro_batch; }
  ChunkPass pass(const PipelineAction& action) const {
    return {.chunk = action.chunk, .slot = action.slot, .batch = step_.views_[std::size_t(action.micro_batch)]};
  }

  LossScale scale_;
  std::vector<LossSums>& losses_;
};

class TrainingStep::Evaluation final : public Work {
 public:
  Evaluation(TrainingStep& step, const SampleStream& samples, std::int64_t count, parallel::Slice units,
             const EvaluationTally& tally)
      : Work(step), samples_(samples), count_(count), units_(units), tally_(tally) {}

  void forward(const PipelineAction& action, std::span<const float> x_in, std::span<float> x_out) override {
    const std::int64_t first = (units_.begin + action.micro_batch) * step_.settings_.training.micro_batch;
    const MicroBatch view = step_.batches_[0].read(samples_, first, samples_of(action.micro_batch));
    const LossSums sums =
        step_.model_->evaluate({.chunk = action.chunk, .slot = action.slot, .batch = view}, x_in, x_out);
    if (ends(action) && tells_losses()) tally_(units_.begin + action.micro_batch, view, sums);
  }

  void backward(const PipelineAction&, std::span<const float>, std::span<float>) override {}
  void backward_weight(const PipelineAction&) override {}

 private:
  std::int64_t samples_of(int micro_batch) const override {
    const std::int64_t most = step_.settings_.training.micro_batch;
    return std::min(most, count_ - (units_.begin + micro_batch) * most);
  }

  const SampleStream& samples_;
  std::int64_t count_;
  parallel::Slice units_;
  const EvaluationTally& tally_;
};

TrainingStep::TrainingStep(cpu::Queue& queue, const StepSettings& settings, parallel::MeshGroups groups)
    : settings_(settings),
      groups_(std::move(groups)),
      data_(std::move(groups_.data)),
      shape_(pipeline_shape(settings)),
      plan_(make_pipeline_schedule(shape_)[std::size_t(groups_.at.pipeline)]),
      table_(make_parameter_table(settings.model, model_share(settings.model, settings.parallel, groups_.at))),
      state_({.queue = queue, .table = table_, .groups = groups_, .data = data_}, state_settings(settings)),
      model_(make_model(queue, {.table = table_,
                                .parameters = state_.parameters(),
                                .precision = settings.training.precision,
                                .shape = model_shape(settings, plan_),
                                .tensor = groups_.tensor->split(0, "tensor group, rows"),
                                .gate = &state_.gate()})),
      runner_(groups_, message_floats(settings.model, table_.share, settings.training.micro_batch)),
      batches_(std::size_t(shape_.micro_batches), make_batch(settings)),
      views_(batches_.size()) {}

TrainingStep::~TrainingStep() = default;

std::int64_t TrainingStep::number(std::int64_t micro_batch) const {
  return micro_batch_number(settings_.parallel.zero, groups_.size.data, groups_.at.data, shape_.micro_batches,
                            micro_batch);
}

LossSums TrainingStep::run(const SampleStream& samples, std::int64_t step) {
  const TrainingSettings& training = settings_.training;
  for (std::size_t m = 0; m < views_.size(); ++m) {
    const std::int64_t in_batch = number(std::int64_t(m)) * training.micro_batch;
    views_[m] = batches_[m].read(samples, (step - 1) * training.global_batch + in_batch, training.micro_batch);
    views_[m].first_sample = in_batch;
    views_[m].step = std::uint64_t(step);
  }
  const double tokens = double(training.global_batch * settings_.model.context_length);
  std::vector<LossSums> losses(std::size_t(training.global_batch / training.micro_batch));
  Training work(*this, {float(1.0 / tokens), float(training.z_loss)}, losses);
  state_.begin_step();
  runner_.run(shape_, plan_, work);
  state_.finish_step();
  return tree_sum(losses);
}

void TrainingStep::evaluate(const SampleStream& samples, std::int64_t count, const EvaluationTally& tally) {
  state_.await_parameters();
  const std::int64_t micro_batch = settings_.training.micro_batch;
  const std::int64_t units = (count + micro_batch - 1) / micro_batch;
  const parallel::Slice mine = parallel::balanced_slice(units, groups_.size.data, groups_.at.data);
  if (mine.size() == 0) return;
  parallel::PipelineShape shape = shape_;
  shape.kind = parallel::PipelineKind::kForwardOnly;
  shape.micro_batches = int(mine.size());
  Evaluation work(*this, samples, count, mine, tally);
  runner_.run(shape, make_pipeline_schedule(shape)[std::size_t(groups_.at.pipeline)], work);
}

LossSums TrainingStep::tree_sum(std::vector<LossSums>& losses) {
  std::vector<double> sums;
  for (const LossSums& loss : losses) sums.insert(sums.end(), {loss.loss, loss.z});
  // All ranks but one have zeros in each place.
  groups_.job.all_reduce(std::span<double>(sums), parallel::ReduceOp::kSum, "losses");
  parallel::for_each_tree_sum(0, losses.size(), [&](std::size_t left, std::size_t right) {
    sums[2 * left] += sums[2 * right];
    sums[2 * left + 1] += sums[2 * right + 1];
  });
  return {sums[0], sums[1]};
}

}  // namespace stoa::trainer
