#include "stoa/tests/unit/trainer/attention_cases.h"

namespace stoa::trainer {
namespace {

template <typename T>
class Attention : public ::testing::Test {};
TYPED_TEST_SUITE(Attention, ActivationTypes, );

const AttentionShape kShapes[] = {
    {.samples = 1, .tokens = 1, .heads = 1, .key_value_heads = 1, .head_width = 8},
    {.samples = 2, .tokens = 33, .heads = 3, .key_value_heads = 1, .head_width = 10},
    {.samples = 1, .tokens = 65, .heads = 4, .key_value_heads = 2, .head_width = 64},
    {.samples = 3, .tokens = 64, .heads = 2, .key_value_heads = 2, .head_width = 22},
    {.samples = 1, .tokens = 257, .heads = 2, .key_value_heads = 1, .head_width = 48},
    {.samples = 1, .tokens = 67, .heads = 1, .key_value_heads = 1, .head_width = 256},
};

TYPED_TEST(Attention, EqualsTheDoubleReference) {
  for (const AttentionShape& shape : kShapes) {
    const AttentionInputs<TypeParam> in(shape);
    const auto qkv = to_doubles(in.qkv_btc);
    const reference::Attention forward = reference::attention_forward(sizes_of(shape), qkv, {}, {});
    const reference::Values dqkv = reference::attention_backward(sizes_of(shape), qkv, {}, {}, to_doubles(in.do_bthe));
    on_each_isa(2, [&](cpu::Queue& queue) {
      SCOPED_TRACE("tokens " + std::to_string(shape.tokens) + " width " + std::to_string(shape.head_width));
      const AttentionResult<TypeParam> out = run_attention(queue, in, {});
      expect_near(out.o_bthe, forward.o_bthe, rounding_of<TypeParam>(), "o");
      expect_near(out.lse_bht, forward.lse_bht, rounding_of<float>(), "lse");
      expect_near(out.dqkv_btc, dqkv, attention_tolerance<TypeParam>(largest(dqkv)), "dqkv");
    });
  }
}

TEST(AttentionReference, BackwardEqualsFiniteDifferences) {
  const AttentionShape shape{.samples = 2, .tokens = 5, .heads = 4, .key_value_heads = 2, .head_width = 6};
  const AttentionInputs<float> in(shape);
  const reference::Values weights = to_doubles(in.do_bthe);
  const AttentionDropout dropout{.rate = 0.3F, .key = {5, 6}, .step = 2, .first_sample = 1};
  for (const reference::Values& factors : {reference::Values(), dropout_factors(shape, dropout)}) {
    const auto objective = [&](const reference::Values& qkv) {
      return reference::weighted_sum(weights, reference::attention_forward(sizes_of(shape), qkv, {}, factors).o_bthe);
    };
    const reference::Values expected = reference::finite_difference(objective, to_doubles(in.qkv_btc));
    const reference::Values backward =
        reference::attention_backward(sizes_of(shape), to_doubles(in.qkv_btc), {}, factors, weights);
    for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(backward[i], expected[i], 1e-7) << i;
  }
}

TYPED_TEST(Attention, BitsDoNotDependOnTheNumberOfThreads) {
  const AttentionInputs<TypeParam> in({.samples = 3, .tokens = 97, .heads = 3, .key_value_heads = 3, .head_width = 24});
  for (const cpu::Isa isa : machine_isas()) {
    cpu::Queue one({.threads = 1, .pinned = {}, .isa = isa});
    cpu::Queue two({.threads = 2, .pinned = {}, .isa = isa});
    const AttentionResult<TypeParam> a = run_attention(one, in, {});
    const AttentionResult<TypeParam> b = run_attention(two, in, {});
    EXPECT_TRUE(same_bits(a.o_bthe, b.o_bthe)) << cpu::isa_name(isa);
    EXPECT_TRUE(same_bits(a.dqkv_btc, b.dqkv_btc)) << cpu::isa_name(isa);
  }
}

TYPED_TEST(Attention, LaterTokensDoNotReachEarlierOnes) {
  AttentionInputs<TypeParam> in({.samples = 1, .tokens = 130, .heads = 2, .key_value_heads = 1, .head_width = 16});
  on_each_isa(1, [&](cpu::Queue& queue) {
    const AttentionResult<TypeParam> before = run_attention(queue, in, {});
    AttentionInputs<TypeParam> changed = in;
    const auto row = static_cast<std::size_t>(100 * in.shape.columns());
    for (std::size_t i = row; i < changed.qkv_btc.size(); ++i) changed.qkv_btc[i] = from_float<TypeParam>(3.0F);
    const AttentionResult<TypeParam> after = run_attention(queue, changed, {});
    const std::ptrdiff_t unchanged = 100 * 2 * 16;
    EXPECT_TRUE(same_bits(std::vector<TypeParam>(before.o_bthe.begin(), before.o_bthe.begin() + unchanged),
                          std::vector<TypeParam>(after.o_bthe.begin(), after.o_bthe.begin() + unchanged)));
    EXPECT_FALSE(same_bits(before.o_bthe, after.o_bthe));
  });
}

TYPED_TEST(Attention, ScoresOfAnySizeStayFinite) {
  AttentionInputs<TypeParam> in({.samples = 1, .tokens = 67, .heads = 1, .key_value_heads = 1, .head_width = 16});
  for (TypeParam& value : in.qkv_btc) value = from_float<TypeParam>(100.0F * to_float(value));
  on_each_isa(1, [&](cpu::Queue& queue) {
    const AttentionResult<TypeParam> out = run_attention(queue, in, {});
    for (const TypeParam value : out.o_bthe) ASSERT_TRUE(std::isfinite(to_float(value)));
    for (const TypeParam value : out.dqkv_btc) ASSERT_TRUE(std::isfinite(to_float(value)));
  });
}

/// Rows first .. of a sample as queries, all rows up to them as a cache.
TYPED_TEST(Attention, CachedQueriesEqualTheWholeForward) {
  const AttentionShape whole{.samples = 1, .tokens = 70, .heads = 6, .key_value_heads = 2, .head_width = 18};
  const AttentionInputs<TypeParam> in(whole);
  const auto expected = reference::attention_forward(sizes_of(whole), to_doubles(in.qkv_btc), {}, {}).o_bthe;
  const auto width = static_cast<std::size_t>(whole.key_value_heads * whole.head_width);
  std::vector<TypeParam> keys, values;
  for (std::size_t t = 0; t < 70; ++t) {
    const TypeParam* row = in.qkv_btc.data() + t * static_cast<std::size_t>(whole.columns());
    const TypeParam* key = row + whole.heads * whole.head_width;
    keys.insert(keys.end(), key, key + width);
    values.insert(values.end(), key + width, key + 2 * width);
  }
  on_each_isa(2, [&](cpu::Queue& queue) {
    for (const std::int64_t first : {0, 1, 64, 69}) {
      AttentionShape part = whole;
      part.tokens = whole.tokens - first;
      const auto o_width = static_cast<std::size_t>(whole.heads * whole.head_width);
      std::vector<TypeParam> o(static_cast<std::size_t>(part.tokens) * o_width);
      attention_cached<TypeParam>(
          queue, part, first,
          std::span<const TypeParam>(in.qkv_btc).subspan(static_cast<std::size_t>(first * whole.columns())), keys,
          values, o);
      const reference::Values tail(
          expected.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(first) * o_width), expected.end());
      expect_near(o, tail, rounding_of<TypeParam>(), "o");
    }
  });
}

}  // namespace
}  // namespace stoa::trainer
