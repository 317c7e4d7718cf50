#pragma once
/// A training run without a model: gradients are a function of what they belong to, written through the sink in the
/// orders in which pipeline schedules write them, on thread ranks over any mesh. Plain kernels and one thread a rank,
/// so that it also runs under ThreadSanitizer.
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "stoa/trainer/optimizer/training_state.h"

namespace stoa::trainer {

/// In which order the blocks of a rank's micro-batches come.
enum class GradientsOrder {
  kPlain,        ///< micro-batch by micro-batch, last block first
  kInterleaved,  ///< chunk by chunk in groups of two micro-batches, so that chunks are in different ones
  kSplit,        ///< embedding and head of the next micro-batch come before the layers of this one (zero-bubble)
};

struct OptimizerCase {
  ModelSettings model;
  parallel::MeshSize mesh;
  int chunks_per_stage = 1;
  GradientsOrder order = GradientsOrder::kPlain;
  std::int64_t global_micro_batches = 8;
  std::int64_t embedding_rows_apart =
      1;                        ///< a micro-batch touches every n-th row of the embedding, others another n-th
  TrainingStateSettings state;  ///< but gradients.micro_batches
  cpu::Isa isa = cpu::Isa::kPlain;

  std::string describe() const;
};

/// What a rank of a case has in hand.
struct OptimizerRank {
  const OptimizerCase& test;
  parallel::MeshGroups& groups;
  parallel::Background& data;
  const ParameterTable& table;
  TrainingState& state;
  std::int64_t micro_batches() const { return test.global_micro_batches / groups.size.data; }
};

/// The gradient of one element of a parameter in micro-batch g of a step; `use` 1 is the head's part of a tied one.
/// Sizes differ so much that every order of adding rounds differently.
float gradient_value(const std::string& name, std::int64_t element, std::int64_t g, std::int64_t step, int use);
float initial_value(const std::string& name, std::int64_t element);
/// Element `i` of what this rank holds of the parameter, counted in the whole tensor.
std::int64_t global_element(const Parameter& parameter, std::int64_t i);
std::int64_t elements_of_shape(const Parameter& parameter);

/// Adds the rank's gradients of micro-batch j to one block and completes it. On the tensor axis the terms of partial
/// gradients are equal; their number is a power of two, so that their sum has the bits of one rank.
void give_block(const OptimizerRank& rank, std::size_t block, std::int64_t j, std::int64_t step);
/// All of a step's, in the case's order.
void give_step(const OptimizerRank& rank, std::int64_t step);
/// Draws the owned masters and brings them to all.
void draw_parameters(const OptimizerRank& rank);

/// Runs body on the thread ranks of the case's mesh.
void run_case(const OptimizerCase& test, const std::function<void(OptimizerRank&)>& body);

/// Whole tensors, put together from what every rank owns; what several hold must be the same.
using WholeTensors = std::map<std::string, std::vector<float>>;
/// Adds what this rank owns of one flat buffer. One thread at a time.
void gather_owned(WholeTensors& whole, const OptimizerRank& rank, std::span<const float> flat);
struct TrainedModel {
  WholeTensors masters, first_moments, second_moments, gradients;
  std::vector<double> gradient_norms, parameter_norms;  ///< of each step
};
/// Three steps. Checks on the way that all ranks tell the same norms and that what the passes read is there.
TrainedModel train(const OptimizerCase& test);

}  // namespace stoa::trainer
