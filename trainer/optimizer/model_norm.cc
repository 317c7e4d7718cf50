#include "stoa/trainer/optimizer/model_norm.h"

#include <algorithm>
#include <cmath>

#include "stoa/parallel/tree_order.h"
#include "stoa/trainer/kernels/adamw.h"

namespace stoa::trainer {
namespace {

std::vector<std::size_t> first_chunks(const ParameterTable& table) {
  std::vector<std::size_t> first = {0};
  for (const Parameter& parameter : table.parameters)
    first.push_back(first.back() + std::size_t((parameter.elements + kNormChunk - 1) / kNormChunk));
  return first;
}

void sum_along_tree(std::span<double> values) {
  parallel::for_each_tree_sum(0, values.size(),
                              [&](std::size_t left, std::size_t right) { values[left] += values[right]; });
}

}  // namespace

ModelNorm::ModelNorm(cpu::Queue& queue, const ParameterTable& table, const BucketPlan& plan, int data_rank)
    : queue_(queue),
      table_(table),
      owned_(plan.owned(data_rank)),
      cut_(plan.zero != Zero::kNone),
      first_chunk_(first_chunks(table)),
      chunk_sums_(first_chunk_.back()),
      parameter_sums_(table.parameters_of_model * std::size_t(table.share.tensor_parts)) {}

std::size_t ModelNorm::memory_bytes(const ParameterTable& table) {
  const std::size_t sums =
      first_chunks(table).back() + table.parameters_of_model * std::size_t(table.share.tensor_parts);
  return sums * sizeof(double);
}

void ModelNorm::sum_chunks(std::span<const float> values) {
  std::fill(chunk_sums_.begin(), chunk_sums_.end(), 0);
  for (std::size_t i = 0; i < table_.parameters.size(); ++i) {
    const Parameter& parameter = table_.parameters[i];
    for (const parallel::Slice& run : within(owned_, {parameter.offset, parameter.offset + parameter.elements})) {
      const auto chunk = std::size_t((run.begin - parameter.offset) / kNormChunk);
      const auto chunks = std::size_t((run.size() + kNormChunk - 1) / kNormChunk);
      sum_of_squares(queue_, values.subspan(std::size_t(run.begin), std::size_t(run.size())),
                     std::span(chunk_sums_).subspan(first_chunk_[i] + chunk, chunks));
    }
  }
}

void ModelNorm::sum_parameters() {
  std::fill(parameter_sums_.begin(), parameter_sums_.end(), 0);
  const auto parts = std::size_t(table_.share.tensor_parts), part = std::size_t(table_.share.tensor_index);
  for (std::size_t i = 0; i < table_.parameters.size(); ++i) {
    const auto chunks = std::span(chunk_sums_).subspan(first_chunk_[i], first_chunk_[i + 1] - first_chunk_[i]);
    if (!table_.parameters[i].counted_here || chunks.empty()) continue;
    sum_along_tree(chunks);
    parameter_sums_[table_.parameters[i].number * parts + part] = chunks[0];
  }
}

double ModelNorm::norm() {
  const auto parts = std::size_t(table_.share.tensor_parts);
  for (std::size_t number = 0; number < table_.parameters_of_model; ++number) {
    const auto slices = std::span(parameter_sums_).subspan(number * parts, parts);
    sum_along_tree(slices);
    parameter_sums_[number] = slices[0];
  }
  sum_along_tree(std::span(parameter_sums_).first(table_.parameters_of_model));
  return std::sqrt(parameter_sums_[0]);
}

// Where the ranks' sums meet, every place has one term that is not zero: the order of ranks does not matter.
double ModelNorm::of(std::span<const float> values, parallel::Background& data, parallel::Communicator& model) {
  sum_chunks(values);
  if (cut_)
    data.run([&](parallel::Communicator& group) {
      group.all_reduce(std::span(chunk_sums_), parallel::ReduceOp::kSum, "chunks of the norm");
    });
  sum_parameters();
  if (model.size() > 1) model.all_reduce(std::span(parameter_sums_), parallel::ReduceOp::kSum, "parts of the norm");
  return norm();
}

}  // namespace stoa::trainer
