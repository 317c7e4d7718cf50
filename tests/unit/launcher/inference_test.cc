#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "stoa/base/error.h"
#include "stoa/base/json.h"
#include "stoa/checkpoint/checkpoint_store.h"
#include "stoa/launcher/command_line.h"
#include "stoa/launcher/experiment.h"
#include "stoa/parallel/one_rank.h"
#include "stoa/tests/unit/launcher/captured.h"
#include "stoa/tests/unit/trainer/data_scratch.h"
#include "stoa/trainer/data/tokenizer.h"
#include "stoa/trainer/model/identity.h"
#include "stoa/trainer/model/initial_weights.h"
#include "stoa/trainer/model/model.h"
#include "stoa/trainer/model/parameter_pieces.h"

namespace stoa::launcher {
namespace {

constexpr std::int64_t kVocabulary = 263, kContext = 33;
constexpr const char* kText =
    "the cat sat on the mat\nand the dog\n---\nthe bird saw the cat \xe4\xb8\xad and sat\n---\n";

struct Said {
  int code;
  std::string out, err;
};

class Inference : public testing::Test {
 protected:
  Inference() {
    const std::string_view text = kText;
    trainer::write_bytes(folder_ / "text.txt", kText);
    trainer::write_bytes(folder_ / "tokenizer.json",
                         trainer::train_tokenizer(std::span(&text, 1), kVocabulary).to_json());
    write_experiment("fp32");
  }

  void write_experiment(const std::string& precision) {
    const std::string at = folder_.path().string();
    trainer::write_bytes(
        folder_ / "tiny.yaml",
        "name: tiny\nrun_directory: " + at +
            "/run\nmodel: {family: llama, layers: 2, width: 30, heads: 3, head_width: 10, " +
            "feed_forward_width: 37, vocabulary_size: 263, context_length: 33, initial_std: 0.3}\ndata: {prefix: " +
            at + "/corpus, tokenizer: " + at + "/tokenizer.json, document_separator: \"---\"}\ntraining: {steps: 3, " +
            "global_batch: 2, micro_batch: 2, precision: " + precision + "}\ncluster: {machine: local}\n");
  }

  /// Publishes a checkpoint with the moments that training saves too.
  void save(std::int64_t step, bool zero, const std::string& fingerprint = "") {
    const Experiment experiment = read_experiment(folder_ / "tiny.yaml");
    const trainer::ParameterTable table = trainer::make_parameter_table(experiment.model);
    trainer::cpu::Queue queue({.threads = 1});
    trainer::ModelParameters parameters(table, trainer::Precision::kFp32);
    if (!zero) trainer::initialize_parameters(queue, table, 5, parameters.masters());
    auto pieces = trainer::pieces_to_save(table, "parameters", parameters.masters());
    for (auto& piece : trainer::pieces_to_save(table, "adam_m", parameters.masters())) pieces.push_back(piece);
    Log log(stderr, "test", LogLevel::kError);
    parallel::OneRank rank;
    checkpoint::CheckpointStore store(folder_ / "run" / "checkpoints", "1", log);
    const Json identity = {{"model", trainer::model_identity(experiment.model)},
                           {"data", {{"tokenizer", fingerprint}}}};
    store.save({step, {{"identity", identity}}}, pieces, rank, {5});
  }

  Said stoa(std::vector<std::string> words) {
    words.insert(words.begin() + 1, (folder_ / "tiny.yaml").string());
    words.insert(words.end(), {"--threads", "1"});
    Captured out, err;
    const int code = run_command_line(words, {out.stream(), err.stream()});
    return {code, out.text(), err.text()};
  }

