/// Why: one token of generation is one row of each product, so reading the weights is the limit: tokens per second
/// times the bytes of the weights in products should come near the memory's (or, for a small model, the cache's) speed.
/// Drawing a token goes over the whole vocabulary, with top-p several times, and must stay small beside that. The model
/// is configs/quickstart.yaml's.
#include <benchmark/benchmark.h>

#include "stoa/trainer/model/generation.h"
#include "stoa/trainer/model/initial_weights.h"
#include "stoa/trainer/model/sampling.h"

namespace stoa::trainer {
namespace {

ModelSettings quickstart() {
  ModelSettings model;
  model.layers = 6;
  model.width = 256;
  model.heads = 8;
  model.key_value_heads = 4;
  model.feed_forward_width = 704;
  model.vocabulary_size = 8192;
  model.context_length = 256;
  model.tied_embedding = true;
  return resolved(model);
}

/// Whole contexts, from one token of prompt to the last; the rate is tokens per second.
void Generate(benchmark::State& state) {
  const auto precision = state.range(0) == 0 ? Precision::kFp32 : Precision::kBf16;
  const SamplingSettings sampling{.temperature = 0.8, .top_p = state.range(2) == 0 ? 1 : 0.95};
  cpu::Queue queue({.threads = static_cast<int>(state.range(1))});
  const ParameterTable table = make_parameter_table(quickstart());
  ModelParameters parameters(table, precision);
  initialize_parameters(queue, table, 1, parameters.masters());
  parameters.refresh_copies(queue);
  const auto generator = make_generator(queue, table, parameters, precision);
  std::int64_t tokens = 0;
  for (auto _ : state) {
    generator->restart();
    std::int32_t token = 1;
    while (generator->room() > 0) {
      token = sample_token(generator->read(std::span(&token, 1)), sampling, generator->position());
      ++tokens;
    }
  }
  state.SetItemsProcessed(tokens);
}

/// A prompt that fills the context, read at once.
void ReadPrompt(benchmark::State& state) {
  const auto precision = state.range(0) == 0 ? Precision::kFp32 : Precision::kBf16;
  cpu::Queue queue({.threads = static_cast<int>(state.range(1))});
  const ParameterTable table = make_parameter_table(quickstart());
  ModelParameters parameters(table, precision);
  initialize_parameters(queue, table, 1, parameters.masters());
  parameters.refresh_copies(queue);
  const auto generator = make_generator(queue, table, parameters, precision);
  const std::vector<std::int32_t> prompt(std::size_t(table.model.context_length), 7);
  for (auto _ : state) {
    generator->restart();
    generator->read(prompt);
  }
  state.SetItemsProcessed(state.iterations() * std::ssize(prompt));
}

BENCHMARK(Generate)
    ->ArgNames({"bf16", "threads", "top_p"})
    ->ArgsProduct({{0, 1}, {1, 2}, {0, 1}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(ReadPrompt)
    ->ArgNames({"bf16", "threads"})
    ->ArgsProduct({{0, 1}, {1, 2}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace stoa::trainer

BENCHMARK_MAIN();
