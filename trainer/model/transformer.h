#pragma once
/// The transformer as a template over the queue and the type of activations: kernels are found by overload, so a
/// backend that lacks one does not compile. Told in transformer_forward.h, _loss.h, _backward.h and _weights.h.
/// Included by one file per backend (transformer_cpu.cc).
#include "stoa/base/error.h"
#include "stoa/trainer/kernels/activation.h"
#include "stoa/trainer/kernels/cross_entropy.h"
#include "stoa/trainer/kernels/embedding.h"
#include "stoa/trainer/kernels/layer_norm.h"
#include "stoa/trainer/kernels/linear.h"
#include "stoa/trainer/kernels/rope.h"
#include "stoa/trainer/model/tensor_rows.h"
#include "stoa/trainer/model/transformer_buffers.h"

namespace stoa::trainer {

template <typename Queue, typename T>
class Transformer final : public Model {
 public:
  Transformer(Queue& queue, ModelParts parts);

  void forward(const ChunkPass& pass, std::span<const float> x_in, std::span<float> x_out) override;
  LossSums backward(const ChunkPass& pass, const LossScale& scale, std::span<const float> dx_out,
                    std::span<float> dx_in, GradientSink& sink) override;
  LossSums backward_input(const ChunkPass& pass, const LossScale& scale, std::span<const float> dx_out,
                          std::span<float> dx_in, GradientSink& sink) override;
  void backward_weight(const ChunkPass& pass, GradientSink& sink) override;
  LossSums evaluate(const ChunkPass& pass, std::span<const float> x_in, std::span<float> x_out) override;
  parallel::Slice row_slice(const MicroBatch& batch) const override {
    return rows_axis_.slice(batch.samples * sizes_.context);
  }

 private:
  enum class Pass { kTrain, kEvaluate };
  /// The two residual branches of a layer, each a dropout site of its own.
  enum class Branch { kAttention = 0, kFeedForward = 1 };
  /// A layer at work: what the table, the slot and the micro-batch have of it.
  struct Layer {
    const LayerOffsets& at;
    LayerActivations<T>& kept;
    LayerDeferred<T>* deferred;  ///< null: the backward pass is not split
    const MicroBatch& batch;
  };

  /// Rows of a gradient: this rank's, and all once the ticket is done.
  struct Gathered {
    std::span<const T> own_md, all_nd;
    TensorRows::Ticket ticket;
  };

  // transformer_forward.h
  void allocate();
  void check(const ChunkPass& pass) const;
  void begin(const ChunkPass& pass);
  void run_forward(const ChunkPass& pass, std::span<const float> x_in, std::span<float> x_out, Pass kind);
  std::span<const float> embed(const MicroBatch& batch, std::span<float> x_md, Pass kind);
  void attention_forward_branch(const Layer& layer, Pass kind);
  void feed_forward_in(const Layer& layer);
  void feed_forward_out(const Layer& layer);
  void row_product(std::span<const T> x_ni, std::int64_t weight, std::int64_t bias, std::int64_t inputs);
  void norm_forward(std::span<const float> x_md, std::span<const T> branch_md, std::int64_t weight, std::int64_t bias,
                    std::span<float> sum_md, std::span<float> mean_m, std::span<float> scale_m);

  // transformer_loss.h
  LossSums loss(const MicroBatch& batch, const LossScale& scale, GradientSink* sink);
  void chunk_loss(const MicroBatch& batch, std::int64_t row, std::span<float> logits_rv, const LossScale& scale,
                  std::span<T> dlogits_rv);

  // transformer_backward.h
  LossSums run_backward(const ChunkPass& pass, const LossScale& scale, std::span<const float> dx_out,
                        std::span<float> dx_in, GradientSink& sink);
  void compute_again(const Layer& layer);
  void attention_backward_branch(const Layer& layer, GradientSink& sink);
  void feed_forward_backward_branch(const Layer& layer, GradientSink& sink);
  void head_norms_backward(const Layer& layer, std::span<T> dqkv_nc, GradientSink& sink);
  std::span<const T> branch_gradient(const Layer& layer, Branch branch);
  TensorRows::Ticket column_product_backward(std::span<const T> dy_nc, std::int64_t weight, std::int64_t columns);
  void take_scattered(std::span<float> terms_nd, TensorRows::Ticket scattered);
  void norm_backward(std::span<const T> dy_md, std::span<const float> x_md, std::span<const float> mean_m,
                     std::span<const float> scale_m, std::int64_t weight, std::span<float> dw_d, std::span<float> db_d);
  void embed_backward(const MicroBatch& batch, GradientSink& sink);

