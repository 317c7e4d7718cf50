/// Exact duplicates, lines of JSON and the tally's samples.
#include <gmock/gmock.h>

#include <set>

#include "stoa/base/error.h"
#include "stoa/trainer/curation/duplicate_step.h"
#include "stoa/trainer/curation/json_lines.h"
#include "stoa/trainer/curation/step_tally.h"

namespace stoa::trainer {
namespace {

bool was_seen(DuplicateStep& step, std::string_view text) {
  DuplicateMark mark;
  step.mark(text, mark);
  return step.was_seen(mark);
}

TEST(ExactDuplicates, FoldSpacesAndCase) {
  EXPECT_EQ(folded(" A\u00A0\n b\u00c9\u3000"), "a b\u00c9");
  EXPECT_EQ(folded(" \n"), "");
  const auto step = exact_duplicates({});
  EXPECT_FALSE(was_seen(*step, "One text"));
  EXPECT_TRUE(was_seen(*step, "  one\n\ttext "));
  EXPECT_FALSE(was_seen(*step, "onetext"));
  const auto bytes = exact_duplicates({.compare = TextForm::kBytes});
  EXPECT_FALSE(was_seen(*bytes, "One text"));
  EXPECT_FALSE(was_seen(*bytes, "one text"));
  EXPECT_TRUE(was_seen(*bytes, "One text"));
}

TEST(ExactDuplicates, RememberAllWhileTheTableGrows) {
  const auto step = exact_duplicates({});
  for (int i = 0; i < 10'007; ++i) ASSERT_FALSE(was_seen(*step, std::to_string(i)));
  for (int i = 0; i < 10'007; ++i) ASSERT_TRUE(was_seen(*step, std::to_string(i)));
  EXPECT_LE(step->memory_bytes(), 10'007U * 43);
  EXPECT_GE(step->memory_bytes(), 10'007U * 21);
}

TEST(JsonLines, ReplaceTheTextAndNothingElse) {
  EXPECT_EQ(json_line("text", "a\"\\\n\x01\u00e9"), R"({"text": "a\"\\\n\u0001é"})");
  EXPECT_EQ(json_line_with(R"({"id":1.50, "text" : "old \" one", "meta":{"text":"inner"}})", "text", "new"),
            R"({"id":1.50, "text" : "new", "meta":{"text":"inner"}})");
  EXPECT_EQ(json_line_with(R"({"a":["text",{"text":"x"}],"b":"text","te\u0078t":"old"})", "text", "n"),
            R"({"a":["text",{"text":"x"}],"b":"text","te\u0078t":"n"})");
  EXPECT_THROW(json_line_with(R"({"a": 1})", "text", "new"), InternalError);
}

StepRecord tally_of(const std::vector<int>& order) {
  StepTally tally("step", 3, Json::object(), {"first", "second"}, 4);
  for (const int i : order) {
    Outcome outcome = i % 3 == 0 ? dropped(i % 2) : Outcome{};
    tally.add(outcome, "document " + std::to_string(i) + " by joe@example.org", 10, 10, {0, i});
  }
  return tally.record({"a.txt"});
}

TEST(StepTally, SamplesAreBoundedNotTheFirstOnesAndWithoutPersonalData) {
  std::vector<int> order(997);
  for (int i = 0; i < 997; ++i) order[static_cast<std::size_t>(i)] = i;
  const StepRecord record = tally_of(order);
  EXPECT_EQ(record.documents_in, 997);
  EXPECT_EQ(record.documents_dropped, 333);
  EXPECT_EQ(record.reasons.at("first") + record.reasons.at("second"), 333);
  EXPECT_EQ(record.bytes_out, 10 * (997 - 333));
  ASSERT_EQ(record.samples.size(), 8U);
  EXPECT_GT(record.samples[0].line + record.samples[1].line, 100);
  for (const DocumentSample& sample : record.samples) EXPECT_THAT(sample.excerpt, testing::EndsWith("by <EMAIL>"));
  std::reverse(order.begin(), order.end());
  const StepRecord other = tally_of(order);
  for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(record.samples[i].excerpt, other.samples[i].excerpt);
}

}  // namespace
}  // namespace stoa::trainer
