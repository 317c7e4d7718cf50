/// `stoa export` and `stoa import` as words of the command line: whole folders or none.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/base/json.h"
#include "stoa/checkpoint/checkpoint_store.h"
#include "stoa/checkpoint/shard_reader.h"
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

using testing::HasSubstr;
namespace fs = std::filesystem;

struct Said {
  int code;
  std::string out, err;
};

Said stoa(const std::vector<std::string>& words) {
  Captured out, err;
  const int code = run_command_line(words, {out.stream(), err.stream()});
  return {code, out.text(), err.text()};
}

class InOut : public testing::Test {
 protected:
  InOut() {
    const std::string_view text = "the cat sat on the mat and the dog sat too";
    trainer::write_bytes(folder_ / "tokenizer.json", trainer::train_tokenizer(std::span(&text, 1), 263).to_json());
    write_experiment("family: llama, query_key_norm: true, head_width: 8");
    save(3);
    save(7);
  }

  void write_experiment(const std::string& model) {
    const std::string at = folder_.path().string();
    trainer::write_bytes(
        folder_ / "tiny.yaml",
        "name: tiny\nrun_directory: " + at + "/run\nmodel: {" + model +
            ", layers: 2, width: 30, heads: 3, vocabulary_size: 263, context_length: 33}\ndata: {prefix: " + at +
            "/corpus, tokenizer: " + at +
            "/tokenizer.json}\ntraining: {steps: 9, global_batch: 2}\ncluster: {machine: local}\n");
  }

  void save(std::int64_t step) {
    const Experiment experiment = read_experiment(folder_ / "tiny.yaml");
    const trainer::ParameterTable table = trainer::make_parameter_table(experiment.model);
    trainer::cpu::Queue queue({.threads = 1});
    trainer::ModelParameters parameters(table, trainer::Precision::kFp32);
    trainer::initialize_parameters(queue, table, std::uint64_t(step), parameters.masters());
    Log log(stderr, "test", LogLevel::kError);
    parallel::OneRank rank;
    checkpoint::CheckpointStore store(folder_ / "run" / "checkpoints", "1", log);
    const Json identity = {{"model", trainer::model_identity(experiment.model)},
                           {"data", {{"documents", 77}, {"note", "a|b\nc"}}}};
    store.save({step, {{"identity", identity}, {"consumed_samples", step * 2}}},
               trainer::pieces_to_save(table, "parameters", parameters.masters()), rank, {5});
  }

  Said out(const std::string& to, std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"export", at("tiny.yaml"), "--to", "huggingface", "--out", at(to)};
    words.insert(words.end(), more.begin(), more.end());
    return stoa(words);
  }
  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }
  std::string read(const std::string& name) const { return read_text_file(folder_.path() / name); }

  trainer::ScratchFolder folder_;
};

TEST_F(InOut, AnExportHoldsWhatTransformersNeedsAndACardThatClaimsNothingMore) {
  const Said said = out("hf");
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_THAT(said.out, HasSubstr("Qwen3ForCausalLM of step 7"));
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder_ / "hf")) names.push_back(entry.path().filename());
  EXPECT_THAT(names, testing::UnorderedElementsAre("README.md", "config.json", "generation_config.json",
                                                   "model.safetensors", "tokenizer.json", "tokenizer_config.json"));
  EXPECT_FALSE(fs::exists(folder_ / "hf.partial"));
  const std::string card = read("hf/README.md");
  EXPECT_THAT(card, HasSubstr("| Tokens seen | 462 |"));
  EXPECT_THAT(card, HasSubstr("| data.documents | 77 |"));
  EXPECT_THAT(card, HasSubstr("| data.note | a\\|b c |"));
  EXPECT_THAT(card, HasSubstr("## Intended use\n\nHUMAN REQUIRED"));
  EXPECT_EQ(parse_json(read("hf/tokenizer_config.json"), "t").at("eos_token"), "<|endoftext|>");
}

