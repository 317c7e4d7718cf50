// Where the time of a training step goes: the products (80-87 %) and attention (8-15 %) of a GPT-2 of 124M parameters,
// against the processor's measured peak, so that a change of library, layout or tile shows at once. The CPU column
// counts the time of all threads: on a busy machine it tells more than the rates, which are of wall time.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <vector>

#include "stoa/trainer/kernels/attention.h"
#include "stoa/trainer/kernels/cross_entropy.h"
#include "stoa/trainer/kernels/linear.h"
#include "stoa/trainer/kernels/peak.h"

namespace stoa::trainer {
namespace {

using benchmark::Counter;
using benchmark::State;

template <typename T>
std::vector<T> values(std::int64_t count) {
  std::vector<T> result(static_cast<std::size_t>(count));
  std::uint32_t number = 1;
  for (T& value : result) {
    number = number * 1664525U + 1013904223U;
    value = from_float<T>(uniform_float(number) - 0.5F);
  }
  return result;
}

cpu::QueueSettings threads(const State& state, int argument) {
  cpu::QueueSettings settings;
  settings.threads = static_cast<int>(state.range(argument));
  return settings;
}

void count_flops(State& state, double flops) {
  state.counters["FLOP/s"] = Counter(flops, Counter::kIsIterationInvariantRate);
}

struct Shape {
  std::int64_t rows, inputs, outputs;
  explicit Shape(const State& state) : rows(state.range(1)), inputs(state.range(2)), outputs(state.range(3)) {}
  double flops() const { return 2.0 * static_cast<double>(rows * inputs) * static_cast<double>(outputs); }
};

template <typename TX, typename TY>
void BM_LinearForward(State& state) {
  cpu::Queue queue(threads(state, 0));
  const Shape s(state);
  const auto x = values<TX>(s.rows * s.inputs), w = values<TX>(s.outputs * s.inputs);
  std::vector<TY> y(static_cast<std::size_t>(s.rows * s.outputs));
  for (auto _ : state)
    linear_forward<TX, TY>(queue, std::span<const TX>(x), std::span<const TX>(w), {}, s.rows, s.inputs, s.outputs, y);
  count_flops(state, s.flops());
}

template <typename TX, typename TY>
void BM_LinearBackwardInput(State& state) {
  cpu::Queue queue(threads(state, 0));
  const Shape s(state);
  const auto dy = values<TX>(s.rows * s.outputs), w = values<TX>(s.outputs * s.inputs);
  std::vector<TY> dx(static_cast<std::size_t>(s.rows * s.inputs));
  for (auto _ : state)
    linear_backward_input<TX, TY>(queue, std::span<const TX>(dy), std::span<const TX>(w), s.rows, s.inputs, s.outputs,
                                  dx);
  count_flops(state, s.flops());
}

template <typename TX>
void BM_LinearBackwardWeight(State& state) {
  cpu::Queue queue(threads(state, 0));
  const Shape s(state);
  const auto dy = values<TX>(s.rows * s.outputs), x = values<TX>(s.rows * s.inputs);
  std::vector<float> dw(static_cast<std::size_t>(s.outputs * s.inputs));
  for (auto _ : state)
    linear_backward_weight<TX>(queue, std::span<const TX>(dy), std::span<const TX>(x), s.rows, s.inputs, s.outputs, dw);
  count_flops(state, s.flops());
}

/// Threads, rows, inputs, outputs.
void gpt2_shapes(benchmark::internal::Benchmark* bench) {
  for (const std::int64_t thread_count : {1, 2}) {
    bench->Args({thread_count, 2048, 768, 2304});
    bench->Args({thread_count, 2048, 768, 3072});
    bench->Args({thread_count, 2048, 3072, 768});
    bench->Args({thread_count, 256, 768, 50304});
  }
  bench->MeasureProcessCPUTime()->UseRealTime()->Unit(benchmark::kMillisecond);
}
BENCHMARK(BM_LinearForward<float, float>)->Apply(gpt2_shapes);
BENCHMARK(BM_LinearForward<bf16, bf16>)->Apply(gpt2_shapes);
BENCHMARK(BM_LinearForward<bf16, float>)->Apply(gpt2_shapes);
BENCHMARK(BM_LinearBackwardInput<float, float>)->Apply(gpt2_shapes);
BENCHMARK(BM_LinearBackwardInput<bf16, bf16>)->Apply(gpt2_shapes);
BENCHMARK(BM_LinearBackwardWeight<float>)->Apply(gpt2_shapes);
BENCHMARK(BM_LinearBackwardWeight<bf16>)->Apply(gpt2_shapes);

/// FLOPs of the products that a causal mask leaves: `products` of them, each L^2 / 2 pairs of E multiply-adds for every
/// document of L tokens.
double attention_flops(const AttentionShape& shape, std::int64_t documents, int products) {
  return static_cast<double>(products) * static_cast<double>(shape.samples * shape.heads * shape.head_width) *
         static_cast<double>(shape.tokens) * static_cast<double>(shape.tokens / documents + 1);
}

AttentionShape attention_shape(const State& state) {
  return {.samples = state.range(1), .tokens = state.range(2), .heads = 12, .key_value_heads = 12, .head_width = 64};
}

template <typename T>
struct AttentionMemory {
  explicit AttentionMemory(const AttentionShape& shape)
      : qkv(values<T>(shape.samples * shape.tokens * shape.columns())),
        o(values<T>(shape.samples * shape.tokens * shape.heads * shape.head_width)),
        lse(static_cast<std::size_t>(shape.samples * shape.tokens * shape.heads)) {}
  std::vector<T> qkv, o;
  std::vector<float> lse;
};

AttentionDropout dropout_of(const State& state) {
  return {.rate = static_cast<float>(state.range(3)) / 100.0F, .key = {1, 2}, .step = 3, .first_sample = 0};
}

/// 0 documents: no mask is given. Otherwise each sample holds so many of the same length.
std::int64_t documents_of(const State& state) { return std::max<std::int64_t>(state.range(4), 1); }
std::vector<std::int32_t> begins_of(const State& state) {
  std::vector<std::int32_t> begins;
  if (state.range(4) == 0) return begins;
  const std::int64_t tokens = state.range(2), length = tokens / documents_of(state);
  for (std::int64_t n = 0; n < state.range(1) * tokens; ++n)
    begins.push_back(static_cast<std::int32_t>(n % tokens / length * length));
  return begins;
}

template <typename T>
void BM_AttentionForward(State& state) {
  cpu::Queue queue(threads(state, 0));
  const AttentionShape shape = attention_shape(state);
  AttentionMemory<T> memory(shape);
  const auto begins = begins_of(state);
  for (auto _ : state) attention_forward<T>(queue, shape, memory.qkv, begins, dropout_of(state), memory.o, memory.lse);
  count_flops(state, attention_flops(shape, documents_of(state), 2));
}

template <typename T>
void BM_AttentionBackward(State& state) {
  cpu::Queue queue(threads(state, 0));
  const AttentionShape shape = attention_shape(state);
  AttentionMemory<T> memory(shape);
  const auto begins = begins_of(state);
  attention_forward<T>(queue, shape, memory.qkv, begins, dropout_of(state), memory.o, memory.lse);
  const std::vector<T> d_o = memory.o;
  std::vector<T> dqkv(memory.qkv.size());
  std::vector<float> workspace(attention_workspace_floats(shape, queue.threads()));
  for (auto _ : state)
    attention_backward<T>(queue, shape, memory.qkv, memory.o, d_o, memory.lse, begins, dropout_of(state), dqkv,
                          workspace);
  count_flops(state, attention_flops(shape, documents_of(state), 5));
}

/// Masking across documents must pay for itself: packed documents against the same tokens as one.
void attention_shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"threads", "samples", "tokens", "dropped", "documents"});
  for (const std::int64_t thread_count : {1, 2}) {
    bench->Args({thread_count, 4, 512, 0, 0});
    bench->Args({thread_count, 1, 1024, 0, 0});
  }
  bench->Args({1, 4, 512, 10, 0});
  bench->Args({1, 1, 2048, 0, 0});
  for (const std::int64_t documents : {1, 4, 16}) {
    bench->Args({1, 4, 512, 0, documents});
    bench->Args({1, 1, 2048, 0, documents});
  }
  bench->MeasureProcessCPUTime()->UseRealTime()->Unit(benchmark::kMillisecond);
}
BENCHMARK(BM_AttentionForward<float>)->Apply(attention_shapes);
BENCHMARK(BM_AttentionForward<bf16>)->Apply(attention_shapes);
BENCHMARK(BM_AttentionBackward<float>)->Apply(attention_shapes);
BENCHMARK(BM_AttentionBackward<bf16>)->Apply(attention_shapes);

