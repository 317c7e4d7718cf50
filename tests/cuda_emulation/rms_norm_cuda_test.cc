#include <gtest/gtest.h>

#include <cmath>
#include <type_traits>

#include "stoa/tests/cuda_emulation/device_vector.h"
#include "stoa/tests/cuda_emulation/emulator.h"
#include "stoa/tests/reference/norm_reference.h"
#include "stoa/trainer/kernels/rms_norm.h"

namespace stoa::cuda_emulation {
namespace {

using trainer::bf16;

constexpr float kEpsilon = 1e-5F;

struct Size {
  std::size_t tokens;
  std::size_t width;
};
constexpr Size kSizes[] = {{1, 1}, {1, 33}, {3, 65}, {33, 257}, {2, 1025}};

/// Numbers between -1 and 1 without a pattern that a wrong index could meet again.
std::vector<float> numbers(std::size_t count, std::uint32_t seed) {
  std::vector<float> values(count);
  std::uint32_t state = seed;
  for (float& value : values) {
    state = state * 1664525U + 1013904223U;
    value = static_cast<float>(state >> 8) / 8388608.0F - 1.0F;
  }
  return values;
}

template <typename T>
std::vector<T> rounded(const std::vector<float>& values) {
  std::vector<T> out;
  for (const float value : values) out.push_back(trainer::from_float<T>(value));
  return out;
}

template <typename T>
struct Outcome {
  std::vector<float> sum_nd;
  std::vector<T> y_nd;
  std::vector<float> inv_rms_n;
};

template <typename T>
class RmsNormCuda : public testing::Test {
 protected:
  ~RmsNormCuda() override {
    set_thread_order(ThreadOrder::kAscending);
    EXPECT_EQ(take_findings(), "");
  }

  /// The sum is written over x, as the model does it.
  Outcome<T> run(Size size, const std::vector<float>& x_nd, const std::vector<T>& branch_nd,
                 const std::vector<float>& w_d) {
    const DeviceVector<float> x(queue_, x_nd), w(queue_, w_d), inv_rms(size.tokens);
    const DeviceVector<T> branch(queue_, branch_nd), y(x_nd.size());
    const std::span<float> sum = branch_nd.empty() ? std::span<float>() : x.view();
    trainer::rms_norm_forward<T>(queue_, x.view(), branch.view(), w.view(), kEpsilon, sum, y.view(), inv_rms.view());
    return {x.host(queue_), y.host(queue_), inv_rms.host(queue_)};
  }

  trainer::cuda::Queue queue_;
};

using Types = testing::Types<float, bf16>;
TYPED_TEST_SUITE(RmsNormCuda, Types);

/// fp32 sums of up to 1025 squares of numbers below 2, and one rounding to T.
template <typename T>
double tolerance() {
  return std::is_same_v<T, float> ? 4e-6 : 1.0 / 256 + 4e-6;
}

template <typename T>
void expect_reference(const std::vector<float>& x_nd, const std::vector<T>& branch_nd, const std::vector<float>& w_d,
                      const Outcome<T>& outcome) {
  reference::Values sum_nd(x_nd.begin(), x_nd.end());
  for (std::size_t i = 0; i < branch_nd.size(); ++i) sum_nd[i] += trainer::to_float(branch_nd[i]);
  const reference::Values w(w_d.begin(), w_d.end());
  const auto expected = reference::norm(reference::Norm::kRms, sum_nd, w, {}, kEpsilon);
  for (std::size_t n = 0; n < outcome.inv_rms_n.size(); ++n)
    ASSERT_NEAR(outcome.inv_rms_n[n], expected.inverse[n], 4e-6 * expected.inverse[n]);
  for (std::size_t i = 0; i < sum_nd.size(); ++i) {
    ASSERT_NEAR(outcome.sum_nd[i], sum_nd[i], 1.2e-7);  // half the last place of a number below 2
    ASSERT_NEAR(trainer::to_float(outcome.y_nd[i]), expected.y[i], tolerance<T>() * std::abs(expected.y[i]) + 1e-6)
        << i;
  }
}

TYPED_TEST(RmsNormCuda, EqualsTheFormulaInDoublePrecision) {
  for (const Size size : kSizes) {
    const auto x_nd = numbers(size.tokens * size.width, 1);
    const auto branch_nd = rounded<TypeParam>(numbers(size.tokens * size.width, 2));
    const auto w_d = numbers(size.width, 3);
    expect_reference(x_nd, branch_nd, w_d, this->run(size, x_nd, branch_nd, w_d));
  }
}

TYPED_TEST(RmsNormCuda, EqualsItsTwinOnTheProcessor) {
  trainer::cpu::Queue processor({.threads = 1, .pinned = {}});
  for (const Size size : kSizes) {
    const auto x_nd = numbers(size.tokens * size.width, 10);
    const auto branch_nd = rounded<TypeParam>(numbers(size.tokens * size.width, 11));
    const auto w_d = numbers(size.width, 12);
    Outcome<TypeParam> twin{x_nd, std::vector<TypeParam>(x_nd.size()), std::vector<float>(size.tokens)};
    trainer::rms_norm_forward<TypeParam>(processor, twin.sum_nd, branch_nd, w_d, kEpsilon, twin.sum_nd, twin.y_nd,
                                         twin.inv_rms_n);
    const auto outcome = this->run(size, x_nd, branch_nd, w_d);
    EXPECT_EQ(outcome.sum_nd, twin.sum_nd);
    for (std::size_t i = 0; i < x_nd.size(); ++i) {
      const float y = trainer::to_float(twin.y_nd[i]);
      ASSERT_NEAR(trainer::to_float(outcome.y_nd[i]), y, tolerance<TypeParam>() * std::abs(y) + 1e-6) << i;
    }
  }
}

TYPED_TEST(RmsNormCuda, WithoutABranchXStaysAsItIs) {
  for (const Size size : kSizes) {
    const auto x_nd = numbers(size.tokens * size.width, 4);
    const auto w_d = numbers(size.width, 5);
    const auto outcome = this->run(size, x_nd, {}, w_d);
    EXPECT_EQ(outcome.sum_nd, x_nd);
    expect_reference<TypeParam>(x_nd, {}, w_d, outcome);
  }
}

TYPED_TEST(RmsNormCuda, GivesTheSameBitsInAnyOrderOfThreads) {
  const Size size{3, 257};
  const auto x_nd = numbers(size.tokens * size.width, 6);
  const auto branch_nd = rounded<TypeParam>(numbers(size.tokens * size.width, 7));
  const auto w_d = numbers(size.width, 8);
  const auto ascending = this->run(size, x_nd, branch_nd, w_d);
  set_thread_order(ThreadOrder::kDescending);
  const auto descending = this->run(size, x_nd, branch_nd, w_d);
  EXPECT_EQ(ascending.sum_nd, descending.sum_nd);
  EXPECT_EQ(ascending.inv_rms_n, descending.inv_rms_n);
  for (std::size_t i = 0; i < ascending.y_nd.size(); ++i)
    ASSERT_EQ(trainer::to_float(ascending.y_nd[i]), trainer::to_float(descending.y_nd[i]));
}

TYPED_TEST(RmsNormCuda, NoTokensAreNoWork) {
  const auto outcome = this->run({0, 33}, {}, {}, numbers(33, 9));
  EXPECT_TRUE(outcome.y_nd.empty());
}

}  // namespace
}  // namespace stoa::cuda_emulation
