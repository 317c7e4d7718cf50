#include <gtest/gtest.h>

#include "stoa/tests/reference/norm_reference.h"
#include "stoa/tests/unit/trainer/kernel_cases.h"
#include "stoa/trainer/kernels/head_norm.h"

namespace stoa::trainer {
namespace {

constexpr float kEpsilon = 1e-5F;

/// Three heads behind five columns of something else and in front of four more.
constexpr HeadColumns columns_of(std::int64_t rows, std::int64_t head_width) {
  return {.rows = rows, .row_stride = 5 + 3 * head_width + 4, .first_column = 5, .heads = 3, .head_width = head_width};
}
constexpr HeadColumns kCases[] = {columns_of(1, 1), columns_of(33, 33), columns_of(257, 64), columns_of(65, 128)};

std::size_t size_of(const HeadColumns& columns) { return static_cast<std::size_t>(columns.rows * columns.row_stride); }

/// The heads of a [N, C] matrix as the dense rows [N * H, E] that the reference takes.
template <typename V>
V gathered(const V& x_nc, const HeadColumns& columns) {
  V dense;
  for (std::int64_t n = 0; n < columns.rows; ++n) {
    const auto first = x_nc.begin() + n * columns.row_stride + columns.first_column;
    dense.insert(dense.end(), first, first + columns.heads * columns.head_width);
  }
  return dense;
}

template <typename T>
bool other_columns_kept(const std::vector<T>& before, const std::vector<T>& after, const HeadColumns& columns) {
  for (std::int64_t n = 0; n < columns.rows; ++n) {
    for (std::int64_t c = 0; c < columns.row_stride; ++c) {
      const bool named = c >= columns.first_column && c < columns.first_column + columns.heads * columns.head_width;
      const auto i = static_cast<std::size_t>(n * columns.row_stride + c);
      if (!named && to_float(before[i]) != to_float(after[i])) return false;
    }
  }
  return true;
}

template <typename T>
class KernelsHeadNorm : public ::testing::Test {};
TYPED_TEST_SUITE(KernelsHeadNorm, ActivationTypes);

TYPED_TEST(KernelsHeadNorm, ForwardInPlaceNormalisesEachHeadAndNothingElse) {
  for (const HeadColumns& columns : kCases) {
    on_each_isa(2, [&](cpu::Queue& queue) {
      const auto x = normal_values<TypeParam>(size_of(columns), 1);
      const auto w = normal_values(static_cast<std::size_t>(columns.head_width), 2);
      auto y = x;
      std::vector<float> inverse(static_cast<std::size_t>(columns.rows * columns.heads));
      head_norm_forward<TypeParam>(queue, y, columns, w, kEpsilon, y, inverse);
      const auto expected =
          reference::norm(reference::Norm::kRms, gathered(to_doubles(x), columns), to_doubles(w), {}, kEpsilon);
      expect_near(gathered(y, columns), expected.y, rounding_of<TypeParam>(), "y");
      expect_near(inverse, expected.inverse, rounding_of<float>(), "inverse");
      EXPECT_TRUE(other_columns_kept(x, y, columns));
    });
  }
}

TYPED_TEST(KernelsHeadNorm, ForwardIntoAnotherMatrixKeepsItsInput) {
  const HeadColumns columns = columns_of(33, 34);
  on_each_isa(2, [&](cpu::Queue& queue) {
    const auto x = normal_values<TypeParam>(size_of(columns), 3);
    const auto w = normal_values(34, 4);
    auto in_place = x;
    std::vector<TypeParam> y(x.size());
    std::vector<float> inverse(static_cast<std::size_t>(columns.rows * columns.heads));
    head_norm_forward<TypeParam>(queue, x, columns, w, kEpsilon, y, inverse);
    head_norm_forward<TypeParam>(queue, in_place, columns, w, kEpsilon, in_place, inverse);
    EXPECT_TRUE(same_bits(gathered(y, columns), gathered(in_place, columns)));
    EXPECT_TRUE(same_bits(x, normal_values<TypeParam>(x.size(), 3)));
  });
}

TYPED_TEST(KernelsHeadNorm, BackwardTurnsTheOutputsGradientIntoTheInputs) {
  for (const HeadColumns& columns : kCases) {
    on_each_isa(2, [&](cpu::Queue& queue) {
      const auto x = normal_values<TypeParam>(size_of(columns), 5);
      const auto dy = normal_values<TypeParam>(x.size(), 6);
      const auto width = static_cast<std::size_t>(columns.head_width);
      const auto w = normal_values(width, 7);
      auto y = x;
      std::vector<float> inverse(static_cast<std::size_t>(columns.rows * columns.heads));
      head_norm_forward<TypeParam>(queue, x, columns, w, kEpsilon, y, inverse);
      auto d = dy;
      auto dw = normal_values(width, 8);
      std::vector<float> workspace(head_norm_workspace_floats(static_cast<std::size_t>(columns.rows), width), NAN);
      head_norm_backward<TypeParam>(queue, x, columns, w, inverse, d, dw, workspace);
      const auto expected = reference::norm_gradients(reference::Norm::kRms, gathered(to_doubles(dy), columns),
                                                      gathered(to_doubles(x), columns), to_doubles(w), kEpsilon);
      const double scale = std::max(1.0, largest(to_doubles(inverse)));
      expect_near(gathered(d, columns), expected.dx, rounding_of<TypeParam>(scale), "dx");
      expect_near(dw, plus(expected.dw, to_doubles(normal_values(width, 8))), rounding_of<float>(8), "dw");
      EXPECT_TRUE(other_columns_kept(dy, d, columns));
    });
  }
}

TYPED_TEST(KernelsHeadNorm, WeightGradientHasTheSameBitsForAnyNumberOfThreads) {
  const HeadColumns columns = columns_of(257, 33);
  const auto x = normal_values<TypeParam>(size_of(columns), 9);
  const auto dy = normal_values<TypeParam>(x.size(), 10);
  const auto w = normal_values(33, 11);
  const std::vector<float> inverse(static_cast<std::size_t>(columns.rows * columns.heads), 0.7F);
  const auto gradient_with = [&](cpu::Queue& queue) {
    auto d = dy;
    std::vector<float> dw(33);
    std::vector<float> workspace(head_norm_workspace_floats(257, 33));
    head_norm_backward<TypeParam>(queue, x, columns, w, inverse, d, dw, workspace);
    return dw;
  };
  std::vector<std::vector<float>> of_isa;
  on_each_isa(1, [&](cpu::Queue& queue) { of_isa.push_back(gradient_with(queue)); });
  for (const int threads : {2, 3}) {
    std::size_t isa = 0;
    on_each_isa(threads, [&](cpu::Queue& queue) { EXPECT_TRUE(same_bits(gradient_with(queue), of_isa[isa++])); });
  }
}

}  // namespace
}  // namespace stoa::trainer