template <typename T>
void BM_CrossEntropy(State& state) {
  cpu::Queue queue(threads(state, 0));
  const std::int64_t rows = 256, vocabulary = 50257, stride = 50304;
  const auto logits = values<float>(rows * stride);
  const std::vector<std::int32_t> targets(static_cast<std::size_t>(rows), 7);
  std::vector<float> loss(targets.size()), z(targets.size());
  std::vector<T> dlogits(logits.size());
  for (auto _ : state) cross_entropy<T>(queue, logits, vocabulary, stride, targets, 1e-3F, 1e-4F, loss, z, dlogits);
  state.SetItemsProcessed(state.iterations() * rows * vocabulary);
}
BENCHMARK(BM_CrossEntropy<float>)->Arg(1)->Arg(2)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK(BM_CrossEntropy<bf16>)->Arg(1)->Arg(2)->MeasureProcessCPUTime()->UseRealTime();

void BM_Peak(State& state) {
  cpu::Queue queue(threads(state, 0));
  const PeakKind kind = state.range(1) == 0 ? PeakKind::kFp32 : PeakKind::kBf16;
  double best = 0;
  for (auto _ : state) best = std::max(best, measure_peak_gflops(queue, kind));
  state.counters["FLOP/s"] = best * 1e9;
}
BENCHMARK(BM_Peak)
    ->ArgNames({"threads", "bf16"})
    ->ArgsProduct({{1, 2}, {0, 1}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace stoa::trainer
