#include "stoa/trainer/kernels/elementwise_loops.h"

#include "stoa/trainer/kernels/loop_values.h"

namespace stoa::trainer::cpu::STOA_ISA {
namespace {

void cast_to_bf16(const float* x, bf16* y, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) store(y, i, x[i]);
}

void cast_to_float(const bf16* x, float* y, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = load(x, i);
}

void add(const float* x, float* y, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] += x[i];
}

void add_to(const float* x, const float* z, float* y, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = x[i] + z[i];
}

void fill(float value, float* y, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = value;
}

template <typename T>
void sum_rows(const T* x, std::int64_t rows, std::int64_t columns, float* sum) {
  for (std::int64_t c = 0; c < columns; ++c) sum[c] = 0;
  for (std::int64_t n = 0; n < rows; ++n) {
    const T* row = x + n * columns;
#pragma omp simd
    for (std::int64_t c = 0; c < columns; ++c) sum[c] += load(row, c);
  }
}

constexpr int kBlocks = 16;

/// philox_block of philox.h for kBlocks consecutive indices, one vector lane each.
void philox_blocks(PhiloxKey key, std::uint64_t index, std::uint64_t second, std::uint32_t* bits) {
  std::uint32_t a[kBlocks];
  std::uint32_t b[kBlocks];
  std::uint32_t c[kBlocks];
  std::uint32_t d[kBlocks];
  for (int lane = 0; lane < kBlocks; ++lane) {
    const std::uint64_t at = index + static_cast<std::uint64_t>(lane);
    a[lane] = static_cast<std::uint32_t>(at);
    b[lane] = static_cast<std::uint32_t>(at >> 32);
    c[lane] = static_cast<std::uint32_t>(second);
    d[lane] = static_cast<std::uint32_t>(second >> 32);
  }
  for (int round = 0; round < 10; ++round) {
#pragma omp simd
    for (int lane = 0; lane < kBlocks; ++lane) {
      const std::uint64_t product0 = std::uint64_t{0xD2511F53U} * a[lane];
      const std::uint64_t product1 = std::uint64_t{0xCD9E8D57U} * c[lane];
      a[lane] = static_cast<std::uint32_t>(product1 >> 32) ^ b[lane] ^ key.low;
      b[lane] = static_cast<std::uint32_t>(product1);
      c[lane] = static_cast<std::uint32_t>(product0 >> 32) ^ d[lane] ^ key.high;
      d[lane] = static_cast<std::uint32_t>(product0);
    }
    key.low += 0x9E3779B9U;
    key.high += 0xBB67AE85U;
  }
  for (int lane = 0; lane < kBlocks; ++lane) {
    bits[4 * lane] = a[lane];
    bits[4 * lane + 1] = b[lane];
    bits[4 * lane + 2] = c[lane];
    bits[4 * lane + 3] = d[lane];
  }
}

template <typename T>
void dropout(const DropoutRun& run, T* x, std::int64_t count) {
  constexpr std::int64_t kNumbers = 4 * kBlocks;
  std::uint32_t bits[kNumbers];
  std::int64_t skipped = static_cast<std::int64_t>(run.first % 4);
  std::uint64_t block = run.first / 4;
  for (std::int64_t i = 0; i < count; block += kBlocks) {
    philox_blocks(run.key, block, run.step, bits);
    const std::int64_t numbers = kNumbers - skipped < count - i ? kNumbers - skipped : count - i;
    const std::uint32_t* number = bits + skipped;
    T* values = x + i;
#pragma omp simd
    for (std::int64_t j = 0; j < numbers; ++j) {
      const float uniform = static_cast<float>(static_cast<std::int32_t>(number[j] >> 8)) * 0x1p-24F;
      // The product is taken in any case: a load under a condition would keep this from being a vector loop.
      const float scaled = load(values, j) * run.scale;
      store(values, j, uniform >= run.rate ? scaled : 0.0F);
    }
    i += numbers;
    skipped = 0;
  }
}

}  // namespace

const ElementwiseLoops elementwise_loops = {&cast_to_bf16, &cast_to_float, &add, &add_to, &fill};
const TypedLoops<TypedElementwiseLoops> typed_elementwise_loops = {
    {&add_branch<float>, &sum_rows<float>, &dropout<float>}, {&add_branch<bf16>, &sum_rows<bf16>, &dropout<bf16>}};

}  // namespace stoa::trainer::cpu::STOA_ISA
