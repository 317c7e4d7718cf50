#include "stoa/trainer/kernels/linear.h"

#include <array>
#include <thread>

#include "stoa/tests/reference/linear_reference.h"
#include "stoa/tests/unit/trainer/kernel_cases.h"

namespace stoa::trainer {
namespace {

using reference::LinearSizes;

constexpr std::array<LinearSizes, 7> kSizes = {
    {{1, 1, 1}, {33, 65, 257}, {65, 257, 33}, {257, 33, 65}, {1, 257, 129}, {129, 64, 3}, {577, 1024, 7}}};

template <typename T>
struct Operands {
  explicit Operands(const LinearSizes& s)
      : sizes(s),
        x_nd(normal_values<T>(s.rows * s.inputs, 1)),
        w_fd(normal_values<T>(s.outputs * s.inputs, 2)),
        dy_nf(normal_values<T>(s.rows * s.outputs, 3)),
        b_f(normal_values<float>(s.outputs, 4)),
        dw_before(normal_values<float>(s.outputs * s.inputs, 5)) {}
  std::int64_t rows() const { return static_cast<std::int64_t>(sizes.rows); }
  std::int64_t inputs() const { return static_cast<std::int64_t>(sizes.inputs); }
  std::int64_t outputs() const { return static_cast<std::int64_t>(sizes.outputs); }

  LinearSizes sizes;
  std::vector<T> x_nd, w_fd, dy_nf;
  std::vector<float> b_f, dw_before;
};

template <typename T>
struct Results {
  std::vector<T> y_nf, dx_nd;
  std::vector<float> dw_fd;
};

template <typename TX, typename TY>
Results<TY> multiply_all(cpu::Queue& queue, const Operands<TX>& in) {
  Results<TY> out{std::vector<TY>(in.dy_nf.size()), std::vector<TY>(in.x_nd.size()), in.dw_before};
  const std::span<const TX> x(in.x_nd), w(in.w_fd), dy(in.dy_nf);
  linear_forward<TX, TY>(queue, x, w, in.b_f, in.rows(), in.inputs(), in.outputs(), out.y_nf);
  linear_backward_input<TX, TY>(queue, dy, w, in.rows(), in.inputs(), in.outputs(), out.dx_nd);
  linear_backward_weight<TX>(queue, dy, x, in.rows(), in.inputs(), in.outputs(), out.dw_fd);
  return out;
}

template <typename Types>
class Linear : public ::testing::Test {};
template <typename X, typename Y>
struct Pair {
  using TX = X;
  using TY = Y;
};
using Pairs = ::testing::Types<Pair<float, float>, Pair<bf16, bf16>, Pair<bf16, float>>;
TYPED_TEST_SUITE(Linear, Pairs, );

// Sums of up to 1,024 products of normal numbers, in fp32: the absolute part allows 16 roundings of the largest partial
// sums.
TYPED_TEST(Linear, ProductsEqualDoubleSums) {
  using TX = typename TypeParam::TX;
  using TY = typename TypeParam::TY;
  on_each_isa(2, [](cpu::Queue& queue) {
    for (const LinearSizes& sizes : kSizes) {
      const Operands<TX> in(sizes);
      const auto x = to_doubles(in.x_nd), w = to_doubles(in.w_fd), dy = to_doubles(in.dy_nf);
      const Results<TY> out = multiply_all<TX, TY>(queue, in);
      const Tolerance rounded = rounding_of<TY>(10);
      expect_near(out.y_nf, reference::linear_forward(sizes, x, w, to_doubles(in.b_f)), rounded, "y");
      expect_near(out.dx_nd, reference::linear_backward_input(sizes, dy, w), rounded, "dx");
      reference::Values dw = to_doubles(in.dw_before);
      reference::linear_backward_weight(sizes, dy, x, dw);
      expect_near(out.dw_fd, dw, rounding_of<float>(10), "dw");
    }
  });
}

TYPED_TEST(Linear, BitsDoNotDependOnTheNumberOfThreads) {
  using TX = typename TypeParam::TX;
  using TY = typename TypeParam::TY;
  for (const cpu::Isa isa : machine_isas()) {
    cpu::Queue one({.threads = 1, .pinned = {}, .isa = isa});
    for (const LinearSizes& sizes :
         {LinearSizes{257, 65, 193}, LinearSizes{33, 1025, 48}, LinearSizes{7, 513, 5}, LinearSizes{2064, 17, 272},
          LinearSizes{1024, 272, 512}, LinearSizes{33, 65, 257}, LinearSizes{64, 64, 192}, LinearSizes{129, 768, 257},
          LinearSizes{2048, 64, 256}, LinearSizes{1, 129, 1031}, LinearSizes{577, 1024, 193}}) {
      const Operands<TX> in(sizes);
      const Results<TY> expected = multiply_all<TX, TY>(one, in);
      for (const int threads : {2, 3}) {
        SCOPED_TRACE(std::string(cpu::isa_name(isa)) + ", " + std::to_string(threads) + " threads, " +
                     std::to_string(sizes.rows) + " rows");
        cpu::Queue queue({.threads = threads, .pinned = {}, .isa = isa});
        const Results<TY> result = multiply_all<TX, TY>(queue, in);
        EXPECT_TRUE(same_bits(result.y_nf, expected.y_nf));
        EXPECT_TRUE(same_bits(result.dx_nd, expected.dx_nd));
        EXPECT_TRUE(same_bits(result.dw_fd, expected.dw_fd));
      }
    }
  }
}

TYPED_TEST(Linear, RepeatsItsBitsFromTheCachedPrimitive) {
  using TX = typename TypeParam::TX;
  using TY = typename TypeParam::TY;
  on_each_isa(1, [](cpu::Queue& queue) {
    const Operands<TX> in({65, 33, 129});
    const Operands<TX> moved(in);
    const Results<TY> first = multiply_all<TX, TY>(queue, in);
    const Results<TY> again = multiply_all<TX, TY>(queue, moved);
    EXPECT_TRUE(same_bits(first.y_nf, again.y_nf));
    EXPECT_TRUE(same_bits(first.dw_fd, again.dw_fd));
  });
}

// A rank may run as a thread: each has a queue of its own.
TEST(LinearQueues, ProductsOfSeveralThreadsDoNotDisturbEachOther) {
  const Operands<bf16> in({65, 129, 257});
  for (const cpu::Isa isa : machine_isas()) {
    cpu::Queue queue({.threads = 1, .pinned = {}, .isa = isa});
    const Results<bf16> expected = multiply_all<bf16, bf16>(queue, in);
    std::array<int, 3> equal = {};
    std::vector<std::thread> ranks;
    for (int& result : equal)
      ranks.emplace_back([&in, &expected, &result, isa] {
        cpu::Queue own({.threads = 1, .pinned = {}, .isa = isa});
        for (int repeat = 0; repeat < 5; ++repeat)
          result += same_bits(multiply_all<bf16, bf16>(own, in).y_nf, expected.y_nf) ? 1 : 0;
      });
    for (std::thread& rank : ranks) rank.join();
    EXPECT_EQ(equal, (std::array<int, 3>{5, 5, 5})) << cpu::isa_name(isa);
  }
}

}  // namespace
}  // namespace stoa::trainer
