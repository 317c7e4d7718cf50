#include <gtest/gtest.h>

#include "stoa/tests/reference/norm_reference.h"
#include "stoa/tests/unit/trainer/kernel_cases.h"
#include "stoa/trainer/kernels/elementwise.h"
#include "stoa/trainer/kernels/layer_norm.h"
#include "stoa/trainer/kernels/rms_norm.h"

namespace stoa::trainer {
namespace {

using reference::Norm;

constexpr float kEpsilon = 1e-5F;

struct Size {
  std::size_t rows;
  std::size_t width;
};
constexpr Size kSizes[] = {{1, 1}, {1, 33}, {33, 65}, {257, 33}, {5, 768}, {257, 1057}};

/// One interface to both norms, so that every claim is made of both.
template <typename T>
struct NormRun {
  Norm kind;
  std::vector<float> w;
  std::vector<float> b;
  std::vector<float> mean;
  std::vector<float> inverse;

  NormRun(Norm norm_kind, Size size)
      : kind(norm_kind),
        w(normal_values(size.width, 11)),
        b(normal_values(size.width, 12)),
        mean(size.rows),
        inverse(size.rows) {}

  std::vector<T> forward(cpu::Queue& queue, std::span<const float> x, std::span<const T> branch, std::span<float> sum) {
    std::vector<T> y(x.size());
    if (kind == Norm::kRms) {
      rms_norm_forward<T>(queue, x, branch, w, kEpsilon, sum, y, inverse);
    } else {
      layer_norm_forward<T>(queue, x, branch, w, b, kEpsilon, sum, y, mean, inverse);
    }
    return y;
  }

  std::vector<T> recompute(cpu::Queue& queue, std::span<const float> x) {
    std::vector<T> y(x.size());
    if (kind == Norm::kRms) {
      rms_norm_recompute<T>(queue, x, w, inverse, y);
    } else {
      layer_norm_recompute<T>(queue, x, w, b, mean, inverse, y);
    }
    return y;
  }

  struct Gradients {
    std::vector<float> dx;
    std::vector<float> dw;
    std::vector<float> db;
  };

