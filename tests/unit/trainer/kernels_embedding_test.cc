#include <gtest/gtest.h>

#include "stoa/tests/reference/embedding_reference.h"
#include "stoa/tests/unit/trainer/kernel_cases.h"
#include "stoa/trainer/kernels/embedding.h"

namespace stoa::trainer {
namespace {

constexpr std::size_t kVocabulary = 41;
constexpr std::size_t kPositions = 33;
constexpr std::int64_t kFirstPosition = 5;

struct Size {
  std::size_t tokens;
  std::size_t width;
};
constexpr Size kSizes[] = {{1, 1}, {33, 33}, {257, 65}, {99, 768}};

constexpr RowPositions kCounted{.per_sequence = kPositions, .first = kFirstPosition};

/// Many more tokens than vocabulary entries that occur: most rows are met several times, some never.
std::vector<std::int32_t> tokens_of(std::size_t count) {
  std::vector<std::int32_t> tokens(count);
  for (std::size_t n = 0; n < count; ++n)
    tokens[n] = static_cast<std::int32_t>(philox_block({1, 2}, n)[0] % (kVocabulary - 4));
  return tokens;
}

TEST(KernelsEmbedding, ForwardAddsTheTokensRowAndItsPositions) {
  for (const Size size : kSizes) {
    for (const bool learned : {true, false}) {
      on_each_isa(3, [&](cpu::Queue& queue) {
        const auto tokens = tokens_of(size.tokens);
        const auto table = normal_values(kVocabulary * size.width, 1);
        const auto positions = normal_values(learned ? (kFirstPosition + kPositions) * size.width : 0, 2);
        std::vector<float> x(size.tokens * size.width);
        embedding_forward(queue, tokens, table, positions, static_cast<std::int64_t>(size.width), kCounted, x);
        const auto expected = reference::embedding(tokens, to_doubles(table), to_doubles(positions),
                                                   {size.width, kPositions, kFirstPosition});
        expect_near(x, expected, {.relative = 0x1p-23, .absolute = 0}, "x");
      });
    }
  }
}

TEST(KernelsEmbedding, BackwardAddsInTheOrderOfTokensForAnyNumberOfThreads) {
  for (const Size size : kSizes) {
    const auto tokens = tokens_of(size.tokens);
    const auto dx = normal_values(size.tokens * size.width, 3);
    for (const bool learned : {true, false}) {
      const auto dtable_before = normal_values(kVocabulary * size.width, 4);
      const auto dpositions_before = normal_values(learned ? kPositions * size.width : 0, 5);
      auto dtable_expected = dtable_before;
      auto dpositions_expected = dpositions_before;
      reference::add_embedding_gradients(tokens, dx, {size.width, kPositions, 0}, dtable_expected, dpositions_expected);
      for (const int threads : {1, 2, 3}) {
        on_each_isa(threads, [&](cpu::Queue& queue) {
          auto dtable = dtable_before;
          auto dpositions = dpositions_before;
          embedding_backward(queue, tokens, dx, static_cast<std::int64_t>(size.width), {.per_sequence = kPositions},
                             dtable, dpositions);
          EXPECT_TRUE(same_bits(dtable, dtable_expected));
          EXPECT_TRUE(same_bits(dpositions, dpositions_expected));
        });
      }
    }
  }
}

/// Documents of 1, 2, 3 .. tokens: position 0 is met most often.
std::vector<std::int32_t> reset_positions(std::size_t count) {
  std::vector<std::int32_t> ids;
  for (std::int32_t length = 1; ids.size() < count; ++length)
    for (std::int32_t i = 0; i < length && ids.size() < count; ++i) ids.push_back(i);
  return ids;
}

TEST(KernelsEmbedding, PositionIdsChooseTheLearnedRowsForwardAndBackward) {
  for (const Size size : kSizes) {
    const auto tokens = tokens_of(size.tokens);
    const auto width = static_cast<std::int64_t>(size.width);
    const reference::EmbeddingShape shape{size.width, kPositions, 0, reset_positions(size.tokens)};
    const RowPositions positions{.ids = shape.position_ids};
    const auto table = normal_values(kVocabulary * size.width, 1);
    const auto learned = normal_values(kPositions * size.width, 2);
    const auto dx = normal_values(size.tokens * size.width, 3);
    const auto x_expected = reference::embedding(tokens, to_doubles(table), to_doubles(learned), shape);
    auto dtable_expected = table, dlearned_expected = learned;
    reference::add_embedding_gradients(tokens, dx, shape, dtable_expected, dlearned_expected);
    for (const int threads : {1, 3})
      on_each_isa(threads, [&](cpu::Queue& queue) {
        std::vector<float> x(size.tokens * size.width);
        embedding_forward(queue, tokens, table, learned, width, positions, x);
        expect_near(x, x_expected, {.relative = 0x1p-23, .absolute = 0}, "x");
        auto dtable = table, dlearned = learned;
        embedding_backward(queue, tokens, dx, width, positions, dtable, dlearned);
        EXPECT_TRUE(same_bits(dtable, dtable_expected));
        EXPECT_TRUE(same_bits(dlearned, dlearned_expected));
      });
  }
}

/// Ranks' slices of the vocabulary: one of them without a row.
constexpr std::size_t kCuts[] = {0, 13, 13, 30, kVocabulary};

std::vector<float> table_rows(const std::vector<float>& table, std::size_t first, std::size_t end, std::size_t width) {
  return {table.begin() + static_cast<std::ptrdiff_t>(first * width),
          table.begin() + static_cast<std::ptrdiff_t>(end * width)};
}

TEST(KernelsEmbedding, SlicesOfTheVocabularyAddUpToTheBitsOfTheWholeTable) {
  for (const Size size : kSizes)
    on_each_isa(3, [&](cpu::Queue& queue) {
      const auto tokens = tokens_of(size.tokens);
      const auto table = normal_values(kVocabulary * size.width, 1);
      const auto learned = normal_values((kFirstPosition + kPositions) * size.width, 2);
      const auto width = static_cast<std::int64_t>(size.width);
      std::vector<float> whole(size.tokens * size.width), positions_only(whole), sum(whole), x(whole);
      embedding_forward(queue, tokens, table, {}, width, kCounted, whole);
      for (std::size_t rank = 0; rank + 1 < std::size(kCuts); ++rank) {
        std::fill(x.begin(), x.end(), NAN);
        embedding_forward(queue, tokens, table_rows(table, kCuts[rank], kCuts[rank + 1], size.width), {}, width,
                          kCounted, x, static_cast<std::int64_t>(kCuts[rank]));
        sum = plus(sum, x);
      }
      EXPECT_TRUE(same_bits(sum, whole));
      // The term of a rank that holds no row is the learned positions alone.
      embedding_forward(queue, tokens, {}, learned, width, kCounted, positions_only, 13);
      for (std::size_t i = 0; i < x.size(); ++i)
        ASSERT_EQ(
            positions_only[i],
            learned[static_cast<std::size_t>(kCounted.of(static_cast<std::int64_t>(i / size.width))) * size.width +
                    i % size.width]);
      embedding_forward(queue, tokens, table, learned, width, kCounted, x);
      EXPECT_TRUE(same_bits(plus(sum, positions_only), x));
    });
}

TEST(KernelsEmbedding, GradientsOfSlicesAreTheRowsOfTheWholeGradient) {
  for (const Size size : kSizes)
    on_each_isa(3, [&](cpu::Queue& queue) {
      const auto tokens = tokens_of(size.tokens);
      const auto dx = normal_values(size.tokens * size.width, 3);
      const auto before = normal_values(kVocabulary * size.width, 4);
      const auto width = static_cast<std::int64_t>(size.width);
      auto whole = before;
      std::vector<float> dlearned_whole(kPositions * size.width);
      const RowPositions positions{.per_sequence = kPositions};
      embedding_backward(queue, tokens, dx, width, positions, whole, dlearned_whole);
      for (std::size_t rank = 0; rank + 1 < std::size(kCuts); ++rank) {
        auto slice = table_rows(before, kCuts[rank], kCuts[rank + 1], size.width);
        std::vector<float> dlearned(kPositions * size.width);
        embedding_backward(queue, tokens, dx, width, positions, slice, dlearned,
                           static_cast<std::int64_t>(kCuts[rank]));
        EXPECT_TRUE(same_bits(slice, table_rows(whole, kCuts[rank], kCuts[rank + 1], size.width))) << rank;
        EXPECT_TRUE(same_bits(dlearned, dlearned_whole)) << rank;
      }
    });
}

TEST(KernelsEmbeddingReference, GradientsAreFiniteDifferences) {
  const std::vector<std::int32_t> tokens{2, 0, 2, 1, 2};
  const auto table = to_doubles(normal_values(9, 6));
  const auto positions = to_doubles(normal_values(9, 7));
  const auto dx = normal_values(15, 8);
  for (const reference::EmbeddingShape& shape :
       {reference::EmbeddingShape{3, 2, 0, {}}, reference::EmbeddingShape{3, 2, 0, {0, 1, 2, 0, 1}}}) {
    const auto by_table = reference::finite_difference(
        [&](const auto& at) {
          return reference::weighted_sum(to_doubles(dx), reference::embedding(tokens, at, positions, shape));
        },
        table);
    const auto by_positions = reference::finite_difference(
        [&](const auto& at) {
          return reference::weighted_sum(to_doubles(dx), reference::embedding(tokens, table, at, shape));
        },
        positions);
    std::vector<float> dtable(9);
    std::vector<float> dpositions(9);
    reference::add_embedding_gradients(tokens, dx, shape, dtable, dpositions);
    // The gradients are fp32 sums of up to three terms.
    expect_near(dtable, by_table, {.relative = 1e-6, .absolute = 1e-6}, "dtable");
    expect_near(dpositions, by_positions, {.relative = 1e-6, .absolute = 1e-6}, "dpositions");
  }
}

}  // namespace
}  // namespace stoa::trainer
