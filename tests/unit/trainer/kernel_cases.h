#pragma once
/// What the tests of elementwise and row kernels share: a queue for every instruction set of this machine, values that
/// are the same in every run, and a comparison with a double-precision reference.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "stoa/tests/reference/values.h"
#include "stoa/trainer/kernels/bf16.h"
#include "stoa/trainer/kernels/cpu_queue.h"
#include "stoa/trainer/kernels/philox.h"

namespace stoa::trainer {

using ActivationTypes = ::testing::Types<float, bf16>;

inline std::vector<cpu::Isa> machine_isas() {
  std::vector<cpu::Isa> isas;
  for (const cpu::Isa isa : {cpu::Isa::kPlain, cpu::Isa::kAvx2, cpu::Isa::kAvx512, cpu::Isa::kAvx512Bf16})
    if (isa <= cpu::detected_isa()) isas.push_back(isa);
  return isas;
}

template <typename Body>
void on_each_isa(int threads, const Body& body) {
  for (const cpu::Isa isa : machine_isas()) {
    SCOPED_TRACE(std::string(cpu::isa_name(isa)) + ", " + std::to_string(threads) + " threads");
    cpu::QueueSettings settings;
    settings.threads = threads;
    settings.isa = isa;
    cpu::Queue queue(settings);
    body(queue);
  }
}

/// Normal numbers times `scale`; each `stream` is another sequence.
template <typename T = float>
std::vector<T> normal_values(std::size_t count, std::uint64_t stream, float scale = 1) {
  std::vector<T> values(count);
  const PhiloxKey key = philox_key(stream, RandomPurpose::kInitialWeights);
  for (std::size_t i = 0; i < count; ++i) {
    const PhiloxBlock block = philox_block(key, i);
    values[i] = from_float<T>(scale * normal_pair(block[0], block[1])[0]);
  }
  return values;
}

template <typename T>
reference::Values to_doubles(const std::vector<T>& values) {
  reference::Values result;
  for (const T value : values) result.push_back(to_float(value));
  return result;
}

struct Tolerance {
  double relative = 0;
  double absolute = 0;
};

/// Of a result that is computed in fp32 (unit roundoff 6e-8) by sums of up to some hundred terms of size `scale`, then
/// stored as T. bf16 has 8 significant bits: storing costs 2^-9, and twice that where fp32's error crosses the middle.
template <typename T>
Tolerance rounding_of(double scale = 1) {
  return {.relative = sizeof(T) == 2 ? 0x1p-8 : 1e-5, .absolute = 1e-5 * scale};
}

template <typename T>
void expect_near(const std::vector<T>& actual, const reference::Values& expected, const Tolerance& tolerance,
                 const char* what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double bound = tolerance.relative * std::abs(expected[i]) + tolerance.absolute;
    // Written so that a NaN fails.
    ASSERT_TRUE(std::abs(to_float(actual[i]) - expected[i]) <= bound)
        << what << "[" << i << "] is " << to_float(actual[i]) << ", the reference " << expected[i] << " +- " << bound;
  }
}

template <typename T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  if (a.size() != b.size()) return false;
  return a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

template <typename T>
std::vector<T> plus(const std::vector<T>& a, const std::vector<T>& b) {
  std::vector<T> sum(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) sum[i] = a[i] + b[i];
  return sum;
}

inline double largest(const reference::Values& values) {
  double most = 0;
  for (const double value : values) most = std::max(most, std::abs(value));
  return most;
}

}  // namespace stoa::trainer
