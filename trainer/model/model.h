#pragma once
/// A decoder-only transformer of either family, forward and backward by hand. The implementation is a template over the
/// queue and the type of activations (transformer.h); this is what the loop, evaluation and the programs see.
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "stoa/trainer/kernels/bf16.h"
#include "stoa/trainer/kernels/cpu_queue.h"
#include "stoa/trainer/model/memory_plan.h"
#include "stoa/trainer/model/parameter_table.h"

namespace stoa::trainer {

/// fp32 masters and, for bf16, the copy used in products. Offsets are the table's; the padding between stays zero.
class ModelParameters {
 public:
  ModelParameters(const ParameterTable& table, Precision precision);

  std::span<float> masters() { return masters_.as<float>().first(elements_); }
  std::span<const float> masters() const { return masters_.as<float>().first(elements_); }
  /// Empty in fp32.
  std::span<bf16> copies() { return copies_.as<bf16>().first(has_copies_ ? elements_ : 0); }
  std::span<const bf16> copies() const { return copies_.as<bf16>().first(has_copies_ ? elements_ : 0); }

  /// Weights for products in type T.
  template <typename T>
  std::span<const T> products() const {
    if constexpr (std::is_same_v<T, float>)
      return masters();
    else
      return copies();
  }

  /// After the masters were written by other means than the optimizer.
  void refresh_copies(cpu::Queue& queue);

 private:
  std::size_t elements_;
  bool has_copies_;
  PageBuffer masters_;
  PageBuffer copies_;
};

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
};

/// DataError of either pass where a token or a target is outside the vocabulary.
class Model {
 public:
  virtual ~Model() = default;
  /// Adds the gradients of the micro-batch to gradients (table.gradient_elements; tied parts apart, see
  /// ParameterTable).
  virtual LossSums train(const MicroBatch& batch, const LossScale& scale, std::span<float> gradients) = 0;
  /// Forward alone, without dropout.
  virtual LossSums evaluate(const MicroBatch& batch) = 0;
};

/// Borrows queue, table and parameters. The activations and workspace are allocated here and never again.
std::unique_ptr<Model> make_model(cpu::Queue& queue, const ParameterTable& table, const ModelParameters& parameters,
                                  Precision precision, const ModelShape& shape);

/// The parts of one rank's memory, without allocating any: parameters, gradients (buffers of the deterministic mode's
/// tree included), optimizer, activations, workspace.
MemoryTable plan_memory(const ParameterTable& table, Precision precision, const ModelShape& shape, int threads,
                        std::int64_t gradient_buffers);

/// Initial weights, a function of (seed, name, global element index) alone: the same on any layout. REQUIRES: masters
/// are as ModelParameters made them (zero): padding and zero-initialised parameters are not written.
void initialize_parameters(cpu::Queue& queue, const ParameterTable& table, std::uint64_t seed,
                           std::span<float> masters);

}  // namespace stoa::trainer
