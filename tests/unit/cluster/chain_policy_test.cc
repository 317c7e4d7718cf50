#include "stoa/cluster/chain_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stoa::cluster {
namespace {

using testing::HasSubstr;
using enum NextStep;

constexpr std::array kOutcomes{AttemptOutcome::kFinished, AttemptOutcome::kSaved, AttemptOutcome::kFailed,
                               AttemptOutcome::kLost};

struct Rule {
  EndCause cause;
  NextStep saved;
  NextStep failed;
  NextStep lost;
};

/// With time and nodes left, after a first failure of a kind that another attempt may not meet.
constexpr Rule kWithTimeLeft[] = {
    {EndCause::kNone, kNextJob, kRestartHere, kRestartHere},
    {EndCause::kTimeLimit, kNextJob, kNextJob, kNextJob},
    {EndCause::kPreemption, kNextJob, kNextJob, kNextJob},
    {EndCause::kNodeFailure, kRestartHere, kRestartHere, kRestartHere},
    {EndCause::kRequeue, kNextJob, kNextJob, kNextJob},
    {EndCause::kCancel, kCancel, kCancel, kCancel},
    {EndCause::kPause, kPause, kPause, kPause},
    {EndCause::kSwitchFile, kHold, kHold, kHold},
    {EndCause::kSignal, kNextJob, kRestartHere, kRestartHere},
    {EndCause::kBudget, kHold, kHold, kHold},
    {EndCause::kRankLost, kNextJob, kRestartHere, kRestartHere},
    {EndCause::kHang, kNextJob, kRestartHere, kRestartHere},
    {EndCause::kBadNode, kRestartHere, kRestartHere, kRestartHere},
    {EndCause::kError, kNextJob, kRestartHere, kRestartHere},
    {EndCause::kUnknown, kNextJob, kRestartHere, kRestartHere},
};
static_assert(std::size(kWithTimeLeft) == std::size_t(EndCause::kUnknown) + 1);

/// In a queue that takes the job back by itself, or where this job's time is over.
constexpr Rule kWhereSchedulerRequeues[] = {
    {EndCause::kTimeLimit, kWait, kWait, kWait},   {EndCause::kPreemption, kWait, kWait, kWait},
    {EndCause::kNodeFailure, kWait, kWait, kWait}, {EndCause::kRequeue, kWait, kWait, kWait},
    {EndCause::kBadNode, kWait, kWait, kWait},     {EndCause::kCancel, kCancel, kCancel, kCancel},
    {EndCause::kPause, kPause, kPause, kPause},    {EndCause::kSwitchFile, kHold, kHold, kHold},
    {EndCause::kBudget, kHold, kHold, kHold},
};
constexpr Rule kWithoutTimeLeft[] = {
    {EndCause::kNodeFailure, kNextJob, kNextJob, kNextJob}, {EndCause::kBadNode, kNextJob, kNextJob, kNextJob},
    {EndCause::kSignal, kNextJob, kNextJob, kNextJob},      {EndCause::kRankLost, kNextJob, kNextJob, kNextJob},
    {EndCause::kHang, kNextJob, kNextJob, kNextJob},        {EndCause::kError, kNextJob, kNextJob, kNextJob},
    {EndCause::kUnknown, kNextJob, kNextJob, kNextJob},     {EndCause::kTimeLimit, kNextJob, kNextJob, kNextJob},
};

EndFacts first_failure() { return {.error = ErrorKind::kComm, .failures_in_row = 1, .left_s = 777, .restart_s = 60}; }

void expect_rules(std::span<const Rule> rules, EndFacts facts) {
  for (const Rule& rule : rules)
    for (const AttemptOutcome outcome : kOutcomes) {
      facts.cause = rule.cause;
      facts.outcome = outcome;
      const NextStep expected = outcome == AttemptOutcome::kFinished ? kStop
                                : outcome == AttemptOutcome::kSaved  ? rule.saved
                                : outcome == AttemptOutcome::kFailed ? rule.failed
                                                                     : rule.lost;
      const Decision decision = decide(facts);
      EXPECT_EQ(decision.next, expected) << outcome_name(outcome) << ", " << cause_name(rule.cause);
      EXPECT_EQ(decision.reason.empty(), decision.next != kHold) << cause_name(rule.cause);
    }
}

TEST(ChainPolicy, EachCauseHasItsRuleWhereTimeIsLeft) { expect_rules(kWithTimeLeft, first_failure()); }

TEST(ChainPolicy, AJobThatSlurmPutsBackByItselfIsWaitedFor) {
  EndFacts facts = first_failure();
  facts.scheduler_requeues = true;
  expect_rules(kWhereSchedulerRequeues, facts);
}

TEST(ChainPolicy, WhereTooLittleTimeIsLeftTheNextJobGoesOn) {
  EndFacts facts = first_failure();
  facts.left_s = 59.5;
  expect_rules(kWithoutTimeLeft, facts);
}

TEST(ChainPolicy, WhereNoLayoutFitsTheNextJobGoesOn) {
  EndFacts facts = first_failure();
  facts.nodes_fit = false;
  expect_rules(kWithoutTimeLeft, facts);
}

TEST(ChainPolicy, AnErrorThatAnotherAttemptWouldMeetHoldsTheRun) {
  for (const ErrorKind kind : {ErrorKind::kUsage, ErrorKind::kConfig, ErrorKind::kData, ErrorKind::kCheckpoint,
                               ErrorKind::kStorage, ErrorKind::kNumeric}) {
    EndFacts facts = first_failure();
    facts.outcome = AttemptOutcome::kFailed;
    facts.cause = EndCause::kError;
    facts.error = kind;
    const Decision decision = decide(facts);
    EXPECT_EQ(decision.next, kHold);
    EXPECT_THAT(decision.reason, HasSubstr(std::string(error_kind_name(kind)) + " error"));
  }
  for (const ErrorKind kind : {ErrorKind::kInternal, ErrorKind::kComm, ErrorKind::kResource}) {
    EndFacts facts = first_failure();
    facts.outcome = AttemptOutcome::kFailed;
    facts.cause = EndCause::kError;
    facts.error = kind;
    EXPECT_EQ(decide(facts).next, kRestartHere);
  }
}

TEST(ChainPolicy, ManyFailuresInARowHoldTheRunAndOneFewerDoesNot) {
  for (const EndCause cause : {EndCause::kRankLost, EndCause::kHang, EndCause::kUnknown, EndCause::kSignal,
                               EndCause::kError, EndCause::kTimeLimit})
    for (const AttemptOutcome outcome : {AttemptOutcome::kFailed, AttemptOutcome::kLost}) {
      EndFacts facts = first_failure();
      facts.cause = cause;
      facts.outcome = outcome;
      facts.most_failures = 7;
      facts.failures_in_row = 6;
      EXPECT_NE(decide(facts).next, kHold) << cause_name(cause);
      facts.failures_in_row = 7;
      EXPECT_EQ(decide(facts).next, kHold) << cause_name(cause);
    }
}

TEST(ChainPolicy, AnAttemptThatSavedIsNoFailureHoweverManyThereWere) {
  for (const EndCause cause : {EndCause::kTimeLimit, EndCause::kSignal, EndCause::kUnknown}) {
    EndFacts facts = first_failure();
    facts.outcome = AttemptOutcome::kSaved;
    facts.cause = cause;
    facts.failures_in_row = 99;
    EXPECT_EQ(decide(facts).next, kNextJob) << cause_name(cause);
  }
}

TEST(ChainPolicy, TheMachinesFaultsHoldNoRunHoweverManyThereWere) {
  for (const EndCause cause : {EndCause::kPreemption, EndCause::kRequeue, EndCause::kNodeFailure}) {
    EndFacts facts = first_failure();
    facts.outcome = AttemptOutcome::kLost;
    facts.cause = cause;
    facts.failures_in_row = 99;
    EXPECT_NE(decide(facts).next, kHold) << cause_name(cause);
  }
}

struct Ended {
  AttemptOutcome outcome;
  EndCause cause;
  std::int64_t checkpoint_step;
};

RunState after(const std::vector<Ended>& attempts) {
  RunState state;
  for (const Ended& each : attempts)
    state.attempts.push_back(
        {{}, AttemptEnded{.outcome = each.outcome, .cause = each.cause, .checkpoint_step = each.checkpoint_step}});
  return state;
}

constexpr auto kLost = AttemptOutcome::kLost;
constexpr auto kFailed = AttemptOutcome::kFailed;
constexpr auto kSaved = AttemptOutcome::kSaved;

TEST(FailuresInRow, AreCountedFromTheEndToTheLastThatSaved) {
  EXPECT_EQ(failures_in_row({}), 0);
  EXPECT_EQ(failures_in_row(after({{kLost, EndCause::kRankLost, -1}})), 1);
  EXPECT_EQ(failures_in_row(after({{kLost, EndCause::kRankLost, -1}, {kFailed, EndCause::kError, -1}})), 2);
  EXPECT_EQ(failures_in_row(after({{kLost, EndCause::kHang, -1},
                                   {kSaved, EndCause::kTimeLimit, 33},
                                   {kLost, EndCause::kHang, 33},
                                   {kFailed, EndCause::kTimeLimit, 33}})),
            2);
  EXPECT_EQ(failures_in_row(after({{kLost, EndCause::kHang, 33}, {kSaved, EndCause::kPause, 33}})), 0);
  EXPECT_EQ(failures_in_row(after({{kLost, EndCause::kHang, 33}, {AttemptOutcome::kFinished, EndCause::kNone, 33}})),
            0);
}

TEST(FailuresInRow, EndWhereACheckpointIsNewerThanTheOneBefore) {
  EXPECT_EQ(failures_in_row(after({{kLost, EndCause::kHang, 33}})), 0);
  EXPECT_EQ(failures_in_row(after({{kLost, EndCause::kHang, 33}, {kLost, EndCause::kHang, 65}})), 0);
  EXPECT_EQ(failures_in_row(after({{kLost, EndCause::kHang, 33}, {kLost, EndCause::kHang, 33}})), 1);
  EXPECT_EQ(failures_in_row(after({{kLost, EndCause::kHang, -1},
                                   {kLost, EndCause::kHang, -1},
                                   {kLost, EndCause::kHang, 33},
                                   {kLost, EndCause::kHang, 33},
                                   {kFailed, EndCause::kError, 33}})),
            2);
}

TEST(FailuresInRow, DoNotCountWhatTheMachineOrTheUserTookBack) {
  for (const EndCause cause :
       {EndCause::kPreemption, EndCause::kRequeue, EndCause::kNodeFailure, EndCause::kCancel, EndCause::kPause}) {
    EXPECT_EQ(failures_in_row(after({{kLost, cause, -1}, {kLost, cause, -1}})), 0);
    EXPECT_EQ(failures_in_row(after({{kLost, EndCause::kHang, -1}, {kLost, cause, -1}, {kLost, EndCause::kHang, -1}})),
              2);
  }
}

TEST(FailuresInRow, EndWhereAPreemptedAttemptGotFurther) {
  EXPECT_EQ(failures_in_row(after({{kLost, EndCause::kHang, -1},
                                   {kLost, EndCause::kHang, -1},
                                   {kLost, EndCause::kPreemption, 33},
                                   {kLost, EndCause::kHang, 33}})),
            1);
}

TEST(FailuresInRow, AnAttemptThatDidNotTellItsCheckpointHidesNoOlderOne) {
  EXPECT_EQ(
      failures_in_row(after(
          {{kSaved, EndCause::kTimeLimit, 33}, {kLost, EndCause::kRankLost, -1}, {kLost, EndCause::kRankLost, 33}})),
      2);
}

TEST(FailuresInRow, BeginAnewWhenAHeldPausedOrCancelledRunGoesOn) {
  const AttemptStarted begin{.attempt = "1", .time = 2, .ranks = 3, .resources = 3};
  const AttemptEnded end{.attempt = "1", .time = 3, .outcome = kLost, .cause = EndCause::kHang};
  for (const RunEvent& stop : {RunEvent(RunHeld{4, "why"}), RunEvent(RunPaused{4}), RunEvent(RunCancelled{4})}) {
    RunState state;
    for (const RunEvent& event : {RunEvent(RunCreated{"r", 1}), RunEvent(begin), RunEvent(end)})
      apply(state, event, "p");
    EXPECT_EQ(failures_in_row(state), 1);
    apply(state, stop, "p");
    apply(state, JobSubmitted{.time = 5, .job = "812"}, "p");
    EXPECT_EQ(failures_in_row(state), 0);
    AttemptStarted again = begin;
    again.attempt = "2";
    AttemptEnded lost = end;
    lost.attempt = "2";
    apply(state, again, "p");
    apply(state, lost, "p");
    EXPECT_EQ(failures_in_row(state), 1);
  }
}

TEST(FailuresInRow, LeaveOutAnAttemptThatRuns) {
  RunState state = after({{kLost, EndCause::kHang, -1}, {kLost, EndCause::kHang, -1}});
  state.attempts.push_back({});
  EXPECT_EQ(failures_in_row(state), 2);
}

}  // namespace
}  // namespace stoa::cluster
