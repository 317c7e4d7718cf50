#include "stoa/trainer/kernels/cross_entropy_loops.h"

#include "stoa/trainer/kernels/cpu_math.h"
#include "stoa/trainer/kernels/loop_values.h"

namespace stoa::trainer::cpu::STOA_ISA {
namespace {

/// fp32 sums stay this short; they are added up in double.
constexpr std::int64_t kChunk = 2048;

SoftmaxSums sums(const float* logits, std::int64_t vocabulary) {
  float largest = logits[0];
#pragma omp simd reduction(max : largest)
  for (std::int64_t v = 0; v < vocabulary; ++v) largest = logits[v] > largest ? logits[v] : largest;
  double total = 0;
  for (std::int64_t begin = 0; begin < vocabulary; begin += kChunk) {
    const std::int64_t end = begin + kChunk < vocabulary ? begin + kChunk : vocabulary;
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t v = begin; v < end; ++v) sum += fast_exp(logits[v] - largest);
    total += sum;
  }
  return {largest, total};
}

template <typename T>
void gradient(const float* logits, std::int64_t vocabulary, float lse, float factor, T* dlogits) {
#pragma omp simd
  for (std::int64_t v = 0; v < vocabulary; ++v) store(dlogits, v, factor * fast_exp(logits[v] - lse));
}

}  // namespace

const TypedLoops<CrossEntropyLoops> cross_entropy_loops = {{&sums, &gradient<float>}, {&sums, &gradient<bf16>}};

}  // namespace stoa::trainer::cpu::STOA_ISA
