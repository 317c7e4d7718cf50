#pragma once
/// Real arithmetic for the pipeline runner, compared with the same arithmetic done in order on one rank.
#include <algorithm>
#include <cmath>
#include <map>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "stoa/parallel/pipeline_runner.h"

namespace stoa::parallel {

/// A global chunk of a model: y_i = tanh(w x_i + b). The gradients of w and b are kept as sums over micro-batches,
/// whose order shows in their bits.
struct TanhChunk {
  float weight = 1;
  float bias = 0;
  float weight_gradient = 0;
  float bias_gradient = 0;

  explicit TanhChunk(int global_chunk)
      : weight(0.7F + 0.31F * float(global_chunk)), bias(0.1F - 0.03F * float(global_chunk)) {}

  struct Kept {
    std::vector<float> x, y, dz;
  };

  std::vector<float> forward(std::vector<float> x, Kept& kept) const {
    kept.x = std::move(x);
    kept.y.clear();
    for (const float value : kept.x) kept.y.push_back(std::tanh(weight * value + bias));
    return kept.y;
  }
  std::vector<float> backward_input(std::span<const float> dy, Kept& kept) const {
    std::vector<float> dx;
    kept.dz.clear();
    for (std::size_t i = 0; i < dy.size(); ++i) {
      kept.dz.push_back(dy[i] * (1 - kept.y[i] * kept.y[i]));
      dx.push_back(kept.dz[i] * weight);
    }
    return dx;
  }
  void backward_weight(const Kept& kept) {
    for (std::size_t i = 0; i < kept.dz.size(); ++i) {
      weight_gradient += kept.dz[i] * kept.x[i];
      bias_gradient += kept.dz[i];
    }
  }
};

/// What goes into a model of tanh chunks, and what it should give. Micro-batches have different lengths.
struct TanhSamples {
  int seed = 0;

  static std::size_t floats(int micro_batch) {
    constexpr std::size_t kSizes[] = {65, 1, 257, 33};
    return kSizes[micro_batch % 4];
  }
  static constexpr std::size_t kMostFloats = 257;

  std::vector<float> values(int micro_batch, float phase) const {
    std::vector<float> values;
    for (std::size_t i = 0; i < floats(micro_batch); ++i)
      values.push_back(std::sin(phase + 0.37F * float(i) + 1.3F * float(micro_batch) + 2.1F * float(seed)));
    return values;
  }
  std::vector<float> input(int micro_batch) const { return values(micro_batch, 0.2F); }
  std::vector<float> loss_gradient(int micro_batch, std::span<const float> y) const {
    std::vector<float> gradient = values(micro_batch, 0.9F);
    for (std::size_t i = 0; i < gradient.size(); ++i) gradient[i] = y[i] - gradient[i];
    return gradient;
  }
};

/// What a model gave: its outputs, the gradients of its inputs, and those of its chunks.
struct TanhResult {
  std::map<int, std::vector<float>> y, dx;           // by micro-batch
  std::map<int, std::pair<float, float>> gradients;  // by global chunk: of the weight and of the bias
  bool operator==(const TanhResult&) const = default;
};

/// One stage's chunks of tanh. Throws std::logic_error where a slot is not what the plan says (taken twice, read before
/// it was written) and where a message has another length than promised.
class TanhStage : public PipelineWork {
 public:
  TanhStage(const PipelineShape& shape, const PipelinePlan& plan, int stage, TanhSamples samples)
      : shape_(shape), stage_(stage), samples_(samples) {
    for (int chunk = 0; chunk < shape.chunks; ++chunk) {
      chunks_.emplace_back(chunk * shape.stages + stage);
      slots_.emplace_back(std::size_t(plan.slots[std::size_t(chunk)]));
    }
  }

  std::size_t message_floats(int micro_batch) const override { return TanhSamples::floats(micro_batch); }

  void forward(const PipelineAction& action, std::span<const float> x_in, std::span<float> x_out) override {
    Slot& slot = slots_[std::size_t(action.chunk)].at(std::size_t(action.slot));
    if (slot.micro_batch != kFree) throw std::logic_error("a slot is taken twice");
    slot.micro_batch = action.micro_batch;
    check_messages(action, x_in.size(), x_out.size());
    const bool first = shape_.first(stage_, action.chunk);
    std::vector<float> x = first ? samples_.input(action.micro_batch) : std::vector(x_in.begin(), x_in.end());
    const std::vector<float> y = chunks_[std::size_t(action.chunk)].forward(std::move(x), slot.kept);
    if (shape_.last(stage_, action.chunk))
      result_.y[action.micro_batch] = y;
    else
      std::copy(y.begin(), y.end(), x_out.begin());
    free_after(action, slot);
  }

