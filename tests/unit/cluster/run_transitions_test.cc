/// Every row of the table of transitions, and every pair that is no row.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <sstream>

#include "stoa/base/error.h"
#include "stoa/cluster/run_record.h"

namespace stoa::cluster {
namespace {

constexpr int kPhases = int(RunPhase::kCancelled) + 1;
constexpr int kKinds = int(EventKind::kCancelled) + 1;

RunEvent end_of(const RunState& state, AttemptOutcome outcome) {
  return AttemptEnded{.attempt = state.attempts.empty() ? "1" : state.attempts.back().started.attempt,
                      .time = 33,
                      .outcome = outcome,
                      .cause = EndCause::kUnknown};
}

/// An event of this kind that only the table can refuse in this state.
RunEvent event_of(EventKind kind, const RunState& state) {
  switch (kind) {
    case EventKind::kCreated:
      return RunCreated{"r", 33};
    case EventKind::kSubmitted:
      return JobSubmitted{.time = 33, .job = "812"};
    case EventKind::kStarted:
      return AttemptStarted{
          .attempt = std::to_string(state.attempts.size() + 1), .time = 33, .ranks = 3, .resources = 3};
    case EventKind::kFinished:
      return end_of(state, AttemptOutcome::kFinished);
    case EventKind::kSaved:
      return end_of(state, AttemptOutcome::kSaved);
    case EventKind::kFailed:
      return end_of(state, AttemptOutcome::kFailed);
    case EventKind::kLost:
      return end_of(state, AttemptOutcome::kLost);
    case EventKind::kAsked:
      return UserAsked{33, UserRequest::kPause, "alice"};
    case EventKind::kNodeExcluded:
      return NodeExcluded{33, "node3", "its memory fails"};
    case EventKind::kHeld:
      return RunHeld{33, "a reason"};
    case EventKind::kPaused:
      return RunPaused{33};
    case EventKind::kCancelled:
      return RunCancelled{33};
  }
  throw InternalError("no such kind");
}

/// The shortest life that ends in each phase.
std::map<RunPhase, std::vector<RunEvent>> shortest_lives() {
  std::map<RunPhase, std::vector<RunEvent>> lives{{RunPhase::kAbsent, {}}};
  std::deque<RunPhase> to_do{RunPhase::kAbsent};
  while (!to_do.empty()) {
    const RunPhase from = to_do.front();
    to_do.pop_front();
    for (const Transition& each : transitions()) {
      if (each.from != from || lives.contains(each.to)) continue;
      RunState state;
      for (const RunEvent& event : lives.at(from)) apply(state, event, "life");
      std::vector<RunEvent> longer = lives.at(from);
      longer.push_back(event_of(each.event, state));
      lives.emplace(each.to, longer);
      to_do.push_back(each.to);
    }
  }
  return lives;
}

RunState state_in(RunPhase phase) {
  static const auto lives = shortest_lives();
  std::string text;
  for (const RunEvent& event : lives.at(phase)) text += to_line(event) + '\n';
  return fold_events(text, "life");
}

std::string all_of(const RunState& state) {
  std::ostringstream text;
  text << phase_name(state.phase) << '|' << state.run << '|' << state.created << '|' << state.changed << '|'
       << (state.job ? state.job->job : "none") << '|' << state.asked.has_value() << '|' << state.reason << '|'
       << state.excluded.size() << '|' << state.attempts.size();
  for (const Attempt& attempt : state.attempts) text << '|' << attempt.started.attempt << attempt.ended.has_value();
  return text.str();
}

class EachTransition : public testing::TestWithParam<std::size_t> {};

TEST_P(EachTransition, LeadsFromItsPhaseToItsPhase) {
  const Transition row = transitions()[GetParam()];
  RunState state = state_in(row.from);
  ASSERT_EQ(state.phase, row.from);
  apply(state, event_of(row.event, state), "place");
  EXPECT_EQ(state.phase, row.to);
  EXPECT_EQ(state.changed, 33);
}

TEST_P(EachTransition, StandsInTheTableOnce) {
  const Transition row = transitions()[GetParam()];
  EXPECT_EQ(std::count_if(transitions().begin(), transitions().end(),
                          [&](const Transition& each) { return each.from == row.from && each.event == row.event; }),
            1);
}

INSTANTIATE_TEST_SUITE_P(RunTransitions, EachTransition, testing::Range(std::size_t{0}, transitions().size()),
                         [](const auto& each) {
                           const Transition row = transitions()[each.param];
                           return std::string(phase_name(row.from)) + "_" + std::to_string(int(row.event));
                         });

TEST(RunTransitions, WhatIsNoRowIsRefusedAndLeavesTheState) {
  int refused = 0;
  for (int phase = 0; phase < kPhases; ++phase)
    for (int kind = 0; kind < kKinds; ++kind) {
      const bool is_row = std::any_of(transitions().begin(), transitions().end(), [&](const Transition& each) {
        return each.from == RunPhase(phase) && each.event == EventKind(kind);
      });
      if (is_row) continue;
      RunState state = state_in(RunPhase(phase));
      const std::string before = all_of(state);
      try {
        apply(state, event_of(EventKind(kind), state), "place:7");
        ADD_FAILURE() << phase_name(RunPhase(phase)) << " takes event " << kind;
      } catch (const DataError& failure) {
        EXPECT_THAT(failure.what(), testing::StartsWith("place:7: "));
        EXPECT_THAT(failure.what(), testing::EndsWith(": the run is " + std::string(phase_name(RunPhase(phase)))));
      }
      EXPECT_EQ(all_of(state), before);
      ++refused;
    }
  EXPECT_EQ(refused + std::ssize(transitions()), kPhases * kKinds);
}

TEST(RunTransitions, EveryPhaseCanBeReached) {
  for (int phase = 0; phase < kPhases; ++phase) EXPECT_EQ(state_in(RunPhase(phase)).phase, RunPhase(phase));
}

TEST(RunTransitions, ARequestIsDoneWhenTheRunIsPausedCancelledOrSubmittedAgain) {
  for (const EventKind done : {EventKind::kPaused, EventKind::kCancelled, EventKind::kSubmitted}) {
    RunState state = state_in(RunPhase::kQueued);
    apply(state, UserAsked{34, UserRequest::kPause, "alice"}, "p");
    ASSERT_TRUE(state.asked);
    apply(state, event_of(done, state), "p");
    EXPECT_FALSE(state.asked) << int(done);
  }
}

TEST(RunTransitions, ARequestOutlivesAnAttemptThatEndsInAnyOtherWayThanFinished) {
  for (const EventKind end : {EventKind::kSaved, EventKind::kFailed, EventKind::kLost, EventKind::kFinished}) {
    RunState state = state_in(RunPhase::kRunning);
    apply(state, UserAsked{34, UserRequest::kPause, "alice"}, "p");
    apply(state, event_of(end, state), "p");
    // A finished run has nothing left to pause: started again for more steps, it must not stop at once.
    EXPECT_EQ(state.asked.has_value(), end != EventKind::kFinished) << int(end);
  }
}

TEST(RunTransitions, AReasonIsForgottenWhenAHeldRunGoesOn) {
  for (const EventKind on : {EventKind::kSubmitted, EventKind::kStarted}) {
    RunState state = state_in(RunPhase::kHeld);
    ASSERT_EQ(state.reason, "a reason");
    apply(state, event_of(on, state), "p");
    EXPECT_EQ(state.reason, "");
  }
}

}  // namespace
}  // namespace stoa::cluster
