#pragma once
/// A decoder-only transformer of either family, forward and backward by hand. The implementation is a template over the
/// queue and the type of activations (transformer.h); this is what the loop, evaluation and the programs see.
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "stoa/parallel/communicator.h"
#include "stoa/trainer/kernels/cpu_queue.h"
#include "stoa/trainer/model/gradient_sink.h"
#include "stoa/trainer/model/memory_plan.h"
#include "stoa/trainer/model/model_parameters.h"

namespace stoa::trainer {

/// One forward (and backward) pass of one rank: B samples of T tokens.
struct MicroBatch {
  std::span<const std::int32_t> tokens_bt;
  std::span<const std::int32_t> targets_bt;  ///< -1: not counted
  /// Of each token, the token of its sample where its document begins: it attends to no earlier one. Empty: 0, samples
  /// are one document each.
  std::span<const std::int32_t> document_begin_bt;
  std::span<const std::int32_t> positions_bt;  ///< position ids below T; empty: 0 .. T - 1 in each sample
  std::int64_t samples = 0;                    ///< B, at most what the model was made for
  std::int64_t first_sample = 0;               ///< number of sample 0 in the step's global batch: keys dropout
  std::uint64_t step = 0;                      ///< keys dropout
};

/// Sums over the tokens of a micro-batch, in double and in token order.
struct LossSums {
  double loss = 0;  ///< cross entropy in nats
  double z = 0;     ///< log(sum exp)^2
};

/// How gradients come out: each token's loss is multiplied by `scale` (1 / tokens of the global batch for a mean).
struct LossScale {
  float scale = 1;
  float z_loss = 0;
};

enum class ModelUse {
  kTraining,
  kEvaluation,  ///< activations of one layer only are kept
};

struct ModelShape {
  std::int64_t samples = 1;  ///< largest micro-batch
  ModelUse use = ModelUse::kTraining;
  std::uint64_t seed = 0;  ///< of dropout
  Recompute recompute = Recompute::kNone;
  std::vector<int> slots;  ///< activations in flight of each chunk; empty: one each
  /// The backward pass comes in two parts (zero-bubble schedules): each slot keeps what the second one needs.
  bool split_backward = false;
};

/// What a chunk's pass is about.
struct ChunkPass {
  int chunk = 0;
  int slot = 0;
  const MicroBatch& batch;
};

/// The chunks of layers of one rank's share of a model. The residual stream between chunks is fp32, this rank's rows
/// (row_slice) of the micro-batch's N = B * T, row-major, D columns. Collective over the tensor axis. DataError of any
/// pass where a token or a target is outside the vocabulary.
class Model {
 public:
  virtual ~Model() = default;

  /// x_in: empty for the chunk that begins with the embedding. x_out: empty for the one that ends with the head. Keeps
  /// in the slot what backward needs.
  virtual void forward(const ChunkPass& pass, std::span<const float> x_in, std::span<float> x_out) = 0;
  /// The gradient of the chunk's input goes to dx_in (empty where the embedding is) and those of the parameters to the
  /// sink, all of them; the head's loss is computed here. dx_out: empty where the head is. Returns the loss sums where
  /// the head is, else zeros.
  virtual LossSums backward(const ChunkPass& pass, const LossScale& scale, std::span<const float> dx_out,
                            std::span<float> dx_in, GradientSink& sink) = 0;
  /// The same without the gradients of the layers' parameters (the blocks of embedding and head are completed), which
  /// backward_weight adds later from what the slot keeps. REQUIRES: made with split_backward.
  virtual LossSums backward_input(const ChunkPass& pass, const LossScale& scale, std::span<const float> dx_out,
                                  std::span<float> dx_in, GradientSink& sink) = 0;
  virtual void backward_weight(const ChunkPass& pass, GradientSink& sink) = 0;
  /// Forward alone, without dropout. Loss sums where the head is, else zeros.
  virtual LossSums evaluate(const ChunkPass& pass, std::span<const float> x_in, std::span<float> x_out) = 0;

  /// This rank's rows of a micro-batch.
  virtual parallel::Slice row_slice(const MicroBatch& batch) const = 0;

  /// A model of one chunk with embedding and head: adds the gradients of the micro-batch to gradients
  /// (table.gradient_elements; tied parts apart, see ParameterTable).
  LossSums train(const MicroBatch& batch, const LossScale& scale, std::span<float> gradients);
  LossSums evaluate(const MicroBatch& batch);
};

struct ModelParts {
  const ParameterTable& table;
  const ModelParameters& parameters;
  Precision precision = Precision::kFp32;
  ModelShape shape;
  /// The tensor axis, the group of this rank; null where nothing is cut on it. Used by the model alone.
  std::unique_ptr<parallel::Communicator> tensor = nullptr;
  ParameterGate* gate = nullptr;  ///< null: parameters are always there
};

/// Borrows queue, table, parameters and gate. Collective over the tensor axis. The activations and workspace are
/// allocated here and never again.
std::unique_ptr<Model> make_model(cpu::Queue& queue, ModelParts parts);
/// A whole model on one rank.
std::unique_ptr<Model> make_model(cpu::Queue& queue, const ParameterTable& table, const ModelParameters& parameters,
                                  Precision precision, const ModelShape& shape);

/// Adds to `memory` what a model of that table allocates on one rank: activations, workspace, communication.
void plan_model(const ParameterTable& table, Precision precision, const ModelShape& shape, int threads,
                MemoryTable& memory);
/// What a processor without products of bf16 keeps on its queue: the widest product's operands and result in fp32.
std::size_t widened_product_bytes(const ParameterTable& table, const ModelShape& shape);

}  // namespace stoa::trainer
