#include "stoa/trainer/kernels/cross_entropy.h"

#include "stoa/tests/reference/cross_entropy_reference.h"
#include "stoa/tests/unit/trainer/kernel_cases.h"

namespace stoa::trainer {
namespace {

constexpr float kScale = 0.037F;
constexpr float kZLoss = 1e-3F;

struct Rows {
  Rows(std::size_t rows, std::int64_t vocabulary_in, std::int64_t stride_in, float spread)
      : vocabulary(vocabulary_in),
        stride(stride_in),
        logits_rv(normal_values<float>(rows * static_cast<std::size_t>(stride_in), 7, spread)),
        targets_r(rows) {
    for (std::size_t r = 0; r < rows; ++r)
      targets_r[r] = r % 5 == 3 ? -1 : static_cast<std::int32_t>(static_cast<std::int64_t>(r * 7919) % vocabulary);
  }
  reference::CrossEntropy expected() const {
    return reference::cross_entropy({static_cast<std::size_t>(vocabulary), static_cast<std::size_t>(stride)},
                                    to_doubles(logits_rv), targets_r, kScale, kZLoss);
  }
  std::int64_t vocabulary;
  std::int64_t stride;
  std::vector<float> logits_rv;
  std::vector<std::int32_t> targets_r;
};

template <typename T>
struct Result {
  std::vector<float> loss_r, z_r;
  std::vector<T> dlogits_rv;
};

template <typename T>
Result<T> run(cpu::Queue& queue, const Rows& rows) {
  Result<T> result{std::vector<float>(rows.targets_r.size(), -1.0F), std::vector<float>(rows.targets_r.size(), -1.0F),
                   std::vector<T>(rows.logits_rv.size(), from_float<T>(-1.0F))};
  cross_entropy<T>(queue, rows.logits_rv, rows.vocabulary, rows.stride, rows.targets_r, kScale, kZLoss, result.loss_r,
                   result.z_r, result.dlogits_rv);
  return result;
}

template <typename T>
class CrossEntropy : public ::testing::Test {};
TYPED_TEST_SUITE(CrossEntropy, ActivationTypes, );

// Losses are sums in fp32 chunks: 1e-5. A gradient is at most `scale`, and exp is exact to some 1e-6 at |logit - lse|
// < 90.
TYPED_TEST(CrossEntropy, EqualsTheDoubleReference) {
  on_each_isa(2, [](cpu::Queue& queue) {
    for (const Rows& rows : {Rows(1, 1, 1, 1), Rows(7, 33, 48, 1), Rows(33, 257, 257, 3), Rows(5, 5003, 5056, 20)}) {
      const reference::CrossEntropy expected = rows.expected();
      const Result<TypeParam> result = run<TypeParam>(queue, rows);
      expect_near(result.loss_r, expected.loss_r, {.relative = 1e-5, .absolute = 1e-5}, "loss");
      expect_near(result.z_r, expected.z_r, {.relative = 1e-5, .absolute = 1e-5}, "z");
      Tolerance tolerance = rounding_of<TypeParam>(kScale);
      tolerance.absolute = 1e-5 * kScale;
      expect_near(result.dlogits_rv, expected.dlogits_rv, tolerance, "dlogits");
    }
  });
}

TEST(CrossEntropyReference, GradientEqualsFiniteDifferences) {
  const Rows rows(6, 17, 19, 2);
  const auto objective = [&](const reference::Values& logits) {
    return reference::cross_entropy_objective(
        reference::cross_entropy({17, 19}, logits, rows.targets_r, kScale, kZLoss), kScale, kZLoss);
  };
  const reference::Values expected = reference::finite_difference(objective, to_doubles(rows.logits_rv));
  const reference::Values gradient = rows.expected().dlogits_rv;
  for (std::size_t i = 0; i < gradient.size(); ++i) ASSERT_NEAR(gradient[i], expected[i], 1e-9) << i;
}

TEST(CrossEntropyRows, GradientMayTakeTheLogitsPlace) {
  on_each_isa(1, [](cpu::Queue& queue) {
    const Rows rows(9, 131, 144, 2);
    const Result<float> apart = run<float>(queue, rows);
    Rows same = rows;
    std::vector<float> loss_r(9), z_r(9);
    cross_entropy<float>(queue, same.logits_rv, same.vocabulary, same.stride, same.targets_r, kScale, kZLoss, loss_r,
                         z_r, same.logits_rv);
    EXPECT_TRUE(same_bits(same.logits_rv, apart.dlogits_rv));
    EXPECT_TRUE(same_bits(loss_r, apart.loss_r));
  });
}

TEST(CrossEntropyRows, EvaluationWithoutGradientGivesTheSameLosses) {
  on_each_isa(2, [](cpu::Queue& queue) {
    const Rows rows(9, 131, 144, 2);
    std::vector<float> loss_r(9), z_r(9);
    cross_entropy<bf16>(queue, rows.logits_rv, rows.vocabulary, rows.stride, rows.targets_r, kScale, kZLoss, loss_r,
                        z_r, {});
    EXPECT_TRUE(same_bits(loss_r, run<bf16>(queue, rows).loss_r));
  });
}

TEST(CrossEntropyRows, LogitsFarApartNeitherOverflowNorVanish) {
  on_each_isa(1, [](cpu::Queue& queue) {
    Rows rows(2, 33, 33, 1);
    rows.targets_r = {0, 1};
    for (std::size_t v = 0; v < 33; ++v) rows.logits_rv[v] = v == 0 ? 1e4F : -1e4F;
    const Result<float> result = run<float>(queue, rows);
    EXPECT_EQ(result.loss_r[0], 0);
    EXPECT_EQ(result.dlogits_rv[1], 0);
    EXPECT_TRUE(std::isfinite(result.dlogits_rv[0]));
  });
}

TYPED_TEST(CrossEntropy, BitsDoNotDependOnTheNumberOfThreads) {
  for (const cpu::Isa isa : machine_isas()) {
    const Rows rows(33, 257, 272, 3);
    cpu::Queue one({.threads = 1, .pinned = {}, .isa = isa});
    cpu::Queue two({.threads = 2, .pinned = {}, .isa = isa});
    EXPECT_TRUE(same_bits(run<TypeParam>(one, rows).dlogits_rv, run<TypeParam>(two, rows).dlogits_rv));
  }
}

}  // namespace
}  // namespace stoa::trainer
