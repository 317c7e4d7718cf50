/// Why: these kernels do little arithmetic, so the memory bus is their limit. Compare bytes_per_second with Fill's and
/// Add's: a kernel far below them wastes time. AdamW touches 30 bytes a parameter (gradient, weight, two moments, bf16
/// copy).
#include <benchmark/benchmark.h>

#include <vector>

#include "stoa/trainer/kernels/activation.h"
#include "stoa/trainer/kernels/adamw.h"
#include "stoa/trainer/kernels/elementwise.h"
#include "stoa/trainer/kernels/layer_norm.h"
#include "stoa/trainer/kernels/rms_norm.h"

namespace stoa::trainer {
namespace {

constexpr std::size_t kParameters = std::size_t{24} << 20;
constexpr std::size_t kTokens = 4096;
constexpr std::size_t kWidth = 768;

cpu::QueueSettings settings_of(const benchmark::State& state) {
  cpu::QueueSettings settings;
  settings.threads = static_cast<int>(state.range(0));
  return settings;
}

void count_bytes(benchmark::State& state, std::size_t items, std::size_t bytes_per_item) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(items * bytes_per_item));
}

void Fill(benchmark::State& state) {
  cpu::Queue queue(settings_of(state));
  std::vector<float> y(kParameters);
  for (auto _ : state) fill(queue, 0, y);
  count_bytes(state, kParameters, 4);
}

void Add(benchmark::State& state) {
  cpu::Queue queue(settings_of(state));
  std::vector<float> x(kParameters);
  std::vector<float> y(kParameters);
  for (auto _ : state) add(queue, x, y);
  count_bytes(state, kParameters, 12);
}

void AdamW(benchmark::State& state) {
  cpu::Queue queue(settings_of(state));
  const std::vector<float> gradient(kParameters, 0.1F);
  std::vector<float> w(kParameters);
  std::vector<float> m(kParameters);
  std::vector<float> v(kParameters);
  std::vector<bf16> copy(kParameters);
  const AdamWStep step{.learning_rate = 1e-4F, .beta1 = 0.9F, .beta2 = 0.95F, .epsilon = 1e-8F, .weight_decay = 0.1F};
  for (auto _ : state) adamw_update(queue, step, gradient, w, m, v, copy);
  count_bytes(state, kParameters, 30);
}

void SumOfSquares(benchmark::State& state) {
  cpu::Queue queue(settings_of(state));
  const std::vector<float> x(kParameters, 0.1F);
  std::vector<double> partial((kParameters + kNormChunk - 1) / kNormChunk);
  for (auto _ : state) sum_of_squares(queue, x, partial);
  count_bytes(state, kParameters, 4);
}

struct NormBuffers {
  std::vector<float> x = std::vector<float>(kTokens * kWidth, 0.5F);
  std::vector<bf16> branch = std::vector<bf16>(kTokens * kWidth);
  std::vector<bf16> y = std::vector<bf16>(kTokens * kWidth);
  std::vector<float> dx = std::vector<float>(kTokens * kWidth);
  std::vector<float> w = std::vector<float>(kWidth, 1);
  std::vector<float> dw = std::vector<float>(kWidth);
  std::vector<float> mean = std::vector<float>(kTokens);
  std::vector<float> inverse = std::vector<float>(kTokens, 1);
  std::vector<float> workspace = std::vector<float>(norm_workspace_floats(kTokens, kWidth));
};

/// Reads x and branch, writes the sum and y: 12 bytes an element.
void RmsNormForward(benchmark::State& state) {
  cpu::Queue queue(settings_of(state));
  NormBuffers b;
  for (auto _ : state) rms_norm_forward<bf16>(queue, b.x, b.branch, b.w, 1e-5F, b.x, b.y, b.inverse);
  count_bytes(state, kTokens * kWidth, 12);
}

/// Reads dy, x and dx, writes dx: 14 bytes an element.
void RmsNormBackward(benchmark::State& state) {
  cpu::Queue queue(settings_of(state));
  NormBuffers b;
  for (auto _ : state) rms_norm_backward<bf16>(queue, b.y, b.x, b.w, b.inverse, b.dx, b.dw, b.workspace);
  count_bytes(state, kTokens * kWidth, 14);
}

void LayerNormForward(benchmark::State& state) {
  cpu::Queue queue(settings_of(state));
  NormBuffers b;
  for (auto _ : state) layer_norm_forward<bf16>(queue, b.x, b.branch, b.w, b.dw, 1e-5F, b.x, b.y, b.mean, b.inverse);
  count_bytes(state, kTokens * kWidth, 12);
}

void LayerNormBackward(benchmark::State& state) {
  cpu::Queue queue(settings_of(state));
  NormBuffers b;
  std::vector<float> db(kWidth);
  for (auto _ : state) layer_norm_backward<bf16>(queue, b.y, b.x, b.w, b.mean, b.inverse, b.dx, b.dw, db, b.workspace);
  count_bytes(state, kTokens * kWidth, 14);
}

/// Reads gate and up, writes y: 6 bytes an element of y.
void SwigluForward(benchmark::State& state) {
  cpu::Queue queue(settings_of(state));
  const std::vector<bf16> gate_up(2 * kTokens * kWidth, to_bf16(0.5F));
  std::vector<bf16> y(kTokens * kWidth);
  for (auto _ : state) swiglu_forward<bf16>(queue, gate_up, kWidth, y);
  count_bytes(state, y.size(), 6);
}

void GeluBackward(benchmark::State& state) {
  cpu::Queue queue(settings_of(state));
  const std::vector<bf16> x(kTokens * kWidth, to_bf16(0.5F));
  std::vector<bf16> dx(x.size());
  for (auto _ : state) gelu_backward<bf16>(queue, x, x, dx);
  count_bytes(state, x.size(), 6);
}

void Dropout(benchmark::State& state) {
  cpu::Queue queue(settings_of(state));
  std::vector<bf16> x(kTokens * kWidth, to_bf16(0.5F));
  for (auto _ : state) dropout<bf16>(queue, {.rate = 0.1F, .key = {1, 2}}, x);
  count_bytes(state, x.size(), 4);
}

void one_and_two_threads(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);
}
BENCHMARK(Fill)->Apply(one_and_two_threads);
BENCHMARK(Add)->Apply(one_and_two_threads);
BENCHMARK(AdamW)->Apply(one_and_two_threads);
BENCHMARK(SumOfSquares)->Apply(one_and_two_threads);
BENCHMARK(RmsNormForward)->Apply(one_and_two_threads);
BENCHMARK(RmsNormBackward)->Apply(one_and_two_threads);
BENCHMARK(LayerNormForward)->Apply(one_and_two_threads);
BENCHMARK(LayerNormBackward)->Apply(one_and_two_threads);
BENCHMARK(SwigluForward)->Apply(one_and_two_threads);
BENCHMARK(GeluBackward)->Apply(one_and_two_threads);
BENCHMARK(Dropout)->Apply(one_and_two_threads);

}  // namespace
}  // namespace stoa::trainer