TEST_F(InOut, TheCardTellsLossesOfThisRunsCheckpointsOnly) {
  trainer::write_bytes(
      folder_ / "run" / "metrics.jsonl",
      R"({"kind":"step","step":5,"steps":9,"loss":2.5,"gradient_norm":1,"parameter_norm":1,"learning_rate":1e-4,"consumed_tokens":5,"step_s":0.1,"tokens_per_s":10,"model_flops_utilisation":0.4,"peak_gflops":5,"resident_bytes":1,"energy_j":1,"energy_source":"modelled","skipped":"","attempt":"1","time":1764000001})"
      "\n");
  ASSERT_EQ(out("hf").code, 0);
  EXPECT_THAT(read("hf/README.md"), HasSubstr("| Training loss at step 5 | 2.5000 nats a token |"));
  fs::create_directories(folder_ / "other");
  fs::copy(folder_ / "run" / "checkpoints" / "step-00000007", folder_ / "other" / "step-00000007");
  const Said said = out("hf2", {"--checkpoint", at("other/step-00000007/")});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_THAT(read("hf2/README.md"), testing::Not(HasSubstr("loss")));
}

TEST_F(InOut, NothingIsReplacedAndNothingIsLeftBehind) {
  ASSERT_EQ(out("hf").code, 0);
  const Said again = out("hf/");
  EXPECT_EQ(again.code, exit_code(ErrorKind::kUsage));
  EXPECT_THAT(again.err, HasSubstr("is there already"));
  fs::create_directories(folder_ / "other.partial" / "left");
  EXPECT_EQ(out("other").code, 0);
  EXPECT_FALSE(fs::exists(folder_ / "other" / "left"));
  write_experiment("family: gpt2, key_value_heads: 1");
  const Said impossible = out("gpt2");
  EXPECT_EQ(impossible.code, exit_code(ErrorKind::kConfig));
  EXPECT_THAT(impossible.err, HasSubstr("model.key_value_heads 1 of model.heads 3"));
  EXPECT_FALSE(fs::exists(folder_ / "gpt2"));
  EXPECT_EQ(out("hf2", {"--shard-size", "5 parsecs"}).code, exit_code(ErrorKind::kUsage));
}

TEST_F(InOut, ADamagedCheckpointGivesWayToTheOneBeforeItUnlessAskedFor) {
  const fs::path shard = folder_ / "run" / "checkpoints" / "step-00000007" / "shard-00000-of-00001.h5";
  std::string bytes = read_text_file(shard);
  const auto pieces =
      checkpoint::ShardReader(shard.parent_path(), checkpoint::read_manifest(shard.parent_path()).shards[0]).pieces();
  const auto weights = std::ranges::find_if(
      pieces, [](const checkpoint::StoredPiece& piece) { return piece.tensor.name.starts_with("parameters/"); });
  ASSERT_NE(weights, pieces.end());
  bytes[std::size_t(weights->offset)] = char(bytes[std::size_t(weights->offset)] ^ 1);
  trainer::write_bytes(shard, bytes);
  const Said said = out("hf");
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_THAT(said.out, HasSubstr("of step 3"));
  EXPECT_THAT(said.err, HasSubstr("checksum"));
  EXPECT_EQ(out("hf7", {"--checkpoint", shard.parent_path().string()}).code, exit_code(ErrorKind::kCheckpoint));
  EXPECT_FALSE(fs::exists(folder_ / "hf7"));
  EXPECT_FALSE(fs::exists(folder_ / "hf7.partial"));
}

