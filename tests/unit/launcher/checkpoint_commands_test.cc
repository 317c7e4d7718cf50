/// `stoa checkpoint ...`, from words to text and exit code, on a directory as a run leaves it.
#include "stoa/launcher/checkpoint_commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "stoa/base/error.h"
#include "stoa/checkpoint/checkpoint_store.h"
#include "stoa/launcher/command_line.h"
#include "stoa/launcher/run_directory.h"
#include "stoa/parallel/one_rank.h"
#include "stoa/tests/unit/checkpoint/small_model.h"
#include "stoa/tests/unit/launcher/captured.h"

namespace stoa::launcher {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class CheckpointCommands : public ::testing::Test {
 protected:
  CheckpointCommands() {
    for (const std::int64_t step : {5, 10, 15, 20}) save(run(), step);
  }
  static void save(const fs::path& run, std::int64_t step) {
    Log log(stderr, "test", LogLevel::kError);
    parallel::OneRank one;
    checkpoint::SmallModel model(0, 1, checkpoint::Cut::kFirstDim);
    model.fill(step);
    checkpoint::CheckpointStore(run / "checkpoints", "3", log)
        .save({step, Json{{"consumed_samples", 8 * step}}, step == 10 ? std::optional(2.5) : std::nullopt},
              model.to_save(), one, {9});
  }
  fs::path run() const { return folder_.path() / "run"; }
  fs::path step(const char* name) const { return run() / "checkpoints" / name; }

  /// What the command printed, or its error, with the exit code at its end.
  static std::string stoa(std::vector<std::string> words) {
    words.insert(words.begin(), "checkpoint");
    Captured out, err;
    const int code = run_command_line(words, {.out = out.stream(), .err = err.stream()});
    return out.text() + err.text() + fmt::format("exit {}", code);
  }

  checkpoint::TemporaryFolder folder_;
};

TEST_F(CheckpointCommands, ListTellsEachAndWhichIsNotWhole) {
  fs::resize_file(step("step-00000015/shard-00000-of-00001.h5"), 1000);
  fs::create_directories(step("step-00000025.partial-4"));
  EXPECT_THAT(stoa({"list", run()}), AllOf(HasSubstr("2.5000"), HasSubstr("NOT WHOLE"), HasSubstr("1000 bytes"),
                                           HasSubstr("latest"), HasSubstr("did not end"), HasSubstr("exit 0")));
  const std::string json = stoa({"list", run(), "--format", "json"});
  const Json parsed = parse_json(json.substr(0, json.rfind("exit")), "list");
  EXPECT_EQ(parsed["checkpoints"].size(), 4u);
  EXPECT_EQ(parsed["checkpoints"][1]["evaluation_loss"], 2.5);
  EXPECT_FALSE(parsed["checkpoints"][2]["whole"].get<bool>());
  EXPECT_EQ(parsed["leftovers"].size(), 1u);
}

TEST_F(CheckpointCommands, ACheckpointIsTheNewestWholeOneOrTheOneThatIsNamed) {
  EXPECT_THAT(stoa({"show", run()}), AllOf(HasSubstr("step-00000020"), HasSubstr("160 consumed")));
  EXPECT_THAT(stoa({"show", run() / "checkpoints"}), HasSubstr("step-00000020"));
  EXPECT_THAT(stoa({"show", run() / "checkpoints" / "latest"}), HasSubstr("step-00000020"));
  EXPECT_THAT(stoa({"show", run(), "--step", "10", "--tensors"}), AllOf(HasSubstr("loss 2.5"), HasSubstr("[5, 3, 7]")));
  fs::remove(step("step-00000020/manifest.json"));
  EXPECT_THAT(stoa({"show", run()}), HasSubstr("step-00000015"));
  EXPECT_THAT(stoa({"show", run(), "--step", "7"}), AllOf(HasSubstr("no such checkpoint"), HasSubstr("exit 5")));
  EXPECT_THAT(stoa({"show", step("step-00000010"), "--step", "5"}), HasSubstr("exit 2"));
  EXPECT_THAT(stoa({"verify", folder_.path()}), AllOf(HasSubstr("no checkpoint"), HasSubstr("exit 5")));
}

TEST_F(CheckpointCommands, VerifyNamesWhatIsWrongAndEndsWithFive) {
  EXPECT_THAT(stoa({"verify", run(), "--threads", "2"}), AllOf(HasSubstr("every byte is right"), HasSubstr("exit 0")));
  const fs::path shard = step("step-00000020/shard-00000-of-00001.h5");
  std::fstream(shard, std::ios::in | std::ios::out | std::ios::binary).seekp(std::streamoff(fs::file_size(shard)) / 4)
      << "no";
  EXPECT_THAT(stoa({"verify", run()}), AllOf(HasSubstr("shard-00000-of-00001.h5"), HasSubstr("exit 5")));
}

TEST_F(CheckpointCommands, DiffEndsWithEightWhereTensorsDiffer) {
  EXPECT_THAT(stoa({"diff", run(), step("step-00000020")}),
              AllOf(HasSubstr("0 of 6 tensors differ"), HasSubstr("exit 0")));
  EXPECT_THAT(stoa({"diff", run(), run(), "--first-step", "5"}),
              AllOf(HasSubstr("other values"), HasSubstr("6 of 6 tensors differ"), HasSubstr("exit 8")));
}

TEST_F(CheckpointCommands, PruneKeepsWhatTheRulesKeepAndNeverWhileTheRunIsAtWork) {
  EXPECT_THAT(stoa({"prune", run()}), AllOf(HasSubstr("--keep-last"), HasSubstr("exit 2")));
  EXPECT_THAT(stoa({"prune", run(), "--keep-last", "1", "--keep-best", "1", "--dry-run"}),
              AllOf(HasSubstr("would remove"), HasSubstr("2 of 4 checkpoints stay")));
  EXPECT_TRUE(fs::exists(step("step-00000005")));
  {
    const RunLock lock(RunDirectory{run()}.lock());
    EXPECT_THAT(stoa({"prune", run(), "--keep-last", "1"}), AllOf(HasSubstr("at work already"), HasSubstr("exit 9")));
  }
  EXPECT_THAT(stoa({"prune", run(), "--keep-last", "1", "--keep-best", "1"}), HasSubstr("2 of 4 checkpoints stay"));
  EXPECT_FALSE(fs::exists(step("step-00000005")));
  EXPECT_TRUE(fs::exists(step("step-00000010")));
  EXPECT_FALSE(fs::exists(step("step-00000015")));
  EXPECT_TRUE(fs::exists(step("step-00000020")));
}

TEST_F(CheckpointCommands, CopyAndIndexMakeWhatVerifies) {
  const fs::path to = folder_.path() / "kept";
  EXPECT_THAT(stoa({"copy", run(), "--step", "10", "--to", to}),
              AllOf(HasSubstr("every byte verified"), HasSubstr("exit 0")));
  EXPECT_THAT(stoa({"copy", run(), "--to", to}), AllOf(HasSubstr("there already"), HasSubstr("exit 2")));
  fs::remove(to / "checkpoint.h5");
  EXPECT_THAT(stoa({"index", to}), AllOf(HasSubstr("6 pieces"), HasSubstr("exit 0")));
  EXPECT_THAT(stoa({"diff", to, step("step-00000010")}), AllOf(HasSubstr("0 of 6"), Not(HasSubstr("other"))));
}

}  // namespace
}  // namespace stoa::launcher
