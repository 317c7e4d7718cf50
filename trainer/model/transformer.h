#pragma once
/// The transformer as a template over the queue and the type of activations: kernels are found by overload, so a
/// backend that lacks one does not compile. Included by one file per backend (transformer_cpu.cc).
#include "stoa/base/error.h"
#include "stoa/trainer/kernels/activation.h"
#include "stoa/trainer/kernels/cross_entropy.h"
#include "stoa/trainer/kernels/embedding.h"
#include "stoa/trainer/kernels/layer_norm.h"
#include "stoa/trainer/kernels/linear.h"
#include "stoa/trainer/kernels/rope.h"
#include "stoa/trainer/model/transformer_buffers.h"

namespace stoa::trainer {

template <typename Queue, typename T>
class Transformer final : public Model {
 public:
  Transformer(Queue& queue, const ParameterTable& table, const ModelParameters& parameters, const ModelShape& shape);

  LossSums train(const MicroBatch& batch, const LossScale& scale, std::span<float> gradients) override;
  LossSums evaluate(const MicroBatch& batch) override;

 private:
  enum class Pass { kTrain, kEvaluate };
  /// The two residual branches of a layer, each a dropout site of its own.
  enum class Branch { kAttention = 0, kFeedForward = 1 };

  // transformer_forward.h
  void check(const MicroBatch& batch) const;
  void forward(const MicroBatch& batch, Pass pass);
  void attention_forward_branch(std::int64_t layer, const MicroBatch& batch, Pass pass);
  void feed_forward_forward_branch(std::int64_t layer);
  void norm_forward(std::span<const float> x_nd, std::span<const T> branch_nd, std::int64_t weight, std::int64_t bias,
                    std::span<float> sum_nd, std::span<T> y_nd, std::span<float> mean_n, std::span<float> scale_n);
  LossSums loss(const MicroBatch& batch, const LossScale& scale, std::span<float> gradients);

  // transformer_backward.h
  void backward(const MicroBatch& batch, std::span<float> gradients);
  void attention_backward_branch(std::int64_t layer, const MicroBatch& batch, std::span<float> gradients);
  void feed_forward_backward_branch(std::int64_t layer, const MicroBatch& batch, std::span<float> gradients);
  void norm_backward(std::span<const T> dy_nd, std::span<const float> x_nd, std::span<const float> mean_n,
                     std::span<const float> scale_n, std::int64_t weight, std::int64_t bias,
                     std::span<float> gradients);
  void norm_recompute(std::span<const float> x_nd, std::span<const float> mean_n, std::span<const float> scale_n,
                      std::int64_t weight, std::int64_t bias, std::span<T> y_nd);
  std::span<const T> branch_gradient(std::int64_t layer, Branch branch, const MicroBatch& batch);
  void bias_backward(std::span<const T> dy_nc, std::int64_t bias, std::int64_t columns, std::span<float> gradients);

  void drop(std::span<T> x_nd, std::int64_t layer, Branch branch, const MicroBatch& batch);
  void drop_embedding(std::span<float> x_nd, const MicroBatch& batch);
  AttentionDropout attention_dropout(std::int64_t layer, const MicroBatch& batch, Pass pass) const;
  AttentionShape attention_shape(const MicroBatch& batch) const;
  RowPositions positions(const MicroBatch& batch) const {
    return {.per_sequence = sizes_.context, .ids = batch.positions_bt};
  }
  HeadColumns query_columns(std::int64_t rows) const;
  HeadColumns key_columns(std::int64_t rows) const;

  std::span<const T> product(std::int64_t offset, std::int64_t elements) const {
    return parameters_.products<T>().subspan(std::size_t(offset), std::size_t(elements));
  }
  std::span<const float> master(std::int64_t offset, std::int64_t elements) const {
    if (offset < 0) return {};
    return parameters_.masters().subspan(std::size_t(offset), std::size_t(elements));
  }
  static std::span<float> part(std::span<float> gradients, std::int64_t offset, std::int64_t elements) {
    return gradients.subspan(std::size_t(offset), std::size_t(elements));
  }
  /// The first rows of a buffer made for the largest micro-batch.
  template <typename Value>
  std::span<Value> rows(std::span<Value> buffer, std::int64_t columns) const {
    return buffer.first(std::size_t(tokens_ * columns));
  }

  bool gpt2() const { return model_.family == ModelFamily::kGpt2; }

  Queue& queue_;
  const ParameterTable& table_;
  const ModelSettings& model_;
  const ModelParameters& parameters_;
  ModelShape shape_;
  TransformerSizes sizes_;
  std::int64_t tokens_ = 0;  ///< of the micro-batch at hand
  PageBuffer activation_memory_, workspace_memory_, table_memory_;
  TransformerActivations<T> kept_;
  TransformerWorkspace<T> work_;
  std::span<float> rope_te_;
};

}  // namespace stoa::trainer