  trainer::ScratchFolder folder_;
};

TEST_F(Inference, BeforeAnyCheckpointSaysWhatToRunFirstAndMakesNothing) {
  const Said said = stoa({"sample", "--prompt", "the cat"});
  EXPECT_EQ(said.code, exit_code(ErrorKind::kCheckpoint));
  EXPECT_NE(said.err.find("run `stoa run " + (folder_ / "tiny.yaml").string() + "` first"), std::string::npos)
      << said.err;
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run"));
}

TEST_F(Inference, AModelOfZerosIsAsUnsureAsTheVocabularyIsLarge) {
  save(3, true);
  const Said said = stoa({"eval", "--text", (folder_ / "text.txt").string(), "--json"});
  ASSERT_EQ(said.code, 0) << said.err;
  const Json result = parse_json(said.out, "output");
  EXPECT_EQ(result.at("step"), 3);
  EXPECT_NEAR(result.at("loss").get<double>(), std::log(double(kVocabulary)), 1e-5);
  EXPECT_NEAR(result.at("perplexity").get<double>(), double(kVocabulary), 1e-2);
  const auto tokenizer = trainer::Tokenizer::load(folder_ / "tokenizer.json");
  const std::string first = "the cat sat on the mat\nand the dog", second = "the bird saw the cat \xe4\xb8\xad and sat";
  const std::size_t tokens = tokenizer.encode(first).size() + 1 + tokenizer.encode(second).size() + 1;
  const std::int32_t first_token = tokenizer.encode(first)[0];
  EXPECT_EQ(result.at("tokens"), tokens - 1);
  EXPECT_EQ(result.at("bytes"), first.size() + second.size() - tokenizer.decode({&first_token, 1}).size());
}

TEST_F(Inference, EvaluationPrintsTheSameNumbersForPeople) {
  save(3, true);
  const Said said = stoa({"eval", "--text", (folder_ / "text.txt").string()});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_NE(said.out.find("loss           5.5722 nats a token"), std::string::npos) << said.out;
  EXPECT_NE(said.out.find("perplexity     263.0"), std::string::npos) << said.out;
}

TEST_F(Inference, EvaluationNeedsATextWithSomethingInIt) {
  save(3, true);
  EXPECT_EQ(stoa({"eval", "--text", (folder_ / "none.txt").string()}).code, exit_code(ErrorKind::kData));
  trainer::write_bytes(folder_ / "empty.txt", "\n---\n\n");
  EXPECT_EQ(stoa({"eval", "--text", (folder_ / "empty.txt").string()}).code, exit_code(ErrorKind::kData));
}

TEST_F(Inference, TheSameSeedWritesTheSameTextBehindThePrompt) {
  for (const char* precision : {"fp32", "bf16"}) {
    write_experiment(precision);
    std::filesystem::remove_all(folder_ / "run");
    save(3, false);
    const std::vector<std::string> words = {"sample", "--prompt",      "the cat", "--tokens",
                                            "17",     "--temperature", "1.5",     "--seed"};
    const auto with_seed = [&](const char* seed) {
      auto all = words;
      all.push_back(seed);
      return stoa(all);
    };
    const Said first = with_seed("1");
    ASSERT_EQ(first.code, 0) << first.err;
    EXPECT_TRUE(first.out.starts_with("the cat")) << first.out;
    EXPECT_TRUE(first.out.ends_with("\n"));
    EXPECT_NE(first.err.find("tokens/s"), std::string::npos) << first.err;
    EXPECT_EQ(with_seed("1").out, first.out);
    EXPECT_NE(with_seed("2").out, first.out);
  }
}

TEST_F(Inference, StopsWhereTheContextIsFullAndSaysSo) {
  save(3, true);  // equal logits: the first token of the vocabulary each time, never end-of-text
  const Said said = stoa({"sample", "--prompt", "the", "--temperature", "0", "--tokens", "500"});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_NE(said.err.find("fill the model's context of 33 tokens"), std::string::npos) << said.err;
  const auto tokenizer = trainer::Tokenizer::load(folder_ / "tokenizer.json");
  const auto wrote = std::to_string(kContext - std::ssize(tokenizer.encode("the")) + 1);
  EXPECT_NE(said.err.find("wrote " + wrote), std::string::npos) << said.err;
}

TEST_F(Inference, APromptLongerThanTheContextIsRefusedWithBothNumbers) {
  save(3, true);
  const Said said = stoa({"sample", "--prompt", std::string(257, '?')});
  EXPECT_EQ(said.code, exit_code(ErrorKind::kUsage));
  EXPECT_NE(said.err.find("257 tokens, but the model's context holds 33"), std::string::npos) << said.err;
}

TEST_F(Inference, ADamagedCheckpointGivesWayToTheOneBeforeItUnlessAskedFor) {
  save(3, false);
  save(7, false);
  const auto newest = folder_ / "run" / "checkpoints" / "step-00000007";
  std::filesystem::resize_file(newest / "shard-00000-of-00001.h5", 257);
  const Said said = stoa({"sample", "--prompt", "the", "--tokens", "3"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_NE(said.err.find("after step 3"), std::string::npos) << said.err;
  EXPECT_NE(said.err.find("step-00000007"), std::string::npos) << said.err;
  EXPECT_EQ(stoa({"sample", "--prompt", "the", "--checkpoint", newest.string()}).code,
            exit_code(ErrorKind::kCheckpoint));
  EXPECT_EQ(stoa({"sample", "--prompt", "the", "--checkpoint", (folder_ / "none").string()}).code,
            exit_code(ErrorKind::kCheckpoint));
}

TEST_F(Inference, AnOlderCheckpointCanBeAskedFor) {
  save(3, false);
  save(7, false);
  const auto older = (folder_ / "run" / "checkpoints" / "step-00000003").string();
  const Said said = stoa({"eval", "--text", (folder_ / "text.txt").string(), "--json", "--checkpoint", older});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(parse_json(said.out, "output").at("step"), 3);
}

TEST_F(Inference, AnotherTokenizerThanTheOneTrainedWithIsRefused) {
  save(3, false, "feed");
  const Said refused = stoa({"sample", "--prompt", "the"});
  EXPECT_EQ(refused.code, exit_code(ErrorKind::kData));
  EXPECT_NE(refused.err.find("not the tokenizer"), std::string::npos) << refused.err;
  save(7, false, trainer::Tokenizer::load(folder_ / "tokenizer.json").fingerprint());
  EXPECT_EQ(stoa({"sample", "--prompt", "the", "--tokens", "1"}).code, 0);
}

TEST_F(Inference, ACheckpointOfAnotherModelIsRefused) {
  save(3, false);
  EXPECT_EQ(
      stoa({"eval", "model.layers=1", "model.feed_forward_width=41", "--text", (folder_ / "text.txt").string()}).code,
      exit_code(ErrorKind::kCheckpoint));
}

}  // namespace
}  // namespace stoa::launcher