  /// Adds to `start`; forward must have been called with the same x.
  Gradients backward(cpu::Queue& queue, std::span<const T> dy, std::span<const float> x, Gradients start) {
    std::vector<float> workspace(norm_workspace_floats(inverse.size(), w.size()), NAN);
    if (kind == Norm::kRms) {
      rms_norm_backward<T>(queue, dy, x, w, inverse, start.dx, start.dw, workspace);
    } else {
      layer_norm_backward<T>(queue, dy, x, w, mean, inverse, start.dx, start.dw, start.db, workspace);
    }
    return start;
  }
};

template <typename Body>
void for_each_case(const Body& body) {
  for (const Norm kind : {Norm::kRms, Norm::kLayer}) {
    for (const Size size : kSizes) {
      SCOPED_TRACE((kind == Norm::kRms ? "RMSNorm " : "LayerNorm ") + std::to_string(size.rows) + " x " +
                   std::to_string(size.width));
      on_each_isa(2, [&](cpu::Queue& queue) { body(queue, kind, size); });
    }
  }
}

template <typename T>
class KernelsNorm : public ::testing::Test {};
TYPED_TEST_SUITE(KernelsNorm, ActivationTypes);

TYPED_TEST(KernelsNorm, ForwardAddsTheBranchInPlaceAndNormalisesAsTheReference) {
  for_each_case([](cpu::Queue& queue, Norm kind, Size size) {
    std::vector<float> x = normal_values(size.rows * size.width, 1);
    const auto branch = normal_values<TypeParam>(x.size(), 2);
    reference::Values sum = to_doubles(x);
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] = static_cast<float>(sum[i] + to_float(branch[i]));
    NormRun<TypeParam> run(kind, size);
    const auto y = run.forward(queue, x, branch, x);
    const auto expected = reference::norm(kind, sum, to_doubles(run.w), to_doubles(run.b), kEpsilon);
    expect_near(x, sum, {}, "sum");
    expect_near(y, expected.y, rounding_of<TypeParam>(), "y");
    expect_near(run.inverse, expected.inverse, rounding_of<float>(), "inverse");
    expect_near(run.mean, expected.mean, rounding_of<float>(), "mean");
  });
}

TYPED_TEST(KernelsNorm, TheSumMayGoElsewhereAndHasTheBitsOfAddBranch) {
  for_each_case([](cpu::Queue& queue, Norm kind, Size size) {
    const std::vector<float> x = normal_values(size.rows * size.width, 1);
    const auto branch = normal_values<TypeParam>(x.size(), 2);
    NormRun<TypeParam> apart(kind, size);
    std::vector<float> sum(x.size(), NAN);
    const auto y = apart.forward(queue, x, branch, sum);
    std::vector<float> added(x.size(), NAN);
    add_branch<TypeParam>(queue, x, branch, added);
    EXPECT_TRUE(same_bits(added, sum));
    // A stage that begins with this norm, and has the sum from the stage before, gives the same rows.
    NormRun<TypeParam> next_stage(kind, size);
    EXPECT_TRUE(same_bits(next_stage.forward(queue, added, {}, {}), y));
    EXPECT_TRUE(same_bits(next_stage.inverse, apart.inverse));
  });
}

TYPED_TEST(KernelsNorm, ForwardWithoutABranchTouchesNoSum) {
  for_each_case([](cpu::Queue& queue, Norm kind, Size size) {
    const auto x = normal_values(size.rows * size.width, 3);
    NormRun<TypeParam> run(kind, size);
    const auto y = run.forward(queue, x, {}, {});
    const auto expected = reference::norm(kind, to_doubles(x), to_doubles(run.w), to_doubles(run.b), kEpsilon);
    expect_near(y, expected.y, rounding_of<TypeParam>(), "y");
  });
}

TYPED_TEST(KernelsNorm, RecomputeGivesTheBitsOfTheForward) {
  for_each_case([](cpu::Queue& queue, Norm kind, Size size) {
    auto x = normal_values(size.rows * size.width, 4);
    const auto branch = normal_values<TypeParam>(x.size(), 5);
    NormRun<TypeParam> run(kind, size);
    const auto y = run.forward(queue, x, branch, x);
    EXPECT_TRUE(same_bits(run.recompute(queue, x), y));
  });
}

TYPED_TEST(KernelsNorm, BackwardAddsTheReferencesGradients) {
  for_each_case([](cpu::Queue& queue, Norm kind, Size size) {
    const auto x = normal_values(size.rows * size.width, 6);
    const auto dy = normal_values<TypeParam>(x.size(), 7);
    NormRun<TypeParam> run(kind, size);
    (void)run.forward(queue, x, {}, {});
    const auto got = run.backward(
        queue, dy, x, {normal_values(x.size(), 8), normal_values(size.width, 9), std::vector<float>(size.width, 0.5F)});
    auto expected = reference::norm_gradients(kind, to_doubles(dy), to_doubles(x), to_doubles(run.w), kEpsilon);
    expected.dx = plus(expected.dx, to_doubles(normal_values(x.size(), 8)));
    expected.dw = plus(expected.dw, to_doubles(normal_values(size.width, 9)));
    expected.db = plus(expected.db, reference::Values(size.width, kind == Norm::kRms ? 0.0 : 0.5));
    // dx is a difference of terms as large as the largest inverse.
    expect_near(got.dx, expected.dx, rounding_of<float>(std::max(1.0, largest(to_doubles(run.inverse)))), "dx");
    expect_near(got.dw, expected.dw, rounding_of<float>(4), "dw");
    if (kind == Norm::kLayer) expect_near(got.db, expected.db, rounding_of<float>(4), "db");
  });
}

// A schedule that puts weight gradients off keeps a norm's own in a small zeroed buffer until then.
TYPED_TEST(KernelsNorm, WeightGradientsThroughAZeroedSideBufferHaveTheSameBits) {
  for_each_case([](cpu::Queue& queue, Norm kind, Size size) {
    const auto x = normal_values(size.rows * size.width, 6);
    const auto dy = normal_values<TypeParam>(x.size(), 7);
    NormRun<TypeParam> run(kind, size);
    run.forward(queue, x, {}, {});
    const std::vector<float> zeros(size.width);
    const auto side = run.backward(queue, dy, x, {std::vector<float>(x.size()), zeros, zeros});
    // The buffer of gradients of all parameters, zeroed at the step's start.
    std::vector<float> gradients(2 * size.width), added(2 * size.width);
    const auto dw = std::span(gradients).first(size.width);
    const auto db = std::span(gradients).last(size.width);
    std::vector<float> workspace(norm_workspace_floats(size.rows, size.width), NAN), dx(x.size());
    if (kind == Norm::kRms)
      rms_norm_backward<TypeParam>(queue, dy, x, run.w, run.inverse, dx, dw, workspace);
    else
      layer_norm_backward<TypeParam>(queue, dy, x, run.w, run.mean, run.inverse, dx, dw, db, workspace);
    add(queue, side.dw, std::span(added).first(size.width));
    add(queue, side.db, std::span(added).last(size.width));
    EXPECT_TRUE(same_bits(added, gradients));
    EXPECT_TRUE(same_bits(side.dx, dx));
  });
}

TYPED_TEST(KernelsNorm, BackwardGivesTheSameBitsForAnyNumberOfThreads) {
  for (const Norm kind : {Norm::kRms, Norm::kLayer}) {
    constexpr Size kSize{257, 1057};
    const auto x = normal_values(kSize.rows * kSize.width, 13);
    const auto dy = normal_values<TypeParam>(x.size(), 14);
    for (const cpu::Isa isa : machine_isas()) {
      const auto gradients_with = [&](int threads) {
        cpu::QueueSettings settings;
        settings.threads = threads;
        settings.isa = isa;
        cpu::Queue queue(settings);
        NormRun<TypeParam> run(kind, kSize);
        (void)run.forward(queue, x, {}, {});
        return run.backward(
            queue, dy, x,
            {std::vector<float>(x.size()), std::vector<float>(kSize.width), std::vector<float>(kSize.width)});
      };
      const auto one = gradients_with(1);
      for (const int threads : {2, 3}) {
        const auto more = gradients_with(threads);
        EXPECT_TRUE(same_bits(one.dx, more.dx) && same_bits(one.dw, more.dw) && same_bits(one.db, more.db))
            << threads << " threads, " << cpu::isa_name(isa);
      }
    }
  }
}

TEST(KernelsNormReference, GradientsAreFiniteDifferences) {
  constexpr std::size_t kRows = 3;
  constexpr std::size_t kWidth = 7;
  const auto x = to_doubles(normal_values(kRows * kWidth, 21));
  const auto w = to_doubles(normal_values(kWidth, 22));
  const auto b = to_doubles(normal_values(kWidth, 23));
  const auto dy = to_doubles(normal_values(kRows * kWidth, 24));
  for (const Norm kind : {Norm::kRms, Norm::kLayer}) {
    const auto loss = [&](const reference::Values& at_x, const reference::Values& at_w, const reference::Values& at_b) {
      return reference::weighted_sum(dy, reference::norm(kind, at_x, at_w, at_b, kEpsilon).y);
    };
    const auto gradients = reference::norm_gradients(kind, dy, x, w, kEpsilon);
    const auto by_x = reference::finite_difference([&](const auto& at) { return loss(at, w, b); }, x);
    const auto by_w = reference::finite_difference([&](const auto& at) { return loss(x, at, b); }, w);
    const auto by_b = reference::finite_difference([&](const auto& at) { return loss(x, w, at); }, b);
    for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(gradients.dx[i], by_x[i], 1e-8);
    for (std::size_t d = 0; d < kWidth; ++d) EXPECT_NEAR(gradients.dw[d], by_w[d], 1e-8);
    if (kind == Norm::kRms) continue;
    for (std::size_t d = 0; d < kWidth; ++d) EXPECT_NEAR(gradients.db[d], by_b[d], 1e-8);
  }
}

}  // namespace
}  // namespace stoa::trainer
