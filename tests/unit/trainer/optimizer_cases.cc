#include "stoa/tests/unit/trainer/optimizer_cases.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <numeric>

#include "stoa/parallel/thread_ranks.h"
#include "stoa/tests/unit/trainer/loop_cases.h"

namespace stoa::trainer {
namespace {

constexpr int kSteps = 3;

std::uint64_t mixed(std::uint64_t x) {  // splitmix64
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

/// Between -2^(powers - 1) and 2^(powers - 1).
float drawn(std::uint64_t key, std::uint64_t powers) {
  const std::uint64_t bits = mixed(key);
  return std::ldexp(float(bits >> 40) * 0x1p-24F - 0.5F, int(bits % powers));
}

std::uint64_t key_of(const std::string& name) { return std::hash<std::string>()(name); }

/// A block on its own or the layers of a chunk, from the last to the first.
std::vector<std::size_t> blocks_of_chunk(const ParameterTable& table, std::size_t chunk) {
  std::vector<std::size_t> blocks;
  for (std::int64_t layer = table.chunks[chunk].end; layer-- > table.chunks[chunk].begin;)
    blocks.push_back(table.layers[std::size_t(layer)].block);
  return blocks;
}

std::vector<std::size_t> end_blocks(const ParameterTable& table, std::size_t chunk) {
  if (!table.share.holds_end || chunk + 1 != table.chunks.size()) return {};
  return {table.head_block, table.final_norm_block};
}

std::vector<std::size_t> begin_blocks(const ParameterTable& table, std::size_t chunk) {
  if (!table.share.holds_begin || chunk != 0) return {};
  if (table.positions < 0) return {table.embedding_block};
  return {table.positions_block, table.embedding_block};
}

void give(const OptimizerRank& rank, const std::vector<std::size_t>& blocks, std::int64_t j, std::int64_t step) {
  for (const std::size_t block : blocks) give_block(rank, block, j, step);
}

void give_chunk(const OptimizerRank& rank, std::size_t chunk, std::int64_t j, std::int64_t step) {
  give(rank, end_blocks(rank.table, chunk), j, step);
  give(rank, blocks_of_chunk(rank.table, chunk), j, step);
  give(rank, begin_blocks(rank.table, chunk), j, step);
}

/// The input's half of micro-batch j + 1 comes before the weights' half of j.
void give_split(const OptimizerRank& rank, std::int64_t step) {
  for (std::int64_t j = 0; j <= rank.micro_batches(); ++j) {
    if (j < rank.micro_batches()) {
      give(rank, end_blocks(rank.table, 0), j, step);
      give(rank, begin_blocks(rank.table, 0), j, step);
    }
    if (j > 0) give(rank, blocks_of_chunk(rank.table, 0), j - 1, step);
  }
}

bool touches(const OptimizerCase& test, const Parameter& parameter, std::int64_t i, std::int64_t g) {
  const std::int64_t row = global_element(parameter, i) / parameter.shape[1];
  return (row + 5 * g) % test.embedding_rows_apart == 0;
}

/// What the passes read is on every rank what its owner made it.
void expect_here(const OptimizerRank& rank, const WholeTensors& masters) {
  for (const Parameter& parameter : rank.table.parameters) {
    const parallel::Slice all{parameter.offset, parameter.offset + parameter.elements};
    const auto& whole = masters.at(parameter.name);
    const auto expected = [&](std::int64_t at) {
      return whole[std::size_t(global_element(parameter, at - parameter.offset))];
    };
    const bool fp32 = rank.test.state.precision == Precision::kFp32;
    for (const parallel::Slice& run : fp32 ? FlatRanges{all} : within(wide_ranges(rank.table), all))
      for (std::int64_t at = run.begin; at < run.end; ++at)
        ASSERT_EQ(rank.state.masters()[std::size_t(at)], expected(at)) << parameter.name;
    const ParameterBlock& block = rank.table.blocks[parameter.block];
    for (const parallel::Slice& run : within({all}, {fp32 ? block.end : block.narrow_begin, block.end}))
      for (std::int64_t at = run.begin; at < run.end; ++at)
        ASSERT_EQ(to_float(rank.state.parameters().copies()[std::size_t(at)]), to_float(to_bf16(expected(at))))
            << parameter.name;
  }
}

void expect_agreed(std::vector<double>& norms, std::size_t step, double norm) {
  if (norms.size() == step) norms.push_back(norm);
  EXPECT_EQ(norms[step], norm) << "ranks differ at step " << step;
}

}  // namespace

std::string OptimizerCase::describe() const {
  return fmt::format("{} data {} pipeline {} tensor {} chunks {} ZeRO {} order {} sums {} precision {}",
                     model.family == ModelFamily::kGpt2 ? "gpt2" : "llama", mesh.data, mesh.pipeline, mesh.tensor,
                     chunks_per_stage, int(state.zero), int(order), int(state.gradients.order), int(state.precision));
}

float gradient_value(const std::string& name, std::int64_t element, std::int64_t g, std::int64_t step, int use) {
  const std::uint64_t of_batch = mixed(std::uint64_t(g) * 64 + std::uint64_t(step) * 2 + std::uint64_t(use));
  return drawn(key_of(name) ^ of_batch ^ std::uint64_t(element) << 20, 7);
}

float initial_value(const std::string& name, std::int64_t element) {
  return drawn(key_of(name) ^ std::uint64_t(element) << 20, 3);
}

std::int64_t global_element(const Parameter& parameter, std::int64_t i) {
  if (parameter.shape.size() == 1) return parameter.box.begin[0] + i;
  const std::int64_t columns = parameter.box.size[1];
  return (parameter.box.begin[0] + i / columns) * parameter.shape[1] + parameter.box.begin[1] + i % columns;
}

std::int64_t elements_of_shape(const Parameter& parameter) {
  return std::reduce(parameter.shape.begin(), parameter.shape.end(), std::int64_t{1}, std::multiplies<>());
}

void give_block(const OptimizerRank& rank, std::size_t block, std::int64_t j, std::int64_t step) {
  const ParameterTable& table = rank.table;
  const std::int64_t g =
      micro_batch_number(rank.state.plan().zero, rank.groups.size.data, rank.groups.at.data, rank.micro_batches(), j);
  // Through the sink: the head's gradient has a block of its own where it is tied to the embedding here.
  const bool gradient_only = table.tied() && block == table.head_block;
  for (const Parameter& parameter : table.parameters) {
    if (parameter.block != (gradient_only ? table.embedding_block : block)) continue;
    const bool whole = parameter.placement.kind == parallel::PlacementKind::kReplicated;
    const bool partial = parameter.gradient.kind == parallel::PlacementKind::kPartial;
    const int terms = !partial ? 1 : whole ? table.share.tensor_parts : parameter.placement.copies;
    const std::int64_t offset = gradient_only ? table.head_gradient : parameter.offset;
    const auto into = rank.state.sink().part(block, offset, parameter.elements);
    for (std::int64_t i = 0; i < parameter.elements; ++i) {
      if (offset == table.embedding && !touches(rank.test, parameter, i, g)) continue;
      into[std::size_t(i)] += gradient_value(parameter.name, global_element(parameter, i), g, step,
                                             gradient_only || parameter.tied_copy ? 1 : 0) /
                              float(terms);
    }
  }
  rank.state.sink().complete(block);
}

void give_step(const OptimizerRank& rank, std::int64_t step) {
  const auto chunks = rank.table.chunks.size();
  switch (rank.test.order) {
    case GradientsOrder::kPlain:
      for (std::int64_t j = 0; j < rank.micro_batches(); ++j)
        for (std::size_t chunk = chunks; chunk-- > 0;) give_chunk(rank, chunk, j, step);
      return;
    case GradientsOrder::kInterleaved:
      for (std::int64_t first = 0; first < rank.micro_batches(); first += 2)
        for (std::size_t chunk = chunks; chunk-- > 0;)
          for (std::int64_t j = first; j < std::min(first + 2, rank.micro_batches()); ++j)
            give_chunk(rank, chunk, j, step);
      return;
    case GradientsOrder::kSplit:
      return give_split(rank, step);
  }
}

void draw_parameters(const OptimizerRank& rank) {
  for (const Parameter& parameter : rank.table.parameters)
    for (const parallel::Slice& run :
         within(rank.state.owned(), {parameter.offset, parameter.offset + parameter.elements}))
      for (std::int64_t at = run.begin; at < run.end; ++at)
        rank.state.masters()[std::size_t(at)] =
            initial_value(parameter.name, global_element(parameter, at - parameter.offset));
  rank.state.gather_all();
}

void run_case(const OptimizerCase& test, const std::function<void(OptimizerRank&)>& body) {
  const ParallelSettings parallel{.mesh = test.mesh, .chunks_per_stage = test.chunks_per_stage};
  parallel::run_thread_ranks(test.mesh.ranks(), kLoopDeadline_s, [&](parallel::Communicator& job) {
    parallel::MeshGroups groups = make_mesh_groups(job, test.mesh);
    parallel::Background data(std::move(groups.data));
    cpu::Queue queue({.threads = 1, .pinned = {}, .isa = test.isa});
    const ParameterTable table = make_parameter_table(test.model, model_share(test.model, parallel, groups.at));
    TrainingStateSettings settings = test.state;
    settings.gradients.micro_batches = test.global_micro_batches / test.mesh.data;
    TrainingState state({queue, table, groups, data}, settings);
    OptimizerRank rank{test, groups, data, table, state};
    body(rank);
  });
}

void gather_owned(WholeTensors& whole, const OptimizerRank& rank, std::span<const float> flat) {
  for (const Parameter& parameter : rank.table.parameters) {
    auto& tensor = whole[parameter.name];
    tensor.resize(std::size_t(elements_of_shape(parameter)), std::numeric_limits<float>::quiet_NaN());
    for (const parallel::Slice& run :
         within(rank.state.owned(), {parameter.offset, parameter.offset + parameter.elements}))
      for (std::int64_t at = run.begin; at < run.end; ++at) {
        float& value = tensor[std::size_t(global_element(parameter, at - parameter.offset))];
        ASSERT_TRUE(std::isnan(value) || value == flat[std::size_t(at)]) << parameter.name << ": two owners differ";
        value = flat[std::size_t(at)];
      }
  }
}

TrainedModel train(const OptimizerCase& test) {
  TrainedModel model;
  std::mutex mutex;
  run_case(test, [&](OptimizerRank& rank) {
    draw_parameters(rank);
    for (int step = 1; step <= kSteps; ++step) {
      rank.state.begin_step();
      give_step(rank, step);
      rank.state.finish_step();
      const double norm = rank.state.gradient_norm();
      if (step == kSteps) {
        const std::lock_guard lock(mutex);
        gather_owned(model.gradients, rank, rank.state.gradients());
      }
      rank.state.update(step, 0.125, norm);
      const double parameter_norm = rank.state.parameter_norm();
      for (std::size_t block = 0; block < rank.table.blocks.size(); ++block) rank.state.gate().await(block);
      const std::lock_guard lock(mutex);
      expect_agreed(model.gradient_norms, std::size_t(step - 1), norm);
      expect_agreed(model.parameter_norms, std::size_t(step - 1), parameter_norm);
    }
    {
      const std::lock_guard lock(mutex);
      gather_owned(model.masters, rank, rank.state.masters());
      gather_owned(model.first_moments, rank, rank.state.first_moments());
      gather_owned(model.second_moments, rank, rank.state.second_moments());
    }
    rank.groups.job.barrier("all values gathered");
    const std::lock_guard lock(mutex);
    expect_here(rank, model.masters);
  });
  return model;
}

}  // namespace stoa::trainer