  void backward(const PipelineAction& action, std::span<const float> dx_out, std::span<float> dx_in) override {
    Slot& slot = held(action);
    check_messages(action, dx_in.size(), dx_out.size());
    TanhChunk& chunk = chunks_[std::size_t(action.chunk)];
    const bool last = shape_.last(stage_, action.chunk);
    const std::vector<float> dy =
        last ? samples_.loss_gradient(action.micro_batch, slot.kept.y) : std::vector(dx_out.begin(), dx_out.end());
    const std::vector<float> dx = chunk.backward_input(dy, slot.kept);
    if (action.step == PipelineStep::kBackward) chunk.backward_weight(slot.kept);
    if (shape_.first(stage_, action.chunk))
      result_.dx[action.micro_batch] = dx;
    else
      std::copy(dx.begin(), dx.end(), dx_in.begin());
    free_after(action, slot);
  }

  void backward_weight(const PipelineAction& action) override {
    Slot& slot = held(action);
    chunks_[std::size_t(action.chunk)].backward_weight(slot.kept);
    free_after(action, slot);
  }

  void add_to(TanhResult& all) const {
    for (const auto& [micro_batch, y] : result_.y) all.y[micro_batch] = y;
    for (const auto& [micro_batch, dx] : result_.dx) all.dx[micro_batch] = dx;
    for (int chunk = 0; chunk < shape_.chunks; ++chunk) {
      const TanhChunk& of_model = chunks_[std::size_t(chunk)];
      all.gradients[chunk * shape_.stages + stage_] = {of_model.weight_gradient, of_model.bias_gradient};
    }
  }

 private:
  static constexpr int kFree = -1;
  struct Slot {
    int micro_batch = kFree;
    TanhChunk::Kept kept;
  };

  // Of the message before this chunk and that behind it.
  void check_messages(const PipelineAction& action, std::size_t before, std::size_t behind) const {
    const std::size_t floats = message_floats(action.micro_batch);
    if (before != (shape_.first(stage_, action.chunk) ? 0 : floats) ||
        behind != (shape_.last(stage_, action.chunk) ? 0 : floats))
      throw std::logic_error("a message has another length than the work says");
  }
  Slot& held(const PipelineAction& action) {
    Slot& slot = slots_[std::size_t(action.chunk)].at(std::size_t(action.slot));
    if (slot.micro_batch != action.micro_batch) throw std::logic_error("a slot holds another micro-batch");
    return slot;
  }
  void free_after(const PipelineAction& action, Slot& slot) const {
    if (ends_flight(shape_.kind, action.step)) slot.micro_batch = kFree;
  }

  PipelineShape shape_;
  int stage_;
  TanhSamples samples_;
  std::vector<TanhChunk> chunks_;
  std::vector<std::vector<Slot>> slots_;
  TanhResult result_;
};

/// The same model on one rank: a micro-batch after the other, chunk after chunk.
inline TanhResult in_order(const PipelineShape& shape, const TanhSamples& samples) {
  const bool backward = shape.kind != PipelineKind::kForwardOnly;
  const int chunks = shape.stages * shape.chunks;
  std::vector<TanhChunk> model;
  for (int chunk = 0; chunk < chunks; ++chunk) model.emplace_back(chunk);
  TanhResult result;
  for (int micro_batch = 0; micro_batch < shape.micro_batches; ++micro_batch) {
    std::vector<TanhChunk::Kept> kept(model.size());
    std::vector<float> x = samples.input(micro_batch);
    for (std::size_t chunk = 0; chunk < model.size(); ++chunk) x = model[chunk].forward(std::move(x), kept[chunk]);
    result.y[micro_batch] = x;
    if (!backward) continue;
    std::vector<float> dx = samples.loss_gradient(micro_batch, x);
    for (std::size_t chunk = model.size(); chunk-- > 0;) {
      dx = model[chunk].backward_input(dx, kept[chunk]);
      model[chunk].backward_weight(kept[chunk]);
    }
    result.dx[micro_batch] = dx;
  }
  for (int chunk = 0; chunk < chunks; ++chunk)
    result.gradients[chunk] = {model[std::size_t(chunk)].weight_gradient, model[std::size_t(chunk)].bias_gradient};
  return result;
}

}  // namespace stoa::parallel