  // transformer_weights.h
  void norm_recompute(std::span<const float> x_md, std::span<const float> mean_m, std::span<const float> scale_m,
                      std::int64_t weight, std::int64_t bias);
  TensorRows::Ticket start_norm_again(const Layer& layer, Branch branch);
  std::span<const T> activate(const Layer& layer);
  void row_weights(const Layer& layer, Branch branch, const Gathered& dy, std::span<const T> x_ni, GradientSink& sink);
  void column_weights(const Layer& layer, Branch branch, std::span<const T> dy_nc, GradientSink& sink);
  Gathered start_gather(std::span<const T> dy_md);
  void add_vectors(const Layer& layer, GradientSink& sink);
  std::span<float> vector_gradient(const Layer& layer, std::int64_t place, std::int64_t offset, std::int64_t elements,
                                   GradientSink& sink);

  Layer layer_of(const ChunkPass& pass, std::int64_t in_chunk);
  bool begins(const ChunkPass& pass) const { return table_.share.holds_begin && pass.chunk == 0; }
  bool ends(const ChunkPass& pass) const {
    return table_.share.holds_end && pass.chunk + 1 == int(table_.chunks.size());
  }
  void await(std::size_t block) const {
    if (gate_ != nullptr) gate_->await(block);
  }

  void drop(std::span<T> x_md, const Layer& layer, Branch branch);
  void drop_embedding(std::span<float> x_md, const MicroBatch& batch);
  std::uint64_t first_element(const MicroBatch& batch) const;
  AttentionDropout attention_dropout(const Layer& layer, Pass kind) const;
  AttentionShape attention_shape(const MicroBatch& batch) const;
  RowPositions positions(const MicroBatch& batch) const {
    return {.per_sequence = sizes_.context, .ids = batch.positions_bt};
  }
  HeadColumns query_columns() const;
  HeadColumns key_columns() const;

  std::span<const T> product(std::int64_t offset, std::int64_t elements) const {
    return parameters_.products<T>().subspan(std::size_t(offset), std::size_t(elements));
  }
  std::span<const float> master(std::int64_t offset, std::int64_t elements) const {
    if (offset < 0) return {};
    return parameters_.masters().subspan(std::size_t(offset), std::size_t(elements));
  }
  /// All rows of the micro-batch at hand / this rank's, of a buffer made for the largest.
  template <typename Value>
  std::span<Value> tokens(std::span<Value> buffer, std::int64_t columns) const {
    return buffer.first(std::size_t(tokens_ * columns));
  }
  template <typename Value>
  std::span<Value> rows(std::span<Value> buffer, std::int64_t columns) const {
    return buffer.first(std::size_t(mine_.size() * columns));
  }
  /// This rank's rows, in their place among all of a buffer.
  template <typename Value>
  std::span<Value> own(std::span<Value> buffer, std::int64_t columns) const {
    return buffer.subspan(std::size_t(mine_.begin * columns), std::size_t(mine_.size() * columns));
  }

  bool gpt2() const { return model_.family == ModelFamily::kGpt2; }

  Queue& queue_;
  const ParameterTable& table_;
  const ModelSettings& model_;
  const ModelParameters& parameters_;
  ModelShape shape_;
  ParameterGate* gate_;
  TensorRows rows_axis_;
  TransformerSizes sizes_;
  std::int64_t tokens_ = 0;  ///< of the micro-batch at hand
  parallel::Slice mine_;     ///< its rows on this rank
  PageBuffer activation_memory_, workspace_memory_, table_memory_;
  std::vector<std::vector<SlotActivations<T>>> slots_;
  TransformerWorkspace<T> work_;
  std::span<float> rope_te_;
};

}  // namespace stoa::trainer
