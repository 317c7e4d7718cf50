#include <gtest/gtest.h>

#include "stoa/tests/reference/adamw_reference.h"
#include "stoa/tests/unit/trainer/kernel_cases.h"
#include "stoa/trainer/kernels/adamw.h"

namespace stoa::trainer {
namespace {

constexpr AdamWStep kStep{.learning_rate = 3e-3F,
                          .beta1 = 0.9F,
                          .beta2 = 0.95F,
                          .epsilon = 1e-8F,
                          .weight_decay = 0.1F,
                          .step = 1,
                          .gradient_scale = 1};

struct State {
  std::vector<float> w;
  std::vector<float> m;
  std::vector<float> v;
  std::vector<bf16> copy;
};

State fresh_state(std::size_t count) {
  return {normal_values(count, 1), std::vector<float>(count), std::vector<float>(count), std::vector<bf16>(count)};
}

bool same_state(const State& a, const State& b) {
  return same_bits(a.w, b.w) && same_bits(a.m, b.m) && same_bits(a.v, b.v) && same_bits(a.copy, b.copy);
}

void update(cpu::Queue& queue, const AdamWStep& step, const std::vector<float>& gradient, State& state) {
  adamw_update(queue, step, gradient, state.w, state.m, state.v, state.copy);
}

TEST(KernelsAdamW, TenStepsFollowTheReference) {
  for (const std::size_t count : {1, 33, 257, 40001}) {
    on_each_isa(2, [&](cpu::Queue& queue) {
      State state = fresh_state(count);
      std::vector<reference::AdamWElement> expected(count);
      for (std::size_t i = 0; i < count; ++i) expected[i].w = state.w[i];
      for (std::int64_t t = 1; t <= 10; ++t) {
        AdamWStep step = kStep;
        step.step = t;
        step.gradient_scale = 0.5F;
        const auto gradient = normal_values(count, 100 + static_cast<std::uint64_t>(t));
        update(queue, step, gradient, state);
        const reference::AdamWNumbers numbers{step.learning_rate, step.beta1,        step.beta2,
                                              step.epsilon,       step.weight_decay, t};
        for (std::size_t i = 0; i < count; ++i) expected[i] = reference::adamw(expected[i], 0.5 * gradient[i], numbers);
      }
      reference::Values w;
      reference::Values m;
      reference::Values v;
      for (const auto& element : expected) {
        w.push_back(element.w);
        m.push_back(element.m);
        v.push_back(element.v);
      }
      // Ten roundings of values up to about 5: w and m stay within a few units in the last place.
      expect_near(state.w, w, {.relative = 2e-6, .absolute = 2e-6}, "w");
      expect_near(state.m, m, {.relative = 2e-6, .absolute = 1e-6}, "m");
      expect_near(state.v, v, {.relative = 2e-6, .absolute = 1e-7}, "v");
    });
  }
}

TEST(KernelsAdamW, CopyIsTheRoundedWeightAndMayBeLeftOut) {
  on_each_isa(2, [](cpu::Queue& queue) {
    const auto gradient = normal_values(257, 2);
    State with_copy = fresh_state(257);
    update(queue, kStep, gradient, with_copy);
    for (std::size_t i = 0; i < 257; ++i) EXPECT_EQ(with_copy.copy[i].bits, to_bf16(with_copy.w[i]).bits);
    State without = fresh_state(257);
    without.copy.clear();
    update(queue, kStep, gradient, without);
    EXPECT_TRUE(same_bits(without.w, with_copy.w));
  });
}

TEST(KernelsAdamW, AnElementsBitsDependNeitherOnThreadsNorOnTheCut) {
  constexpr std::size_t kCount = 3 * 16384 + 257;
  const auto gradient = normal_values(kCount, 3);
  for (const int threads : {1, 2, 3}) {
    on_each_isa(threads, [&](cpu::Queue& queue) {
      State whole = fresh_state(kCount);
      update(queue, kStep, gradient, whole);
      State pieces = fresh_state(kCount);
      cpu::QueueSettings alone;
      alone.isa = queue.isa();
      cpu::Queue one_thread(alone);
      for (std::size_t at = 0; at < kCount;) {
        const std::size_t length = std::min<std::size_t>(kCount - at, 4099);
        adamw_update(one_thread, kStep, std::span(gradient).subspan(at, length),
                     std::span(pieces.w).subspan(at, length), std::span(pieces.m).subspan(at, length),
                     std::span(pieces.v).subspan(at, length), std::span(pieces.copy).subspan(at, length));
        at += length;
      }
      EXPECT_TRUE(same_state(whole, pieces));
    });
  }
}

TEST(KernelsAdamW, WithoutAGradientOnlyDecayMovesTheWeight) {
  on_each_isa(1, [](cpu::Queue& queue) {
    State state = fresh_state(33);
    const auto before = state.w;
    update(queue, kStep, std::vector<float>(33), state);
    for (std::size_t i = 0; i < 33; ++i) EXPECT_FLOAT_EQ(state.w[i], before[i] * (1 - 3e-3F * 0.1F));
  });
}

TEST(KernelsAdamW, TheFirstStepWithoutDecayHasTheSizeOfTheLearningRate) {
  on_each_isa(1, [](cpu::Queue& queue) {
    AdamWStep step = kStep;
    step.weight_decay = 0;
    State state{std::vector<float>(33, 0.0F), std::vector<float>(33), std::vector<float>(33), {}};
    update(queue, step, normal_values(33, 4), state);
    for (const float w : state.w) EXPECT_NEAR(std::abs(w), 3e-3, 1e-8);
  });
}

TEST(KernelsAdamW, NanInAGradientReachesWeightAndMoments) {
  on_each_isa(1, [](cpu::Queue& queue) {
    State state = fresh_state(33);
    std::vector<float> gradient(33, 1.0F);
    gradient[5] = gradient[32] = NAN;
    update(queue, kStep, gradient, state);
    for (std::size_t i = 0; i < 33; ++i) {
      EXPECT_EQ(std::isnan(state.w[i]), i == 5 || i == 32);
      EXPECT_EQ(std::isnan(to_float(state.copy[i])), i == 5 || i == 32);
    }
  });
}

TEST(KernelsSumOfSquares, ChunksAreTheReferencesAndTheSameBitsEverywhere) {
  for (const std::size_t count : {std::size_t{1}, std::size_t{33}, std::size_t{3 * kNormChunk + 257}}) {
    const auto x = normal_values(count, 5);
    const std::size_t chunks = (count + kNormChunk - 1) / kNormChunk;
    reference::Values expected(chunks);
    for (std::size_t i = 0; i < count; ++i) expected[i / kNormChunk] += static_cast<double>(x[i]) * x[i];
    std::vector<double> first;
    for (const int threads : {1, 2, 3}) {
      on_each_isa(threads, [&](cpu::Queue& queue) {
        std::vector<double> partial(chunks);
        sum_of_squares(queue, x, partial);
        for (std::size_t c = 0; c < chunks; ++c) EXPECT_NEAR(partial[c], expected[c], 1e-13 * expected[c]);
        if (first.empty()) first = partial;
        EXPECT_TRUE(same_bits(partial, first));
      });
    }
  }
}

}  // namespace
}  // namespace stoa::trainer
