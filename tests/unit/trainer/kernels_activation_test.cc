#include <gtest/gtest.h>

#include "stoa/tests/reference/activation_reference.h"
#include "stoa/tests/unit/trainer/kernel_cases.h"
#include "stoa/trainer/kernels/activation.h"

namespace stoa::trainer {
namespace {

struct Size {
  std::size_t rows;
  std::size_t width;
};
constexpr Size kSizes[] = {{1, 1}, {1, 33}, {33, 65}, {257, 33}, {65, 768}};

template <typename T>
std::vector<T> gates_and_ups(Size size) {
  return normal_values<T>(2 * size.rows * size.width, 1, 3);
}

template <typename T>
class KernelsActivation : public ::testing::Test {};
TYPED_TEST_SUITE(KernelsActivation, ActivationTypes);

TYPED_TEST(KernelsActivation, SwigluIsTheReference) {
  for (const Size size : kSizes) {
    on_each_isa(2, [&](cpu::Queue& queue) {
      const auto x = gates_and_ups<TypeParam>(size);
      std::vector<TypeParam> y(size.rows * size.width);
      swiglu_forward<TypeParam>(queue, x, static_cast<std::int64_t>(size.width), y);
      reference::Values expected;
      for (std::size_t i = 0; i < y.size(); ++i) {
        const std::size_t gate = i / size.width * 2 * size.width + i % size.width;
        expected.push_back(reference::swiglu(to_float(x[gate]), to_float(x[gate + size.width])));
      }
      expect_near(y, expected, rounding_of<TypeParam>(), "y");
    });
  }
}

TYPED_TEST(KernelsActivation, SwigluBackwardInPlaceIsTheReference) {
  for (const Size size : kSizes) {
    on_each_isa(2, [&](cpu::Queue& queue) {
      const auto x = gates_and_ups<TypeParam>(size);
      const auto dy = normal_values<TypeParam>(size.rows * size.width, 2);
      reference::Values expected(x.size());
      for (std::size_t i = 0; i < dy.size(); ++i) {
        const std::size_t gate = i / size.width * 2 * size.width + i % size.width;
        const auto slope = reference::swiglu_derivatives(to_float(x[gate]), to_float(x[gate + size.width]));
        expected[gate] = to_float(dy[i]) * slope.by_gate;
        expected[gate + size.width] = to_float(dy[i]) * slope.by_up;
      }
      auto in_place = x;
      swiglu_backward<TypeParam>(queue, dy, in_place, static_cast<std::int64_t>(size.width), in_place);
      expect_near(in_place, expected, rounding_of<TypeParam>(), "dgate_up");
      std::vector<TypeParam> apart(x.size());
      swiglu_backward<TypeParam>(queue, dy, x, static_cast<std::int64_t>(size.width), apart);
      EXPECT_TRUE(same_bits(apart, in_place));
    });
  }
}

TYPED_TEST(KernelsActivation, GeluIsTheReference) {
  for (const std::size_t count : {1, 33, 257, 9001}) {
    on_each_isa(2, [&](cpu::Queue& queue) {
      const auto x = normal_values<TypeParam>(count, 3, 3);
      std::vector<TypeParam> y(count);
      gelu_forward<TypeParam>(queue, x, y);
      reference::Values expected;
      for (const double value : to_doubles(x)) expected.push_back(reference::gelu(value));
      expect_near(y, expected, rounding_of<TypeParam>(), "y");
    });
  }
}

TYPED_TEST(KernelsActivation, GeluBackwardIsTheReferenceAlsoOverEitherInput) {
  for (const std::size_t count : {1, 33, 257, 9001}) {
    on_each_isa(2, [&](cpu::Queue& queue) {
      const auto x = normal_values<TypeParam>(count, 4, 3);
      const auto dy = normal_values<TypeParam>(count, 5);
      std::vector<TypeParam> dx(count);
      gelu_backward<TypeParam>(queue, dy, x, dx);
      reference::Values expected(count);
      for (std::size_t i = 0; i < count; ++i)
        expected[i] = to_float(dy[i]) * reference::gelu_derivative(to_float(x[i]));
      expect_near(dx, expected, rounding_of<TypeParam>(), "dx");
      auto over_dy = dy;
      gelu_backward<TypeParam>(queue, over_dy, x, over_dy);
      EXPECT_TRUE(same_bits(over_dy, dx));
      auto over_x = x;
      gelu_backward<TypeParam>(queue, dy, over_x, over_x);
      EXPECT_TRUE(same_bits(over_x, dx));
    });
  }
}

TYPED_TEST(KernelsActivation, SaturatesWithoutOverflowAndKeepsNan) {
  on_each_isa(1, [](cpu::Queue& queue) {
    // 33 of each, so that vector lanes and the rest after them both see every value.
    for (const float extreme : {-1e4F, -128.0F, 128.0F, 1e4F}) {
      const std::vector<TypeParam> x(66, from_float<TypeParam>(extreme));
      const std::vector<TypeParam> ones(66, from_float<TypeParam>(1));
      std::vector<TypeParam> y(66);
      const double rectified = std::max(to_float(x[0]), 0.0F);
      gelu_forward<TypeParam>(queue, x, y);
      expect_near(y, reference::Values(66, rectified), rounding_of<TypeParam>(), "gelu");
      gelu_backward<TypeParam>(queue, ones, x, y);
      expect_near(y, reference::Values(66, extreme > 0), rounding_of<TypeParam>(), "gelu slope");
      std::vector<TypeParam> product(33);
      swiglu_forward<TypeParam>(queue, x, 33, product);
      expect_near(product, reference::Values(33, rectified * to_float(x[0])), rounding_of<TypeParam>(), "swiglu");
    }
    const std::vector<TypeParam> nans(66, from_float<TypeParam>(NAN));
    std::vector<TypeParam> y(66);
    gelu_forward<TypeParam>(queue, nans, y);
    for (const TypeParam value : y) EXPECT_TRUE(std::isnan(to_float(value)));
    std::vector<TypeParam> product(33);
    swiglu_forward<TypeParam>(queue, nans, 33, product);
    for (const TypeParam value : product) EXPECT_TRUE(std::isnan(to_float(value)));
  });
}

TEST(KernelsActivationReference, DerivativesAreFiniteDifferences) {
  const auto gates = to_doubles(normal_values(33, 6, 3));
  const auto ups = to_doubles(normal_values(33, 7));
  for (std::size_t i = 0; i < gates.size(); ++i) {
    const auto swiglu = reference::finite_difference([](const auto& at) { return reference::swiglu(at[0], at[1]); },
                                                     {gates[i], ups[i]});
    const auto slope = reference::swiglu_derivatives(gates[i], ups[i]);
    EXPECT_NEAR(slope.by_gate, swiglu[0], 1e-8);
    EXPECT_NEAR(slope.by_up, swiglu[1], 1e-8);
    const auto gelu = reference::finite_difference([](const auto& at) { return reference::gelu(at[0]); }, {gates[i]});
    EXPECT_NEAR(reference::gelu_derivative(gates[i]), gelu[0], 1e-8);
  }
}

}  // namespace
}  // namespace stoa::trainer
