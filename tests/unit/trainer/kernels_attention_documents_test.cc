// Attention that stops at the borders of documents.
#include <numeric>

#include "stoa/tests/unit/trainer/attention_cases.h"
#include "stoa/tests/unit/trainer/document_cases.h"

namespace stoa::trainer {
namespace {

template <typename T>
class AttentionOfDocuments : public ::testing::Test {};
TYPED_TEST_SUITE(AttentionOfDocuments, ActivationTypes, );

const AttentionDropout kDropout{
    .rate = 0.25F, .key = {0x1234567U, 0x89abcdefU}, .step = (std::uint64_t{3} << 32) + 7, .first_sample = 5};

struct Case {
  std::vector<Lengths> samples;
  std::int64_t heads, key_value_heads, head_width;
  AttentionShape shape() const {
    const std::int64_t tokens = std::accumulate(samples[0].begin(), samples[0].end(), std::int64_t{0});
    return {static_cast<std::int64_t>(samples.size()), tokens, heads, key_value_heads, head_width};
  }
};

/// Borders at, before and behind those of tiles of 64; documents of one token, and of more than a tile; begins that are
/// and are not multiples of four, the keys of one block of dropout numbers.
const Case kCases[] = {
    {{{1}}, 1, 1, 8},
    {{{1, 1, 31}, {32, 1}, Lengths(33, 1)}, 3, 1, 10},
    {{{64, 1}, {1, 64}, {65}, {30, 35}}, 4, 2, 16},
    {{{64, 64, 128, 1}, {63, 2, 127, 65}, {13, 200, 44}}, 2, 1, 22},
};

TYPED_TEST(AttentionOfDocuments, EqualsTheDoubleReference) {
  for (const Case& c : kCases) {
    const AttentionShape shape = c.shape();
    const AttentionInputs<TypeParam> in(shape);
    const auto begins = packed(c.samples).begin_bt;
    const auto qkv = to_doubles(in.qkv_btc);
    for (const AttentionDropout& dropout : {AttentionDropout(), kDropout}) {
      const reference::Values factors = dropout.rate > 0 ? dropout_factors(shape, dropout) : reference::Values();
      const auto forward = reference::attention_forward(sizes_of(shape), qkv, begins, factors);
      const auto dqkv = reference::attention_backward(sizes_of(shape), qkv, begins, factors, to_doubles(in.do_bthe));
      for (const int threads : {1, 3})
        on_each_isa(threads, [&](cpu::Queue& queue) {
          SCOPED_TRACE("tokens " + std::to_string(shape.tokens) + " dropped " + std::to_string(dropout.rate));
          const AttentionResult<TypeParam> out = run_attention(queue, in, dropout, begins);
          expect_near(out.o_bthe, forward.o_bthe, rounding_of<TypeParam>(), "o");
          expect_near(out.lse_bht, forward.lse_bht, rounding_of<float>(), "lse");
          expect_near(out.dqkv_btc, dqkv, attention_tolerance<TypeParam>(largest(dqkv)), "dqkv");
        });
    }
  }
}

TYPED_TEST(AttentionOfDocuments, OneDocumentASampleHasTheBitsOfNone) {
  for (const std::int32_t tokens : {1, 33, 65, 257}) {
    const Case whole{{{tokens}, {tokens}}, 4, 2, 24};
    const AttentionInputs<TypeParam> in(whole.shape());
    for (const AttentionDropout& dropout : {AttentionDropout(), kDropout})
      on_each_isa(2, [&](cpu::Queue& queue) {
        const auto plain = run_attention(queue, in, dropout);
        const auto one = run_attention(queue, in, dropout, packed(whole.samples).begin_bt);
        EXPECT_TRUE(same_bits(plain.o_bthe, one.o_bthe));
        EXPECT_TRUE(same_bits(plain.lse_bht, one.lse_bht));
        EXPECT_TRUE(same_bits(plain.dqkv_btc, one.dqkv_btc));
      });
  }
}

/// Rows first .. first + count - 1 of `width` columns.
template <typename T>
std::vector<T> rows_of(const std::vector<T>& values, std::int64_t first, std::int64_t count, std::int64_t width) {
  return {values.begin() + first * width, values.begin() + (first + count) * width};
}

TYPED_TEST(AttentionOfDocuments, EachHasTheBitsThatItHasAlone) {
  const Case c{{{1, 63, 64, 2, 127}}, 4, 2, 24};
  const AttentionShape shape = c.shape();
  const AttentionInputs<TypeParam> in(shape);
  const std::int64_t o_width = shape.heads * shape.head_width;
  on_each_isa(2, [&](cpu::Queue& queue) {
    const auto together = run_attention(queue, in, {}, packed(c.samples).begin_bt);
    std::int64_t first = 0;
    for (const std::int32_t length : c.samples[0]) {
      AttentionShape alone_shape = shape;
      alone_shape.tokens = length;
      AttentionInputs<TypeParam> document(alone_shape);
      document.qkv_btc = rows_of(in.qkv_btc, first, length, shape.columns());
      document.do_bthe = rows_of(in.do_bthe, first, length, o_width);
      const auto alone = run_attention(queue, document, {});
      EXPECT_TRUE(same_bits(rows_of(together.o_bthe, first, length, o_width), alone.o_bthe)) << first;
      EXPECT_TRUE(same_bits(rows_of(together.dqkv_btc, first, length, shape.columns()), alone.dqkv_btc)) << first;
      first += length;
    }
  });
}

TYPED_TEST(AttentionOfDocuments, BitsDoNotDependOnTheNumberOfThreads) {
  const Case uneven{{{97}, Lengths(97, 1), {64, 33}}, 3, 3, 24};
  const AttentionInputs<TypeParam> in(uneven.shape());
  const auto begins = packed(uneven.samples).begin_bt;
  for (const cpu::Isa isa : machine_isas()) {
    cpu::Queue one({.threads = 1, .pinned = {}, .isa = isa});
    const auto expected = run_attention(one, in, kDropout, begins);
    for (const int threads : {2, 3, 4}) {
      cpu::Queue queue({.threads = threads, .pinned = {}, .isa = isa});
      const auto out = run_attention(queue, in, kDropout, begins);
      EXPECT_TRUE(same_bits(out.o_bthe, expected.o_bthe)) << cpu::isa_name(isa);
      EXPECT_TRUE(same_bits(out.lse_bht, expected.lse_bht)) << cpu::isa_name(isa);
      EXPECT_TRUE(same_bits(out.dqkv_btc, expected.dqkv_btc)) << cpu::isa_name(isa);
    }
  }
}

// What stands in another document is not even read: neither a NaN there nor a huge value passes the border.
TYPED_TEST(AttentionOfDocuments, NothingPassesTheBorder) {
  const Case c{{{70, 60}}, 2, 1, 16};
  const AttentionShape shape = c.shape();
  AttentionInputs<TypeParam> in(shape);
  const auto begins = packed(c.samples).begin_bt;
  on_each_isa(1, [&](cpu::Queue& queue) {
    const auto before = run_attention(queue, in, {}, begins);
    AttentionInputs<TypeParam> changed = in;
    for (std::int64_t i = 0; i < 70 * shape.columns(); ++i)
      changed.qkv_btc[static_cast<std::size_t>(i)] = from_float<TypeParam>(i % 2 == 0 ? NAN : 1e30F);
    const auto after = run_attention(queue, changed, {}, begins);
    const std::int64_t o_width = shape.heads * shape.head_width;
    EXPECT_TRUE(same_bits(rows_of(before.o_bthe, 70, 60, o_width), rows_of(after.o_bthe, 70, 60, o_width)));
    EXPECT_TRUE(
        same_bits(rows_of(before.dqkv_btc, 70, 60, shape.columns()), rows_of(after.dqkv_btc, 70, 60, shape.columns())));
  });
}

TEST(AttentionOfDocumentsReference, BackwardEqualsFiniteDifferences) {
  const Case c{{{2, 1, 3}, {1, 5}}, 4, 2, 6};
  const AttentionShape shape = c.shape();
  const AttentionInputs<float> in(shape);
  const auto begins = packed(c.samples).begin_bt;
  const reference::Values weights = to_doubles(in.do_bthe);
  for (const reference::Values& factors : {reference::Values(), dropout_factors(shape, kDropout)}) {
    const auto objective = [&](const reference::Values& qkv) {
      return reference::weighted_sum(weights,
                                     reference::attention_forward(sizes_of(shape), qkv, begins, factors).o_bthe);
    };
    const reference::Values expected = reference::finite_difference(objective, to_doubles(in.qkv_btc));
    const reference::Values backward =
        reference::attention_backward(sizes_of(shape), to_doubles(in.qkv_btc), begins, factors, weights);
    for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(backward[i], expected[i], 1e-7) << i;
  }
}

}  // namespace
}  // namespace stoa::trainer
