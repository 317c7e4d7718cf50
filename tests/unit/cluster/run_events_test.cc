#include "stoa/cluster/run_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <tuple>

#include "stoa/base/error.h"
#include "stoa/cluster/run_record.h"

namespace stoa::cluster {
namespace {

using testing::HasSubstr;

struct Fields {
  auto operator()(const RunCreated& e) const { return std::make_tuple(e.run, e.time); }
  auto operator()(const JobSubmitted& e) const { return std::make_tuple(e.time, e.job, e.cluster, e.user, e.how); }
  auto operator()(const AttemptStarted& e) const {
    return std::make_tuple(e.attempt, e.time, e.ranks, e.resources, e.host, e.pid, e.job, e.restart, e.nodes, e.layout);
  }
  auto operator()(const AttemptEnded& e) const {
    return std::make_tuple(e.attempt, e.time, e.outcome, e.cause, e.step, e.checkpoint_step, e.energy_j,
                           e.energy_source, e.message);
  }
  auto operator()(const UserAsked& e) const { return std::make_tuple(e.time, e.request, e.user); }
  auto operator()(const NodeExcluded& e) const { return std::make_tuple(e.time, e.node, e.reason); }
  auto operator()(const RunHeld& e) const { return std::make_tuple(e.time, e.reason); }
  auto operator()(const RunPaused& e) const { return std::make_tuple(e.time); }
  auto operator()(const RunCancelled& e) const { return std::make_tuple(e.time); }
};

void expect_same(const RunEvent& a, const RunEvent& b) {
  ASSERT_EQ(a.index(), b.index());
  std::visit(
      [&](const auto& each) {
        using Event = std::decay_t<decltype(each)>;
        EXPECT_EQ(Fields{}(each), Fields{}(std::get<Event>(b)));
      },
      a);
}

const std::vector<std::string> kOddTexts = {"plain",
                                            "",
                                            "two\nlines\r\n",
                                            "\"quoted\" and 'quoted' and \\back\\",
                                            std::string("a zero \0 and \x01 \x1f \x7f", 19),
                                            "naïve Übermaß 数据 🙂",
                                            R"({"event":"held"})",
                                            "$(reboot) `reboot` ; | & * ?",
                                            std::string(7001, 'x')};

std::vector<RunEvent> events_with(const std::string& text) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  return {RunCreated{text, 1764000000.125},
          JobSubmitted{.time = 0.1, .job = text, .cluster = text, .user = text, .how = SubmitWay::kSuccessor},
          AttemptStarted{.attempt = text,
                         .time = 1e10 / 3,
                         .ranks = kMost,
                         .resources = 33,
                         .host = text,
                         .pid = 4711,
                         .job = "8" + text,
                         .restart = 7,
                         .nodes = {text, "node1", text},
                         .layout = text},
          AttemptEnded{.attempt = text,
                       .time = 1.0 / 3,
                       .outcome = AttemptOutcome::kFailed,
                       .cause = EndCause::kHang,
                       .step = kMost,
                       .checkpoint_step = 257,
                       .energy_j = 1e300 / 7,
                       .energy_source = text,
                       .message = text},
          UserAsked{5e-324, UserRequest::kCancel, text},
          NodeExcluded{3, text, text + "reason"},
          RunHeld{7, text},
          RunPaused{11.5},
          RunCancelled{13.25}};
}

TEST(RunEvents, ComeBackFromTheirLineWithEveryField) {
  for (const std::string& text : kOddTexts)
    for (const RunEvent& event : events_with(text)) {
      const std::string line = to_line(event);
      ASSERT_EQ(line.find('\n'), std::string::npos);
      expect_same(event, parse_event(line, "p"));
    }
}

TEST(RunEvents, EachOutcomeCauseRequestAndWayHasANameOfItsOwn) {
  for (int outcome = 0; outcome <= int(AttemptOutcome::kLost); ++outcome)
    for (int cause = 0; cause <= int(EndCause::kUnknown); ++cause) {
      const AttemptEnded ended{.attempt = "1", .outcome = AttemptOutcome(outcome), .cause = EndCause(cause)};
      expect_same(ended, parse_event(to_line(ended), "p"));
    }
  for (const SubmitWay way : {SubmitWay::kSubmit, SubmitWay::kRequeue, SubmitWay::kSuccessor})
    expect_same(JobSubmitted{.how = way}, parse_event(to_line(JobSubmitted{.how = way}), "p"));
  for (const UserRequest request : {UserRequest::kPause, UserRequest::kCancel})
    expect_same(UserAsked{.request = request}, parse_event(to_line(UserAsked{.request = request}), "p"));
}

TEST(RunEvents, AnAttemptWithoutAJobSaysNothingOfJobs) {
  const std::string line = to_line(AttemptStarted{.attempt = "1", .time = 3, .ranks = 3, .resources = 3, .host = "h"});
  for (const char* key : {"job", "restart", "nodes", "layout"}) EXPECT_THAT(line, testing::Not(HasSubstr(key)));
  const auto started = std::get<AttemptStarted>(parse_event(line, "p"));
  EXPECT_EQ(started.job, "");
  EXPECT_EQ(started.restart, 0);
  EXPECT_TRUE(started.nodes.empty());
}

TEST(RunEvents, ALogOfVersion1StillFoldsAndGoesOnWithEventsOfVersion2) {
  const std::string version_1 =
      R"({"event":"created","version":1,"run":"old","time":1764000000.0})"
      "\n"
      R"({"event":"attempt_started","attempt":"1","time":1764000001.5,"ranks":3,"resources":7,"host":"h","pid":99})"
      "\n"
      R"({"event":"attempt_ended","attempt":"1","time":1764000009.0,"outcome":"saved","step":33,"energy_j":17.5,)"
      R"("energy_source":"modelled","message":"why"})"
      "\n";
  const RunState state = fold_events(version_1, "p");
  EXPECT_EQ(state.phase, RunPhase::kSaved);
  ASSERT_EQ(state.attempts.size(), 1u);
  EXPECT_EQ(state.attempts[0].started.resources, 7);
  EXPECT_EQ(state.attempts[0].started.job, "");
  EXPECT_EQ(state.attempts[0].ended->cause, EndCause::kNone);
  EXPECT_EQ(state.attempts[0].ended->checkpoint_step, -1);
  EXPECT_EQ(state.attempts[0].ended->step, 33);
  EXPECT_EQ(fold_events(version_1 + to_line(JobSubmitted{.time = 1764000010, .job = "812"}) + '\n', "p").phase,
            RunPhase::kQueued);
}

TEST(RunEvents, WhatStandsInThePlaceOfAFieldIsNamed) {
  const auto error_of = [](const std::string& line) -> std::string {
    try {
      parse_event(line, "p:3");
    } catch (const DataError& failure) {
      return failure.what();
    }
    return "no DataError";
  };
  EXPECT_THAT(error_of(R"({"event":"submitted","time":1,"job":812,"cluster":"","user":"","how":"submit"})"),
              HasSubstr("p:3: 'job' must be a string"));
  EXPECT_THAT(error_of(R"({"event":"submitted","time":1,"job":"8","cluster":"","user":"","how":"mail"})"),
              HasSubstr("p:3: how 'mail' is none of submit, requeue, successor"));
  EXPECT_THAT(error_of(R"({"event":"asked","time":1,"request":"dance","user":"a"})"),
              HasSubstr("request 'dance' is none of pause, cancel"));
  EXPECT_THAT(error_of(R"({"event":"node_excluded","time":1,"node":"n"})"), HasSubstr("'reason'"));
  EXPECT_THAT(error_of(R"({"event":"held","reason":"r"})"), HasSubstr("'time'"));
  EXPECT_THAT(error_of(R"({"event":"attempt_started","attempt":"1","time":1,"ranks":1,"resources":1,"host":"h",)"
                       R"("pid":1,"nodes":["a",2]})"),
              HasSubstr("'nodes'"));
  EXPECT_THAT(error_of(R"({"event":"attempt_ended","attempt":"1","time":1,"outcome":"saved","cause":"weather",)"
                       R"("step":1,"energy_j":1,"energy_source":"","message":""})"),
              HasSubstr("cause 'weather' is none of"));
}

}  // namespace
}  // namespace stoa::cluster
