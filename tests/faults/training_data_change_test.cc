/// A data set that changes under a run: it is refused on resume, by name, in the real programs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stoa/tests/faults/training_run.h"
#include "stoa/trainer/data/indexed_dataset.h"

namespace stoa::faults {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string kTenSteps = "training.steps=10";

/// The folder's experiment with a mixture of two sources in place of its one data set.
void mix(const TrainingFolder& folder) {
  std::ofstream(folder.path() / "more.txt") << generated_corpus(60);
  std::string text = read_text_file(folder.experiment());
  const std::size_t begin = text.find("data: {"), end = text.find('\n', begin);
  const auto source = [&](const char* name, const char* file, const char* rest) {
    return fmt::format("{{name: {}, prefix: {}/{}, text: [{}/{}], {}}}", name, folder.path().string(), name,
                       folder.path().string(), file, rest);
  };
  text.replace(begin, end - begin,
               fmt::format("data:\n  tokenizer: {}/tokenizer.json\n  held_out_fraction: 0.05\n  sources:\n  - {}\n  - "
                           "{}\n  stages: [{{from_step: 7, weights: [{{source: more, weight: 0.5}}]}}]\n"
                           "  mask_documents: false",
                           folder.path().string(), source("text", "text.txt", "weight: 0.8"),
                           source("more", "more.txt", "weight: 0.2, max_epochs: 3")));
  std::ofstream(folder.experiment()) << text;
}

void change_a_token(const fs::path& prefix) {
  std::fstream file(prefix.string() + ".bin", std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(20);
  const char byte = static_cast<char>(file.get() ^ 1);
  file.seekp(20);
  file.put(byte);
  file.close();
  trainer::write_checksums(prefix);
}

TEST(TrainingDataChange, AMixtureTrainsResumesWithMoreStepsAndRefusesAChangedSource) {
  TrainingFolder folder;
  mix(folder);
  const Curve whole = folder.curve("whole");
  const CommandEnd half = folder.run("run", {kTenSteps});
  ASSERT_EQ(half.process.exit_code, kExitFinished) << half.err;
  const CommandEnd more = folder.run("run", {"parallel.data=1", "training.steps=15"});
  ASSERT_EQ(more.process.exit_code, kExitFinished) << more.err;
  Curve part = read_curve(folder.run_directory("run"));
  for (const auto& [step, numbers] : part.steps) EXPECT_EQ(numbers, whole.steps.at(step)) << step;

  change_a_token(folder.path() / "more");
  const CommandEnd refused = folder.run("run");
  EXPECT_EQ(refused.process.exit_code, exit_code(ErrorKind::kCheckpoint)) << refused.err;
  EXPECT_THAT(refused.err, AllOf(HasSubstr("checkpoint of step 15.data.sources.more.fingerprint was \""),
                                 HasSubstr("now: the data set has changed")));
  EXPECT_TRUE(folder.nothing_is_running());

  change_a_token(folder.path() / "more");
  const CommandEnd again = folder.run("run");
  EXPECT_EQ(again.process.exit_code, kExitFinished) << again.err;
  EXPECT_EQ(first_difference(read_curve(folder.run_directory("run")).steps.size() == whole.steps.size()
                                 ? Curve{read_curve(folder.run_directory("run")).steps, {}}
                                 : Curve{},
                             Curve{whole.steps, {}}),
            "");
}

TEST(TrainingDataChange, OneDataSetThatChangedIsRefused) {
  TrainingFolder folder;
  ASSERT_EQ(folder.run("run", {kTenSteps}).process.exit_code, kExitFinished);
  change_a_token(folder.path() / "corpus");
  const CommandEnd refused = folder.run("run");
  EXPECT_EQ(refused.process.exit_code, exit_code(ErrorKind::kCheckpoint)) << refused.err;
  EXPECT_THAT(refused.err, HasSubstr("checkpoint of step 10.data.fingerprint was \""));
}

TEST(TrainingDataChange, AMixtureThatEndsTooEarlyIsFoundBeforeAnythingRuns) {
  TrainingFolder folder;
  mix(folder);
  ASSERT_EQ(folder.command({STOA_PROGRAM, "data", "prepare", folder.experiment().string()}).process.exit_code, 0);
  const std::vector<std::string> overrides = {"data.stages=[{from_step: 7, weights: [{source: text, weight: 0}]}]",
                                              "training.steps=10000"};
  for (const char* command : {"validate", "plan"}) {
    std::vector<std::string> words = {STOA_PROGRAM, command, folder.experiment().string()};
    words.insert(words.end(), overrides.begin(), overrides.end());
    const CommandEnd end = folder.command(words);
    EXPECT_EQ(end.process.exit_code, exit_code(ErrorKind::kData)) << end.err;
    EXPECT_THAT(end.err, AllOf(HasSubstr("training.steps 10000 x training.global_batch 8 = 80,000 samples are wanted"),
                               HasSubstr("more ")));
  }
}

}  // namespace
}  // namespace stoa::faults