TEST_F(InOut, AnImportIsAWholeExperimentThatValidatesSamplesAndExportsTheSameBytes) {
  ASSERT_EQ(out("hf", {"--shard-size", "20KB"}).code, 0);
  const Said in = stoa({"import", at("hf"), "--out", at("in"), "--name", "second"});
  ASSERT_EQ(in.code, 0) << in.err;
  const std::string yaml = at("in/experiment.yaml");
  const Experiment experiment = read_experiment(yaml);
  EXPECT_EQ(experiment.name, "second");
  EXPECT_EQ(trainer::model_identity(experiment.model), trainer::model_identity(read_experiment(at("tiny.yaml")).model));
  EXPECT_EQ(read("in/tokenizer.json"), read("hf/tokenizer.json"));
  const Said said =
      stoa({"sample", yaml, "training.precision=fp32", "--prompt", "the", "--tokens", "9", "--threads", "1"});
  const Said before = stoa(
      {"sample", at("tiny.yaml"), "training.precision=fp32", "--prompt", "the", "--tokens", "9", "--threads", "1"});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(said.out, before.out);
  ASSERT_EQ(stoa({"export", yaml, "--to", "huggingface", "--out", at("back"), "--shard-size", "20KB"}).code, 0);
  for (const auto& entry : fs::directory_iterator(folder_ / "hf")) {
    const std::string name = entry.path().filename();
    if (name == "README.md") continue;
    EXPECT_EQ(read("back/" + name), read("hf/" + name)) << name;
  }
}

TEST_F(InOut, ValidateAndRunLookAtWhatTheWeightsStartFrom) {
  const std::string step = at("run/checkpoints/step-00000007");
  const std::string machine = std::string("cluster.machine=") + STOA_CONFIGS_DIRECTORY + "/machines/local.yaml";
  const auto validate = [&](const std::string& folder, const std::string& change) {
    return stoa({"validate", at("tiny.yaml"), machine, "--without-data", "training.start_from=" + folder, change});
  };
  const Said right = validate(step, "model.context_length=65");
  EXPECT_EQ(right.code, 0) << right.err;
  EXPECT_THAT(right.out, HasSubstr("start    " + step + ": step 7\n"));
  EXPECT_EQ(validate(step, "model.width=33").code, exit_code(ErrorKind::kCheckpoint));
  EXPECT_EQ(validate(at("nowhere"), "name=x").code, exit_code(ErrorKind::kCheckpoint));
  const Said run = stoa({"run", at("tiny.yaml"), machine, "run_directory=" + at("run2"), "training.start_from=" + step,
                         "model.layers=3"});
  EXPECT_EQ(run.code, exit_code(ErrorKind::kCheckpoint));
  EXPECT_THAT(run.err, HasSubstr("model.layers was 2 when"));
}

TEST_F(InOut, AnImportThatFailsLeavesNothing) {
  ASSERT_EQ(out("hf").code, 0);
  const auto refused = [&](ErrorKind kind, const std::string& says) {
    const Said said = stoa({"import", at("hf"), "--out", at("in")});
    EXPECT_EQ(said.code, exit_code(kind)) << said.err;
    EXPECT_THAT(said.err, HasSubstr(says));
    EXPECT_FALSE(fs::exists(folder_ / "in"));
    EXPECT_FALSE(fs::exists(folder_ / "in.partial"));
  };
  const std::string weights = read("hf/model.safetensors"), tokenizer = read("hf/tokenizer.json");
  trainer::write_bytes(folder_ / "hf" / "model.safetensors", weights + "x");
  refused(ErrorKind::kData, "bytes of data follow the header");
  trainer::write_bytes(folder_ / "hf" / "model.safetensors", weights);
  trainer::write_bytes(folder_ / "hf" / "tokenizer.json", "{}");
  refused(ErrorKind::kData, "tokenizer.json: ");
  fs::remove(folder_ / "hf" / "tokenizer.json");
  refused(ErrorKind::kData, "tokenizer.json: no such file");
  trainer::write_bytes(folder_ / "hf" / "tokenizer.json", tokenizer);
  trainer::write_bytes(folder_ / "hf" / "config.json", std::string(1 << 20, '['));
  refused(ErrorKind::kData, "nested deeper");
}

}  // namespace
}  // namespace stoa::launcher
