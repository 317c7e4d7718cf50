/// Each transition of a run's life, and none that the table does not have.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <set>

#include "stoa/base/error.h"
#include "stoa/cluster/run_record.h"

namespace stoa::cluster {
namespace {

using testing::HasSubstr;

constexpr int kPhases = 11;
constexpr int kKinds = 12;

AttemptEnded ended(AttemptOutcome outcome) {
  return {.attempt = "7.0.1", .time = 5, .outcome = outcome, .cause = EndCause::kTimeLimit, .step = 33};
}

/// An event of each kind that fits a run whose attempt is 7.0.1; a start is a second one where `again`.
RunEvent event_of(EventKind kind, const std::string& attempt = "7.0.1") {
  switch (kind) {
    case EventKind::kCreated:
      return RunCreated{"r", 1};
    case EventKind::kSubmitted:
      return JobSubmitted{.time = 2, .job = "7", .cluster = "c", .user = "alice"};
    case EventKind::kStarted:
      return AttemptStarted{.attempt = attempt, .time = 3, .ranks = 3, .resources = 3, .host = "n", .pid = 1};
    case EventKind::kFinished:
      return ended(AttemptOutcome::kFinished);
    case EventKind::kSaved:
      return ended(AttemptOutcome::kSaved);
    case EventKind::kFailed:
      return ended(AttemptOutcome::kFailed);
    case EventKind::kLost:
      return ended(AttemptOutcome::kLost);
    case EventKind::kAsked:
      return UserAsked{4, UserRequest::kPause, "alice"};
    case EventKind::kNodeExcluded:
      return NodeExcluded{4, "node3", "slow"};
    case EventKind::kHeld:
      return RunHeld{4, "why"};
    case EventKind::kPaused:
      return RunPaused{4};
    default:
      return RunCancelled{4};
  }
}

/// The shortest life that ends in a phase.
RunState in_phase(RunPhase phase) {
  const std::map<RunPhase, std::vector<EventKind>> lives{
      {RunPhase::kAbsent, {}},
      {RunPhase::kCreated, {EventKind::kCreated}},
      {RunPhase::kQueued, {EventKind::kCreated, EventKind::kSubmitted}},
      {RunPhase::kRunning, {EventKind::kCreated, EventKind::kStarted}},
      {RunPhase::kSaved, {EventKind::kCreated, EventKind::kStarted, EventKind::kSaved}},
      {RunPhase::kFailed, {EventKind::kCreated, EventKind::kStarted, EventKind::kFailed}},
      {RunPhase::kLost, {EventKind::kCreated, EventKind::kStarted, EventKind::kLost}},
      {RunPhase::kFinished, {EventKind::kCreated, EventKind::kStarted, EventKind::kFinished}},
      {RunPhase::kHeld, {EventKind::kCreated, EventKind::kStarted, EventKind::kFailed, EventKind::kHeld}},
      {RunPhase::kPaused, {EventKind::kCreated, EventKind::kPaused}},
      {RunPhase::kCancelled, {EventKind::kCreated, EventKind::kCancelled}}};
  RunState state;
  for (const EventKind kind : lives.at(phase)) apply(state, event_of(kind), "life");
  EXPECT_EQ(state.phase, phase);
  return state;
}

class EachTransition : public testing::TestWithParam<Transition> {};

TEST_P(EachTransition, LeadsWhereTheTableSays) {
  RunState state = in_phase(GetParam().from);
  const bool second_start = GetParam().event == EventKind::kStarted && !state.attempts.empty();
  apply(state, event_of(GetParam().event, second_start ? "7.0.2" : "7.0.1"), "log");
  EXPECT_EQ(state.phase, GetParam().to);
}

INSTANTIATE_TEST_SUITE_P(Table, EachTransition, testing::ValuesIn(transitions().begin(), transitions().end()),
                         [](const auto& each) {
                           return fmt::format("{}_{}_{}", phase_name(each.param.from), int(each.param.event),
                                              phase_name(each.param.to));
                         });

TEST(RunTransitions, WhatIsNotInTheTableIsRefusedAndChangesNothing) {
  std::set<std::pair<RunPhase, EventKind>> allowed;
  for (const Transition& each : transitions())
    EXPECT_TRUE(allowed.insert({each.from, each.event}).second) << "twice in the table";
  int refused = 0;
  for (int phase = 0; phase < kPhases; ++phase)
    for (int kind = 0; kind < kKinds; ++kind) {
      if (allowed.contains({RunPhase(phase), EventKind(kind)})) continue;
      RunState state = in_phase(RunPhase(phase));
      const std::size_t attempts = state.attempts.size();
      EXPECT_THROW(apply(state, event_of(EventKind(kind)), "log"), DataError) << phase << " " << kind;
      EXPECT_EQ(state.phase, RunPhase(phase));
      EXPECT_EQ(state.attempts.size(), attempts);
      ++refused;
    }
  EXPECT_EQ(refused + int(allowed.size()), kPhases * kKinds);
}

TEST(RunEvents, EachSurvivesItsLineWithAllOfItsFields) {
  const std::string odd = "a \"quoted\"\nline, $(x) \x01 ü";
  const RunEvent events[] = {
      RunCreated{"r", 1.25},
      JobSubmitted{.time = 2, .job = "812", .cluster = odd, .user = odd, .how = SubmitWay::kSuccessor},
      AttemptStarted{.attempt = "812.3.1",
                     .time = 3,
                     .ranks = 33,
                     .resources = 65,
                     .host = odd,
                     .pid = 4711,
                     .job = "812",
                     .restart = 3,
                     .nodes = {"node1", odd},
                     .layout = "data 33"},
      AttemptEnded{.attempt = "812.3.1",
                   .time = 4,
                   .outcome = AttemptOutcome::kLost,
                   .cause = EndCause::kBadNode,
                   .step = 257,
                   .checkpoint_step = 255,
                   .energy_j = 0.5,
                   .energy_source = odd,
                   .message = odd},
      UserAsked{5, UserRequest::kCancel, odd},
      NodeExcluded{6, odd, odd},
      RunHeld{7, odd},
      RunPaused{8},
      RunCancelled{9}};
  for (const RunEvent& event : events) {
    const std::string line = to_line(event);
    EXPECT_EQ(line.find('\n'), std::string::npos);
    EXPECT_EQ(to_line(parse_event(line, "p")), line);
  }
  const auto started = std::get<AttemptStarted>(parse_event(to_line(events[2]), "p"));
  EXPECT_EQ(started.nodes[1], odd);
  EXPECT_EQ(started.restart, 3);
  const auto end = std::get<AttemptEnded>(parse_event(to_line(events[3]), "p"));
  EXPECT_EQ(end.cause, EndCause::kBadNode);
  EXPECT_EQ(end.checkpoint_step, 255);
}

TEST(RunEvents, EveryCauseHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (int cause = 0; cause <= int(EndCause::kUnknown); ++cause) names.insert(cause_name(EndCause(cause)));
  EXPECT_EQ(names.size(), std::size_t(EndCause::kUnknown) + 1);
}

TEST(RunEvents, ALogOfVersionOneStillFolds) {
  const RunState state = fold_events(
      R"({"event":"created","version":1,"run":"old","time":1764000000.0}
{"event":"attempt_started","attempt":"1","time":1764000001.0,"ranks":2,"resources":2,"host":"node1","pid":4711}
{"event":"attempt_ended","attempt":"1","time":1764000009.5,"outcome":"saved","step":300,"energy_j":9000.0,"energy_source":"modelled","message":""}
)",
      "events.jsonl");
  EXPECT_EQ(state.phase, RunPhase::kSaved);
  EXPECT_EQ(state.attempts[0].ended->cause, EndCause::kNone);
  EXPECT_EQ(state.attempts[0].ended->checkpoint_step, -1);
}

TEST(RunRecordWriters, SeeEachOtherAndAConflictIsRefused) {
  const std::filesystem::path file = testing::TempDir() + "/writers" + std::to_string(::getpid()) + ".jsonl";
  std::filesystem::remove(file);
  RunRecord supervisor(file);
  supervisor.append(event_of(EventKind::kCreated));
  supervisor.append(event_of(EventKind::kStarted));
  RunRecord user(file);
  user.append(event_of(EventKind::kAsked));
  EXPECT_FALSE(supervisor.state().asked);
  supervisor.refresh();
  EXPECT_TRUE(supervisor.state().asked);
  supervisor.append(event_of(EventKind::kSaved));
  EXPECT_THROW(user.append(event_of(EventKind::kFailed)), DataError);
  EXPECT_EQ(user.state().phase, RunPhase::kSaved);
  EXPECT_EQ(read_run_state(file).attempts.size(), 1U);
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace stoa::cluster
