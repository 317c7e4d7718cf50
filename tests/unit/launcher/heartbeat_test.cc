#include "stoa/launcher/heartbeat.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace stoa::launcher {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Heartbeat some_beat() {
  return {.phase = trainer::LoopPhase::kEvaluating,
          .step = std::numeric_limits<std::int64_t>::max(),
          .changes = std::numeric_limits<std::uint64_t>::max(),
          .step_s = 1.0 / 3,
          .waiting = std::string("all_reduce \"gradients\"\n in \0 the data group", 44),
          .waiting_s = 77.125};
}

RankGreeting some_greeting() {
  return {.rank = 4711,
          .attempt = "812.0.1",
          .host = "node\n7",
          .build = "\xff\xfe digest",
          .binding = "local 0 of 3, processors 0-3, GPU 0"};
}

TEST(Heartbeat, ComesBackWithEveryField) {
  const Heartbeat beat = some_beat();
  const auto again = decode_heartbeat(encode(beat));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->phase, beat.phase);
  EXPECT_EQ(again->step, beat.step);
  EXPECT_EQ(again->changes, beat.changes);
  EXPECT_EQ(again->step_s, beat.step_s);
  EXPECT_EQ(again->waiting, beat.waiting);
  EXPECT_EQ(again->waiting_s, beat.waiting_s);
  for (int phase = 0; phase < trainer::kLoopPhases; ++phase)
    EXPECT_EQ(decode_heartbeat(encode(Heartbeat{.phase = trainer::LoopPhase(phase)}))->phase,
              trainer::LoopPhase(phase));
}

TEST(Heartbeat, AGreetingComesBackWithEveryField) {
  const RankGreeting greeting = some_greeting();
  const auto again = decode_greeting(encode(greeting));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->rank, greeting.rank);
  EXPECT_EQ(again->attempt, greeting.attempt);
  EXPECT_EQ(again->host, greeting.host);
  EXPECT_EQ(again->build, greeting.build);
  EXPECT_EQ(again->binding, greeting.binding);
  EXPECT_TRUE(decode_greeting(encode(RankGreeting{})));
}

TEST(Heartbeat, AnOrderComesBackAndOthersAreNone) {
  EXPECT_EQ(decode_order(encode(SupervisorOrder::kSaveAndStop)), SupervisorOrder::kSaveAndStop);
  for (int order = 0; order < 256; ++order)
    EXPECT_EQ(decode_order(encode(SupervisorOrder(order))).has_value(), order == 1) << order;
}

TEST(Heartbeat, WhatIsCutOffOrHasMoreBytesIsNone) {
  const std::string whole[] = {encode(some_beat()), encode(some_greeting()), encode(SupervisorOrder::kSaveAndStop)};
  for (const std::string& bytes : whole) {
    for (std::size_t size = 0; size <= bytes.size() + 1; ++size) {
      const std::string part = size > bytes.size() ? bytes + "x" : bytes.substr(0, size);
      const bool good = decode_heartbeat(part) || decode_greeting(part) || decode_order(part);
      EXPECT_EQ(good, size == bytes.size()) << size;
    }
  }
}

TEST(Heartbeat, OneKindIsNotTakenForAnother) {
  EXPECT_FALSE(decode_greeting(encode(some_beat())));
  EXPECT_FALSE(decode_order(encode(some_beat())));
  EXPECT_FALSE(decode_heartbeat(encode(some_greeting())));
  EXPECT_FALSE(decode_order(encode(some_greeting())));
  EXPECT_FALSE(decode_heartbeat(encode(SupervisorOrder::kSaveAndStop)));
}

TEST(Heartbeat, ImpossibleNumbersAreNone) {
  EXPECT_FALSE(decode_heartbeat(encode(Heartbeat{.phase = trainer::LoopPhase(trainer::kLoopPhases)})));
  EXPECT_FALSE(decode_heartbeat(encode(Heartbeat{.step = -1})));
  for (const double seconds : {kNan, kInfinity, -kInfinity, -0.5}) {
    EXPECT_FALSE(decode_heartbeat(encode(Heartbeat{.step_s = seconds}))) << seconds;
    EXPECT_FALSE(decode_heartbeat(encode(Heartbeat{.waiting_s = seconds}))) << seconds;
  }
  EXPECT_FALSE(decode_greeting(encode(RankGreeting{.rank = -1})));
}

TEST(Heartbeat, ALongTextIsShortenedByTheSenderAndRefusedFromAnother) {
  const auto beat = decode_heartbeat(encode(Heartbeat{.waiting = std::string(7001, 'x'), .waiting_s = 3}));
  ASSERT_TRUE(beat);
  EXPECT_EQ(beat->waiting, std::string(1024, 'x'));
  EXPECT_EQ(beat->waiting_s, 3);
  std::string greeting = encode(RankGreeting{.attempt = std::string(1024, 'x')});
  greeting[1 + 8] = 1;  // the text's size: 0x0400 becomes 0x0401, and its bytes are there
  greeting.insert(1 + 8 + 2, "x");
  EXPECT_FALSE(decode_greeting(greeting));
}

}  // namespace
}  // namespace stoa::launcher
