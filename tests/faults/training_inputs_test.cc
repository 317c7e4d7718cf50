/// Inputs that are wrong, through the real programs: each has its documented exit code and one line that names the
/// place; none ends in a signal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "stoa/tests/faults/training_run.h"

namespace stoa::faults {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int kData = exit_code(ErrorKind::kData);

struct Damage {
  std::string name;
  std::string file;  ///< in the folder; the message has to name it, or what belongs to it
  std::function<void(const fs::path&)> apply;
  bool is_of_tokenizer;
};

void cut(const fs::path& file) { fs::resize_file(file, fs::file_size(file) - 3); }
void empty(const fs::path& file) { fs::resize_file(file, 0); }
void fill_with_garbage(const fs::path& file) { std::ofstream(file) << "{\"model\": [\xff\xfe"; }

const std::vector<Damage> kDamages = {
    {"truncated tokens", "corpus.bin", cut, false},
    {"truncated index", "corpus.idx", cut, false},
    {"empty index", "corpus.idx", empty, false},
    {"garbage as index", "corpus.idx", fill_with_garbage, false},
    {"garbage as tokenizer", "tokenizer.json", fill_with_garbage, true},
    {"empty tokenizer", "tokenizer.json", empty, true},
    {"a tokenizer of another kind", "tokenizer.json", [](const fs::path& f) { std::ofstream(f) << "{}"; }, true},
};

class WrongInput : public testing::Test {
 protected:
  void SetUp() override { folder_.curve("run", {"training.steps=5"}); }

  /// Exit code, no signal, and one complaint on one line that names `place`.
  void expect_refused(const CommandEnd& end, int code, const std::string& place) {
    EXPECT_EQ(end.process.signal, 0);
    EXPECT_EQ(end.process.exit_code, code) << end.err;
    const auto at = end.err.find("stoa: error: ");
    ASSERT_NE(at, std::string::npos) << end.err;
    const std::string complaint = end.err.substr(at);
    EXPECT_EQ(std::count(complaint.begin(), complaint.end(), '\n'), 1) << complaint;
    EXPECT_THAT(complaint, HasSubstr(place));
  }

  std::vector<std::string> words(const std::string& command, std::vector<std::string> more = {}) const {
    std::vector<std::string> result = {STOA_PROGRAM, command, folder_.experiment().string()};
    result.insert(result.end(), more.begin(), more.end());
    return result;
  }
  std::vector<std::string> eval_words() const {
    return words("eval", {"--text", (folder_.path() / "text.txt").string(), "--threads", "1"});
  }
  std::vector<std::string> sample_words() const {
    return words("sample", {"--prompt", "the", "--tokens", "5", "--threads", "1"});
  }

  TrainingFolder folder_;
};

TEST_F(WrongInput, DamagedFilesOfTheDataSetAreDataErrors) {
  for (const Damage& damage : kDamages) {
    SCOPED_TRACE(damage.name);
    const fs::path file = folder_.path() / damage.file, kept = folder_.path() / "kept";
    const std::string place = (file.parent_path() / file.stem()).string() + ".";
    fs::copy_file(file, kept, fs::copy_options::overwrite_existing);
    damage.apply(file);
    expect_refused(folder_.command(words("validate")), kData, place);
    expect_refused(folder_.run("run", {"training.steps=10"}), kData, place);
    if (damage.is_of_tokenizer) {
      expect_refused(folder_.command(eval_words()), kData, place);
      expect_refused(folder_.command(sample_words()), kData, place);
    }
    fs::copy_file(kept, file, fs::copy_options::overwrite_existing);
  }
  EXPECT_EQ(folder_.command(eval_words()).process.exit_code, kExitFinished);
  EXPECT_EQ(folder_.command(sample_words()).process.exit_code, kExitFinished);
  EXPECT_TRUE(folder_.nothing_is_running());
}

TEST_F(WrongInput, AVocabularySmallerThanTheTokenizerIsADataError) {
  const std::string tokenizer = (folder_.path() / "tokenizer.json").string();
  for (const std::string command : {"validate", "run", "eval", "sample"}) {
    SCOPED_TRACE(command);
    std::vector<std::string> all = command == "eval"     ? eval_words()
                                   : command == "sample" ? sample_words()
                                                         : words(command);
    all.push_back("model.vocabulary_size=299");
    // A directory of its own: the one of the 300 entries is refused for being another model's.
    all.push_back("run_directory=" + folder_.run_directory("another").string());
    expect_refused(folder_.command(all), kData, tokenizer);
  }
}

TEST_F(WrongInput, AnotherModelThanTheRunsIsRefused) {
  const std::string run = folder_.run_directory("run").string();
  expect_refused(folder_.run("run", {"model.width=64"}), exit_code(ErrorKind::kConfig), "model.width was 32 and is 64");
  std::vector<std::string> eval = eval_words();
  eval.push_back("model.width=64");
  expect_refused(folder_.command(eval), exit_code(ErrorKind::kCheckpoint), run);
}

TEST_F(WrongInput, ADamagedCheckpointIsACheckpointErrorOfEvalAndSample) {
  const fs::path shard = folder_.run_directory("run") / "checkpoints/step-00000005/shard-00001-of-00002.h5";
  cut(shard);
  expect_refused(folder_.command(eval_words()), exit_code(ErrorKind::kCheckpoint), shard.string());
  expect_refused(folder_.command(sample_words()), exit_code(ErrorKind::kCheckpoint), shard.string());
}

TEST(Divergence, EndsWithANumericErrorThatSaysWhatToDo) {
  TrainingFolder folder;
  const CommandEnd end = folder.run("diverging", {"optimizer.learning_rate=1e30", "optimizer.gradient_clip=0",
                                                  "training.spike.most_skips=3", "training.steps=40"});
  EXPECT_EQ(end.process.exit_code, exit_code(ErrorKind::kNumeric)) << end.err;
  EXPECT_THAT(end.err, AllOf(HasSubstr("4 steps in a row"), HasSubstr("learning_rate")));
  EXPECT_TRUE(folder.nothing_is_running());
}

}  // namespace
}  // namespace stoa::faults
