#include "stoa/tests/unit/trainer/attention_cases.h"

namespace stoa::trainer {
namespace {

const AttentionShape kShape{.samples = 2, .tokens = 71, .heads = 4, .key_value_heads = 2, .head_width = 16};
const AttentionDropout kDropout{
    .rate = 0.25F, .key = {0x1234567U, 0x89abcdefU}, .step = (std::uint64_t{3} << 32) + 7, .first_sample = 5};

template <typename T>
class AttentionDrops : public ::testing::Test {};
TYPED_TEST_SUITE(AttentionDrops, ActivationTypes, );

// The reference takes its mask from philox_block directly, so this fixes the documented numbering, and that forward and
// backward drop the same probabilities.
TYPED_TEST(AttentionDrops, TheDocumentedProbabilitiesForwardAndBackward) {
  const AttentionInputs<TypeParam> in(kShape);
  const reference::Values factors = dropout_factors(kShape, kDropout);
  const auto qkv = to_doubles(in.qkv_btc);
  const auto expected = reference::attention_forward(sizes_of(kShape), qkv, {}, factors);
  const auto dqkv = reference::attention_backward(sizes_of(kShape), qkv, {}, factors, to_doubles(in.do_bthe));
  on_each_isa(2, [&](cpu::Queue& queue) {
    const AttentionResult<TypeParam> out = run_attention(queue, in, kDropout);
    expect_near(out.o_bthe, expected.o_bthe, rounding_of<TypeParam>(), "o");
    expect_near(out.dqkv_btc, dqkv, attention_tolerance<TypeParam>(largest(dqkv)), "dqkv");
  });
}

// With all values 1, o is the sum of the kept probabilities, whose mean is 1.
TEST(AttentionDropsHow, MuchTheRateSays) {
  AttentionInputs<float> in({.samples = 4, .tokens = 129, .heads = 4, .key_value_heads = 4, .head_width = 8});
  const auto columns = static_cast<std::size_t>(in.shape.columns());
  const auto values = static_cast<std::size_t>(8 * in.shape.head_width);
  for (std::size_t i = 0; i < in.qkv_btc.size(); ++i) in.qkv_btc[i] = i % columns >= values ? 1.0F : 0.0F;
  on_each_isa(1, [&](cpu::Queue& queue) {
    const AttentionResult<float> out = run_attention(queue, in, kDropout);
    double sum = 0;
    for (const float value : out.o_bthe) sum += value;
    // 2064 rows of on average 65 probabilities: one standard deviation is near 0.004.
    EXPECT_NEAR(sum / static_cast<double>(out.o_bthe.size()), 1.0, 0.02);
  });
}

TYPED_TEST(AttentionDrops, TheSameWhereverASampleIsComputed) {
  const AttentionInputs<TypeParam> both(kShape);
  AttentionShape one_sample = kShape;
  one_sample.samples = 1;
  AttentionInputs<TypeParam> second(one_sample);
  const auto half = static_cast<std::ptrdiff_t>(both.qkv_btc.size() / 2);
  const auto half_o = static_cast<std::ptrdiff_t>(both.do_bthe.size() / 2);
  second.qkv_btc.assign(both.qkv_btc.begin() + half, both.qkv_btc.end());
  second.do_bthe.assign(both.do_bthe.begin() + half_o, both.do_bthe.end());
  AttentionDropout moved = kDropout;
  moved.first_sample += 1;
  on_each_isa(2, [&](cpu::Queue& queue) {
    const auto whole = run_attention(queue, both, kDropout);
    const auto part = run_attention(queue, second, moved);
    EXPECT_TRUE(same_bits(std::vector<TypeParam>(whole.o_bthe.begin() + half_o, whole.o_bthe.end()), part.o_bthe));
    EXPECT_TRUE(same_bits(std::vector<TypeParam>(whole.dqkv_btc.begin() + half, whole.dqkv_btc.end()), part.dqkv_btc));
  });
}

/// The columns of the query heads first .. first + shape.heads - 1 of rows of `heads`, in `width` columns each.
template <typename T>
std::vector<T> head_columns(const std::vector<T>& rows, std::size_t row_columns, std::size_t first,
                            std::size_t columns) {
  std::vector<T> part;
  for (std::size_t at = first; at < rows.size(); at += row_columns)
    part.insert(part.end(), rows.begin() + static_cast<std::ptrdiff_t>(at),
                rows.begin() + static_cast<std::ptrdiff_t>(at + columns));
  return part;
}

/// What of a whole qkv a rank holds that has group `group` of the query heads and its key-value head.
template <typename T>
std::vector<T> group_of(const std::vector<T>& qkv_btc, const AttentionShape& whole, std::size_t group) {
  const auto columns = static_cast<std::size_t>(whole.columns());
  const auto e = static_cast<std::size_t>(whole.head_width);
  const auto heads = static_cast<std::size_t>(whole.heads);
  const auto groups = static_cast<std::size_t>(whole.key_value_heads);
  const std::size_t q = heads / groups * e;
  std::vector<T> part;
  for (std::size_t row = 0; row < qkv_btc.size(); row += columns)
    for (const auto& [first, count] :
         {std::pair{group * q, q}, std::pair{(heads + group) * e, e}, std::pair{(heads + groups + group) * e, e}})
      for (std::size_t c = first; c < first + count; ++c) part.push_back(qkv_btc[row + c]);
  return part;
}

TYPED_TEST(AttentionDrops, TheSameWhicheverRankHasTheHead) {
  const AttentionInputs<TypeParam> in(kShape);
  AttentionShape one_group = kShape;
  one_group.heads = 2;
  one_group.key_value_heads = 1;
  const std::vector<std::int32_t> documents = [] {
    std::vector<std::int32_t> begin_bt;
    for (std::int32_t row = 0; row < kShape.samples * kShape.tokens; ++row)
      begin_bt.push_back(row % kShape.tokens < 29 ? 0 : 29);
    return begin_bt;
  }();
  for (const auto& begin_bt : {std::vector<std::int32_t>{}, documents})
    on_each_isa(2, [&](cpu::Queue& queue) {
      const auto whole = run_attention(queue, in, kDropout, begin_bt);
      for (const std::size_t group : {0, 1}) {
        AttentionInputs<TypeParam> held(one_group);
        held.qkv_btc = group_of(in.qkv_btc, kShape, group);
        held.do_bthe = head_columns(in.do_bthe, 4 * 16, group * 2 * 16, 2 * 16);
        AttentionDropout dropout = kDropout;
        dropout.first_head = static_cast<std::int64_t>(group) * 2;
        dropout.heads_total = 4;
        const auto part = run_attention(queue, held, dropout, begin_bt);
        EXPECT_TRUE(same_bits(part.o_bthe, head_columns(whole.o_bthe, 4 * 16, group * 2 * 16, 2 * 16))) << group;
        EXPECT_TRUE(same_bits(part.dqkv_btc, group_of(whole.dqkv_btc, kShape, group))) << group;
      }
    });
}

TEST(AttentionDropsAnew, AtEveryStep) {
  const AttentionInputs<float> in(kShape);
  AttentionDropout next = kDropout;
  next.step += 1;
  on_each_isa(1, [&](cpu::Queue& queue) {
    EXPECT_FALSE(same_bits(run_attention(queue, in, kDropout).o_bthe, run_attention(queue, in, next).o_bthe));
  });
}

}  // namespace
}  // namespace stoa::trainer
