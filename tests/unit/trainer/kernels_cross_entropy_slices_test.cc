#include "stoa/tests/reference/cross_entropy_reference.h"
#include "stoa/tests/unit/trainer/kernel_cases.h"
#include "stoa/trainer/kernels/cross_entropy.h"

namespace stoa::trainer {
namespace {

constexpr CrossEntropyScale kScale{.scale = 0.037F, .z_loss = 1e-3F};

/// R rows of a whole vocabulary, without padding.
struct Whole {
  Whole(std::size_t rows_in, std::size_t vocabulary_in, float spread)
      : rows(rows_in),
        vocabulary(vocabulary_in),
        logits_rv(normal_values<float>(rows * vocabulary, 7, spread)),
        targets_r(rows) {
    for (std::size_t r = 0; r < rows; ++r)
      targets_r[r] = r % 5 == 3 ? -1 : static_cast<std::int32_t>(r * 7919 % vocabulary);
  }
  reference::CrossEntropy expected() const {
    return reference::cross_entropy({vocabulary, vocabulary}, to_doubles(logits_rv), targets_r, kScale.scale,
                                    kScale.z_loss);
  }
  std::size_t rows, vocabulary;
  std::vector<float> logits_rv;
  std::vector<std::int32_t> targets_r;
};

/// What one of `ranks` holds: the balanced slice of the columns, padded by `padding` that must not be read.
struct Held {
  Held(const Whole& whole, std::size_t rank, std::size_t ranks, std::size_t padding)
      : first(whole.vocabulary * rank / ranks), count(whole.vocabulary * (rank + 1) / ranks - first) {
    stride = count + padding;
    logits_rv.assign(whole.rows * stride, NAN);
    for (std::size_t r = 0; r < whole.rows; ++r)
      for (std::size_t v = 0; v < count; ++v)
        logits_rv[r * stride + v] = whole.logits_rv[r * whole.vocabulary + first + v];
  }
  VocabularySlice slice(const Whole& whole) const {
    return {.logits_rv = logits_rv,
            .first = static_cast<std::int64_t>(first),
            .count = static_cast<std::int64_t>(count),
            .row_stride = static_cast<std::int64_t>(stride),
            .targets_r = whole.targets_r};
  }
  std::size_t first, count, stride = 0;
  std::vector<float> logits_rv;
};

template <typename T>
struct Result {
  std::vector<float> loss_r, z_r, lse_r;
  std::vector<T> dlogits_rv;  ///< the slices put together, without their padding
  std::vector<T> padding;
};

/// What an all-gather leaves on each rank.
std::vector<CrossEntropyTerms> gathered(cpu::Queue& queue, const Whole& whole, const std::vector<Held>& held) {
  std::vector<CrossEntropyTerms> terms_pr(held.size() * whole.rows);
  for (std::size_t rank = 0; rank < held.size(); ++rank)
    cross_entropy_terms(queue, held[rank].slice(whole), std::span(terms_pr).subspan(rank * whole.rows, whole.rows));
  return terms_pr;
}

std::vector<Held> cut(const Whole& whole, std::size_t ranks, std::size_t padding) {
  std::vector<Held> held;
  for (std::size_t rank = 0; rank < ranks; ++rank) held.emplace_back(whole, rank, ranks, padding);
  return held;
}

template <typename T>
Result<T> run(cpu::Queue& queue, const Whole& whole, std::size_t ranks, std::size_t padding) {
  const std::vector<Held> held = cut(whole, ranks, padding);
  Result<T> result{std::vector<float>(whole.rows, -1.0F),
                   std::vector<float>(whole.rows, -1.0F),
                   std::vector<float>(whole.rows, -1.0F),
                   std::vector<T>(whole.logits_rv.size()),
                   {}};
  const CrossEntropyRows rows{result.loss_r, result.z_r, result.lse_r};
  cross_entropy_combine(queue, gathered(queue, whole, held), whole.targets_r, rows);
  for (const Held& of_rank : held) {
    std::vector<T> dlogits_rv(of_rank.logits_rv.size(), from_float<T>(-1.0F));
    cross_entropy_gradient<T>(queue, of_rank.slice(whole), rows, kScale, dlogits_rv);
    for (std::size_t i = 0; i < dlogits_rv.size(); ++i) {
      const std::size_t r = i / of_rank.stride;
      const std::size_t v = i % of_rank.stride;
      if (v < of_rank.count)
        result.dlogits_rv[r * whole.vocabulary + of_rank.first + v] = dlogits_rv[i];
      else
        result.padding.push_back(dlogits_rv[i]);
    }
  }
  return result;
}

template <typename T>
class CrossEntropySlices : public ::testing::Test {};
TYPED_TEST_SUITE(CrossEntropySlices, ActivationTypes, );

// 5 ranks of 3 tokens: two slices have no column. Tolerances are those of the whole kernel.
TYPED_TEST(CrossEntropySlices, PutTogetherEqualTheDoubleReference) {
  on_each_isa(2, [](cpu::Queue& queue) {
    for (const Whole& whole : {Whole(1, 1, 1), Whole(7, 3, 1), Whole(33, 257, 3), Whole(5, 5003, 20)}) {
      const reference::CrossEntropy expected = whole.expected();
      for (const std::size_t ranks : {1, 2, 3, 5}) {
        const Result<TypeParam> result = run<TypeParam>(queue, whole, ranks, ranks - 1);
        expect_near(result.loss_r, expected.loss_r, {.relative = 1e-5, .absolute = 1e-5}, "loss");
        expect_near(result.z_r, expected.z_r, {.relative = 1e-5, .absolute = 1e-5}, "z");
        Tolerance tolerance = rounding_of<TypeParam>(kScale.scale);
        tolerance.absolute = 1e-5 * kScale.scale;
        expect_near(result.dlogits_rv, expected.dlogits_rv, tolerance, "dlogits");
        EXPECT_TRUE(same_bits(result.padding, std::vector<TypeParam>(result.padding.size())));
      }
    }
  });
}

// The total passes in fp32: 2^-24 of it is as much of the loss, and storing costs an ulp. A gradient is
// scale * exp(logit - lse), where lse may be another by an ulp.
TYPED_TEST(CrossEntropySlices, OneSliceIsWithinAFewUlpsOfTheWholeKernel) {
  on_each_isa(2, [](cpu::Queue& queue) {
    for (const Whole& whole : {Whole(33, 257, 3), Whole(5, 5003, 5)}) {
      Result<TypeParam> fused{std::vector<float>(whole.rows), std::vector<float>(whole.rows), {}, {}, {}};
      fused.dlogits_rv.resize(whole.logits_rv.size());
      const auto vocabulary = static_cast<std::int64_t>(whole.vocabulary);
      cross_entropy<TypeParam>(queue, whole.logits_rv, vocabulary, vocabulary, whole.targets_r, kScale.scale,
                               kScale.z_loss, fused.loss_r, fused.z_r, fused.dlogits_rv);
      const Result<TypeParam> result = run<TypeParam>(queue, whole, 1, 0);
      expect_near(result.loss_r, to_doubles(fused.loss_r), {.relative = 0x1p-23, .absolute = 0x1p-23}, "loss");
      expect_near(result.z_r, to_doubles(fused.z_r), {.relative = 0x1p-22, .absolute = 0x1p-23}, "z");
      const double ulp_of_lse = 0x1p-23 * largest(to_doubles(result.lse_r));
      const Tolerance tolerance{.relative = 2 * ulp_of_lse + (sizeof(TypeParam) == 2 ? 0x1p-7 : 0x1p-22),
                                .absolute = 0x1p-23 * kScale.scale};
      expect_near(result.dlogits_rv, to_doubles(fused.dlogits_rv), tolerance, "dlogits");
    }
  });
}

TYPED_TEST(CrossEntropySlices, BitsDoNotDependOnTheNumberOfThreads) {
  for (const cpu::Isa isa : machine_isas()) {
    const Whole whole(33, 257, 3);
    cpu::Queue one({.threads = 1, .pinned = {}, .isa = isa});
    const Result<TypeParam> expected = run<TypeParam>(one, whole, 3, 1);
    for (const int threads : {2, 3}) {
      cpu::Queue queue({.threads = threads, .pinned = {}, .isa = isa});
      const Result<TypeParam> result = run<TypeParam>(queue, whole, 3, 1);
      EXPECT_TRUE(same_bits(result.loss_r, expected.loss_r));
      EXPECT_TRUE(same_bits(result.lse_r, expected.lse_r));
      EXPECT_TRUE(same_bits(result.dlogits_rv, expected.dlogits_rv));
    }
  }
}

TEST(CrossEntropySlicesTerms, OfNoColumnsAndOfNoTargetAddNothing) {
  on_each_isa(1, [](cpu::Queue& queue) {
    Whole whole(3, 1, 1);
    whole.targets_r = {0, -1, 0};
    const std::vector<Held> held = cut(whole, 2, 0);  // the first slice has no column
    const auto terms_pr = gathered(queue, whole, held);
    for (const std::size_t at : {0, 1, 2, 4}) {
      EXPECT_EQ(terms_pr[at].largest, -INFINITY) << at;
      EXPECT_EQ(terms_pr[at].total, 0) << at;
      EXPECT_EQ(terms_pr[at].target_logit, 0) << at;
    }
    EXPECT_EQ(terms_pr[5].largest, whole.logits_rv[2]);
    EXPECT_EQ(terms_pr[5].total, 1);
    EXPECT_EQ(terms_pr[5].target_logit, whole.logits_rv[2]);
  });
}

TEST(CrossEntropySlicesRows, WithoutATargetHaveNoLossAndNoGradientWhateverTheirLogits) {
  on_each_isa(1, [](cpu::Queue& queue) {
    Whole whole(3, 33, 1);
    whole.targets_r = {-1, 1, -1};
    std::fill_n(whole.logits_rv.begin(), 33, NAN);
    const Result<float> result = run<float>(queue, whole, 2, 0);
    EXPECT_EQ(result.loss_r[0], 0);
    EXPECT_EQ(result.z_r[2], 0);
    EXPECT_EQ(result.lse_r[0], 0);
    EXPECT_EQ(std::vector<float>(result.dlogits_rv.begin(), result.dlogits_rv.begin() + 33), std::vector<float>(33));
    EXPECT_GT(result.loss_r[1], 0);
  });
}

TEST(CrossEntropySlicesRows, GradientMayTakeTheLogitsPlace) {
  on_each_isa(2, [](cpu::Queue& queue) {
    const Whole whole(9, 131, 2);
    Held held = cut(whole, 3, 5)[1];
    const Result<float> result = run<float>(queue, whole, 3, 5);
    std::vector<float> loss_r = result.loss_r, z_r = result.z_r, lse_r = result.lse_r;
    cross_entropy_gradient<float>(queue, held.slice(whole), {loss_r, z_r, lse_r}, kScale, held.logits_rv);
    for (std::size_t r = 0; r < whole.rows; ++r)
      for (std::size_t v = 0; v < held.stride; ++v)
        ASSERT_EQ(held.logits_rv[r * held.stride + v],
                  v < held.count ? result.dlogits_rv[r * whole.vocabulary + held.first + v] : 0.0F);
  });
}

TEST(CrossEntropySlicesRows, FarApartNeitherOverflowNorVanish) {
  on_each_isa(1, [](cpu::Queue& queue) {
    Whole whole(2, 33, 1);
    whole.targets_r = {32, 1};
    for (std::size_t v = 0; v < 33; ++v) whole.logits_rv[v] = v == 32 ? 1e4F : -1e4F;
    const Result<float> result = run<float>(queue, whole, 3, 0);
    EXPECT_EQ(result.loss_r[0], 0);
    EXPECT_EQ(result.lse_r[0], 1e4F);
    EXPECT_EQ(result.dlogits_rv[1], 0);
    EXPECT_TRUE(std::isfinite(result.dlogits_rv[32]));
  });
}

// The target's probability is 1 - 2e-4, so its gradient is a small difference. lse = 20 in fp32 would leave 1% of it;
// the loss, with the error 2^-24 of its total, leaves 2^-24 / 2e-4 = 3e-4.
TEST(CrossEntropySlicesRows, KeepTheDigitsOfATargetThatIsNearlyCertain) {
  on_each_isa(1, [](cpu::Queue& queue) {
    Whole whole(1, 33, 0);
    whole.targets_r = {17};
    for (std::size_t v = 0; v < 33; ++v) whole.logits_rv[v] = v == 17 ? 20.123F : 8.0F + 0.01F * static_cast<float>(v);
    const Result<float> result = run<float>(queue, whole, 3, 0);
    const double expected = whole.expected().dlogits_rv[17] - 2 * kScale.scale * kScale.z_loss * 20.123;
    const double actual = result.dlogits_rv[17] - 2 * kScale.scale * kScale.z_loss * 20.123;
    EXPECT_NEAR(actual / expected, 1, 1e-3);
  });
}

TEST(CrossEntropySlicesRows, NotFiniteLogitsAreNotHidden) {
  on_each_isa(1, [](cpu::Queue& queue) {
    for (const float bad : {NAN, INFINITY}) {
      Whole whole(1, 33, 1);
      whole.logits_rv[31] = bad;
      whole.targets_r = {2};
      EXPECT_FALSE(std::isfinite(run<float>(queue, whole, 3, 0).loss_r[0]));
    }
  });
}

}  // namespace
}  // namespace stoa::trainer
