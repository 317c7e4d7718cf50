#include "stoa/cluster/chain_policy.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stoa::cluster {
namespace {

using testing::HasSubstr;

EndFacts facts(AttemptOutcome outcome, EndCause cause) {
  return {.outcome = outcome,
          .cause = cause,
          .error = ErrorKind::kComm,
          .failures_in_row = 1,
          .left_s = 1000,
          .restart_s = 60};
}

struct Rule {
  AttemptOutcome outcome;
  EndCause cause;
  NextStep next;
};
class EachCause : public testing::TestWithParam<Rule> {};

TEST_P(EachCause, HasItsRule) { EXPECT_EQ(decide(facts(GetParam().outcome, GetParam().cause)).next, GetParam().next); }

INSTANTIATE_TEST_SUITE_P(Rules, EachCause,
                         testing::Values(Rule{AttemptOutcome::kFinished, EndCause::kNone, NextStep::kStop},
                                         Rule{AttemptOutcome::kSaved, EndCause::kTimeLimit, NextStep::kNextJob},
                                         Rule{AttemptOutcome::kLost, EndCause::kTimeLimit, NextStep::kNextJob},
                                         Rule{AttemptOutcome::kSaved, EndCause::kPreemption, NextStep::kNextJob},
                                         Rule{AttemptOutcome::kLost, EndCause::kNodeFailure, NextStep::kRestartHere},
                                         Rule{AttemptOutcome::kFailed, EndCause::kNodeFailure, NextStep::kRestartHere},
                                         Rule{AttemptOutcome::kSaved, EndCause::kRequeue, NextStep::kNextJob},
                                         Rule{AttemptOutcome::kSaved, EndCause::kCancel, NextStep::kCancel},
                                         Rule{AttemptOutcome::kLost, EndCause::kCancel, NextStep::kCancel},
                                         Rule{AttemptOutcome::kSaved, EndCause::kPause, NextStep::kPause},
                                         Rule{AttemptOutcome::kSaved, EndCause::kSwitchFile, NextStep::kHold},
                                         Rule{AttemptOutcome::kSaved, EndCause::kBudget, NextStep::kHold},
                                         Rule{AttemptOutcome::kSaved, EndCause::kSignal, NextStep::kNextJob},
                                         Rule{AttemptOutcome::kLost, EndCause::kSignal, NextStep::kRestartHere},
                                         Rule{AttemptOutcome::kLost, EndCause::kRankLost, NextStep::kRestartHere},
                                         Rule{AttemptOutcome::kLost, EndCause::kHang, NextStep::kRestartHere},
                                         Rule{AttemptOutcome::kLost, EndCause::kBadNode, NextStep::kRestartHere},
                                         Rule{AttemptOutcome::kFailed, EndCause::kError, NextStep::kRestartHere},
                                         Rule{AttemptOutcome::kSaved, EndCause::kUnknown, NextStep::kNextJob},
                                         Rule{AttemptOutcome::kLost, EndCause::kUnknown, NextStep::kRestartHere}),
                         [](const auto& each) {
                           std::string name =
                               fmt::format("{}_{}", outcome_name(each.param.outcome), cause_name(each.param.cause));
                           std::replace(name.begin(), name.end(), ' ', '_');
                           return name;
                         });

TEST(ChainPolicy, ASchedulerThatRequeuesByItselfIsLeftToIt) {
  for (const EndCause cause : {EndCause::kPreemption, EndCause::kRequeue, EndCause::kNodeFailure}) {
    EndFacts known = facts(AttemptOutcome::kLost, cause);
    known.scheduler_requeues = true;
    EXPECT_EQ(decide(known).next, NextStep::kWait);
  }
}

TEST(ChainPolicy, WithoutTimeOrNodesTheNextJobGoesOn) {
  EndFacts late = facts(AttemptOutcome::kLost, EndCause::kRankLost);
  late.left_s = 59;
  EXPECT_EQ(decide(late).next, NextStep::kNextJob);
  EndFacts few = facts(AttemptOutcome::kLost, EndCause::kNodeFailure);
  few.nodes_fit = false;
  EXPECT_EQ(decide(few).next, NextStep::kNextJob);
}

TEST(ChainPolicy, WhatWouldRepeatIsHeldAtOnceAndWhatMightNotAfterSome) {
  for (const ErrorKind kind : {ErrorKind::kUsage, ErrorKind::kConfig, ErrorKind::kData, ErrorKind::kCheckpoint,
                               ErrorKind::kStorage, ErrorKind::kNumeric}) {
    EndFacts failed = facts(AttemptOutcome::kFailed, EndCause::kError);
    failed.error = kind;
    EXPECT_EQ(decide(failed).next, NextStep::kHold);
    EXPECT_THAT(decide(failed).reason, HasSubstr(std::string(error_kind_name(kind))));
  }
  EndFacts third = facts(AttemptOutcome::kLost, EndCause::kHang);
  third.failures_in_row = 3;
  EXPECT_EQ(decide(third).next, NextStep::kHold);
  EXPECT_THAT(decide(third).reason, HasSubstr("3 attempts in a row"));
  EndFacts short_limit = facts(AttemptOutcome::kLost, EndCause::kTimeLimit);
  short_limit.failures_in_row = 3;
  EXPECT_EQ(decide(short_limit).next, NextStep::kHold);
}

RunState life(const std::vector<std::tuple<AttemptOutcome, EndCause, std::int64_t>>& ends) {
  RunState state;
  for (const auto& [outcome, cause, checkpoint] : ends)
    state.attempts.push_back(
        {.started = {}, .ended = AttemptEnded{.outcome = outcome, .cause = cause, .checkpoint_step = checkpoint}});
  return state;
}

TEST(FailuresInRow, CountsThoseThatLeftNoNewerCheckpoint) {
  using enum AttemptOutcome;
  EXPECT_EQ(failures_in_row(life({})), 0);
  EXPECT_EQ(failures_in_row(life({{kFailed, EndCause::kError, -1}})), 1);
  EXPECT_EQ(failures_in_row(life({{kFailed, EndCause::kError, 33}})), 0);
  EXPECT_EQ(failures_in_row(life(
                {{kSaved, EndCause::kTimeLimit, 33}, {kLost, EndCause::kHang, 33}, {kLost, EndCause::kRankLost, 33}})),
            2);
  EXPECT_EQ(
      failures_in_row(life({{kLost, EndCause::kHang, 33}, {kLost, EndCause::kHang, 65}, {kLost, EndCause::kHang, 65}})),
      1);
}

TEST(FailuresInRow, WhatTheMachineTookBackDoesNotCount) {
  using enum AttemptOutcome;
  EXPECT_EQ(
      failures_in_row(life(
          {{kLost, EndCause::kPreemption, -1}, {kLost, EndCause::kNodeFailure, -1}, {kLost, EndCause::kRequeue, -1}})),
      0);
  EXPECT_EQ(failures_in_row(life(
                {{kLost, EndCause::kHang, -1}, {kLost, EndCause::kNodeFailure, -1}, {kLost, EndCause::kHang, -1}})),
            2);
}

}  // namespace
}  // namespace stoa::cluster
