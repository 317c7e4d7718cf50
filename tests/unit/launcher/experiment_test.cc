#include "stoa/launcher/experiment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>

#include "stoa/base/error.h"

namespace stoa::launcher {
namespace {

constexpr const char* kGood = R"(name: small
model:
  family: llama
  layers: 3
  width: 66
  heads: 3
  vocabulary_size: 257
  context_length: 33
data:
  prefix: data/small/corpus
  tokenizer: data/small/tokenizer.json
training:
  steps: 100
  global_batch: 12
  micro_batch: 2
optimizer:
  learning_rate: 1e-3
  warmup_steps: 10
parallel:
  data: 2
)";

Experiment parse(std::string_view text, const std::vector<std::string>& overrides = {}) {
  YamlFile file = YamlFile::parse(text, "a.yaml");
  return parse_experiment(file, overrides);
}

/// kGood with one piece of text replaced.
std::string with(std::string_view old_text, std::string_view new_text) {
  std::string text = kGood;
  const std::size_t at = text.find(old_text);
  EXPECT_NE(at, std::string::npos) << old_text;
  return text.replace(at, old_text.size(), new_text);
}

std::string message_of(std::string_view text, const std::vector<std::string>& overrides = {}) {
  try {
    parse(text, overrides);
  } catch (const ConfigError& failure) {
    return failure.what();
  }
  return "no error";
}

TEST(Experiment, ReadsWhatTheFileSaysAndResolvesTheRest) {
  const Experiment experiment = parse(kGood);
  EXPECT_EQ(experiment.name, "small");
  EXPECT_EQ(experiment.run_directory, "runs/small");
  EXPECT_EQ(experiment.model.head_width, 22);
  EXPECT_EQ(experiment.model.key_value_heads, 3);
  EXPECT_EQ(experiment.model.feed_forward_width, 192);
  EXPECT_EQ(experiment.model.tied_embedding, false);
  EXPECT_EQ(experiment.optimizer.learning_rate, 1e-3);
  EXPECT_EQ(experiment.parallel.mesh.ranks(), 2);
  EXPECT_EQ(experiment.cluster.machine, "local");
}

struct Mistake {
  const char* old_text;
  const char* new_text;
  const char* message;
};

class ExperimentMistakes : public testing::TestWithParam<Mistake> {};

TEST_P(ExperimentMistakes, AreOneErrorWithThePlaceAndWhatIsExpected) {
  EXPECT_EQ(message_of(with(GetParam().old_text, GetParam().new_text)), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Yaml, ExperimentMistakes,
    testing::Values(
        Mistake{"  layers: 3", "  layes: 3",
                "a.yaml:4:3: unknown key 'model.layes'; did you mean 'layers' (a whole number from 1 to 10000)?"},
        Mistake{
            "training:", "trainning:", "a.yaml:12:1: unknown key 'trainning'; did you mean 'training' (a section)?"},
        Mistake{"  steps: 100", "  learning_rate: 1\n  steps: 100",
                "a.yaml:13:3: unknown key 'training.learning_rate'; did you mean 'optimizer.learning_rate' (a number "
                "above 0)?"},
        Mistake{"  data: 2", "  zzzzzzz: 2",
                "a.yaml:20:3: unknown key 'parallel.zzzzzzz'; known here: data, pipeline, tensor, schedule, "
                "chunks_per_stage, stage_layers, zero, threads_per_rank, deadline_s"},
        Mistake{"  layers: 3", "  layers: three",
                "a.yaml:4:11: model.layers: expected a whole number from 1 to 10000, found three"},
        Mistake{"  layers: 3", "  layers: 3.5",
                "a.yaml:4:11: model.layers: expected a whole number from 1 to 10000, found 3.5"},
        Mistake{"  layers: 3", "  layers: \"3\"",
                "a.yaml:4:11: model.layers: expected a whole number from 1 to 10000, found the string \"3\""},
        Mistake{"  layers: 3", "  layers: 0x3",
                "a.yaml:4:11: model.layers: expected a whole number from 1 to 10000, found 0x3"},
        Mistake{"  layers: 3", "  layers: [3]",
                "a.yaml:4:11: model.layers: expected a whole number from 1 to 10000, found a list"},
        Mistake{"  layers: 3",
                "  layers:", "a.yaml:4:3: model.layers: expected a whole number from 1 to 10000, found nothing"},
        Mistake{"  layers: 3", "  layers: 0",
                "a.yaml:4:11: model.layers: expected a whole number from 1 to 10000, found 0"},
        Mistake{
            "  data: 2", "  data: 2\n  stage_layers: [1, 0]",
            "a.yaml:21:21: parallel.stage_layers: expected a list, each of it a whole number from 1 to 10000, found "
            "0"},
        Mistake{
            "  data: 2", "  data: 2\n  stage_layers: 3",
            "a.yaml:21:17: parallel.stage_layers: expected a list, each of it a whole number from 1 to 10000, found "
            "3"},
        Mistake{"  data: 2", "  data: 2\n  schedule: 1f1",
                "a.yaml:21:13: parallel.schedule: expected gpipe, 1f1b, interleaved or zero_bubble, found 1f1"},
        Mistake{"  data: 2", "  data: 2\n  zero: 3", "a.yaml:21:9: parallel.zero: expected 0, 1 or 2, found 3"},
        Mistake{"  data: 2", "  data: 2\n  recompute: full",
                "a.yaml:21:3: unknown key 'parallel.recompute'; did you mean 'training.recompute' (none, selective or "
                "full)?"},
        Mistake{"  steps: 100", "  steps: 100\n  recompute: half",
                "a.yaml:14:14: training.recompute: expected none, selective or full, found half"},
        Mistake{"  layers: 3\n", "", "a.yaml:2:1: model.layers is missing: expected a whole number from 1 to 10000"},
        Mistake{"name: small\n", "", "a.yaml:1:1: name is missing: expected text"},
        Mistake{"name: small", "name: ../small",
                "a.yaml:1:7: name: expected at most 64 letters, digits, '_', '-' and '.', beginning with none of the "
                "last two"},
        Mistake{"  family: llama", "  family: lama", "a.yaml:3:11: model.family: expected llama or gpt2, found lama"},
        Mistake{"  layers: 3", "  layers: 3\n  layers: 4",
                "a.yaml:5:3: key 'layers' stands here a second time; the first is at a.yaml:4:3"},
        Mistake{"  layers: 3", "  layers: 3\n  dropout: 1",
                "a.yaml:5:12: model.dropout: expected a number at least 0 and below 1, found 1"},
        Mistake{"  layers: 3", "  layers: 3\n  dropout: nan",
                "a.yaml:5:12: model.dropout: expected a number at least 0 and below 1, found nan"},
        Mistake{"  layers: 3", "  layers: 3\n  tied_embedding: yes",
                "a.yaml:5:19: model.tied_embedding: expected true or false, found yes"},
        Mistake{"  layers: 3", "\tlayers: 3", "a.yaml:4:1: a tab indents this line; YAML is indented with spaces"},
        Mistake{"  layers: 3", "  layers: &a 3", "a.yaml:4:11: anchor &a: anchors and aliases are not read"},
        Mistake{"  layers: 3", "  layers: *a", "a.yaml:4:11: not valid YAML: the referenced anchor is not defined"},
        Mistake{"  layers: 3", "  layers: !!int 3", "a.yaml:4:11: tag tag:yaml.org,2002:int: tags are not read"},
        Mistake{"  layers: 3", "  layers: [3", "a.yaml:5:8: not valid YAML: end of sequence flow not found"},
        Mistake{"model:", "model: 7\nfoo:",
                "a.yaml:3:1: unknown key 'foo'; known here: name, run_directory, model, data, "
                "training, optimizer, parallel, checkpoint, evaluation, cluster"},
        Mistake{"parallel:\n  data: 2", "parallel: two", "a.yaml:19:11: parallel: expected a section, found two"},
        Mistake{"  prefix: data/small/corpus", "  prefix: c\n  text: book.txt",
                "a.yaml:11:9: data.text: expected a list of texts, found book.txt"}));

INSTANTIATE_TEST_SUITE_P(
    Arithmetic, ExperimentMistakes,
    testing::Values(
        Mistake{"width: 66", "width: 65",
                "a.yaml:6:10: model.width 65 is not a multiple of model.heads 3; give model.head_width"},
        Mistake{"  heads: 3", "  heads: 3\n  key_value_heads: 2",
                "a.yaml:7:20: model.heads 3 is not a multiple of model.key_value_heads 2"},
        Mistake{"  heads: 3", "  heads: 3\n  head_width: 21",
                "a.yaml:7:15: model.head_width 21 is odd; rotary positions turn pairs"},
        Mistake{"family: llama", "family: gpt2\n  query_key_norm: true",
                "a.yaml:4:19: model.query_key_norm is offered for model.family llama only"},
        Mistake{"vocabulary_size: 257", "vocabulary_size: 256",
                "a.yaml:7:20: model.vocabulary_size 256 is below 257: the tokenizer has 256 bytes and the end of text"},
        Mistake{"global_batch: 12", "global_batch: 13",
                "a.yaml:14:17: training.global_batch 13 is not a multiple of training.micro_batch 2 x parallel.data 2 "
                "= 4: 12 "
                "or 16 would do"},
        Mistake{"  micro_batch: 2", "  micro_batch: 2\n  deterministic: true",
                "a.yaml:16:18: training.deterministic: training.global_batch 12 / (training.micro_batch 2 x "
                "parallel.data 2) = 3 "
                "micro-batches a rank, and only a power of two of them is a whole part of the summation tree: "
                "training.global_batch 8 or 16 would do; of 2 ranks, data 1 x pipeline 2 x tensor 1 works"},
        Mistake{"  data: 2", "  data: 2\n  tensor: 2",
                "a.yaml:21:11: parallel.tensor 2 does not divide model.heads 3: 1 or 3 do; of 4 ranks, data 2 x "
                "pipeline 2 x tensor 1 works"},
        Mistake{"  data: 2", "  data: 2\n  pipeline: 4",
                "a.yaml:21:13: parallel.pipeline 4 x parallel.chunks_per_stage 1 = 4 chunks are more than model.layers "
                "3: 3 would do"},
        Mistake{"  data: 2", "  data: 2\n  schedule: interleaved",
                "a.yaml:21:13: parallel.schedule interleaved needs more than the parallel.chunks_per_stage 1: 2 is the "
                "least; with one chunk a stage it is 1f1b"},
        Mistake{"  data: 2", "  data: 2\n  chunks_per_stage: 2",
                "a.yaml:21:21: parallel.chunks_per_stage 2 is for parallel.schedule interleaved alone: set it to 1, or "
                "parallel.schedule to interleaved"},
        Mistake{"  data: 2", "  pipeline: 2\n  stage_layers: [2, 2]",
                "a.yaml:21:17: parallel.stage_layers 2 + 2 = 4, but model.layers is 3: [1, 2] would do"},
        Mistake{"warmup_steps: 10", "warmup_steps: 100",
                "a.yaml:18:17: optimizer.warmup_steps 100 leaves no step of training.steps 100 at full rate"},
        Mistake{"warmup_steps: 10", "warmup_steps: 10\n  schedule: warmup_stable_decay\n  decay_fraction: 0.95",
                "a.yaml:20:19: optimizer.warmup_steps 10 + optimizer.decay_fraction 0.95 x training.steps 100 = 105 "
                "steps, more "
                "than there are"},
        Mistake{"steps: 100\n  global_batch: 12\n", "steps: 1e9\n  global_batch: 16777216\n", "no error"}));

TEST(Experiment, OverridesStandOnTheCommandLineInMessages) {
  EXPECT_EQ(
      parse(kGood, {"training.steps=1e3", "model.tied_embedding=true", "data.text=[a.txt, b.txt]"}).training.steps,
      1000);
  EXPECT_EQ(
      message_of(kGood, {"training.steps=many"}),
      "command line: training.steps=many: training.steps: expected a whole number from 1 to 1000000000, found many");
  EXPECT_EQ(
      message_of(kGood, {"training.stepps=5"}),
      "command line: training.stepps=5: unknown key 'training.stepps'; did you mean 'steps' (a whole number from 1 to "
      "1000000000)?");
  EXPECT_EQ(
      message_of(kGood, {"training.global_batch=9"}),
      "command line: training.global_batch=9: training.global_batch 9 is not a multiple of training.micro_batch 2 x "
      "parallel.data 2 = 4: 8 or 12 would do");
  EXPECT_EQ(message_of(kGood, {"name.first=x"}),
            "command line: name.first=x: 'name' is a value, not a section (a.yaml:1:7)");
  EXPECT_EQ(message_of(kGood, {"steps"}),
            "command line: steps: expected key.path=value, for instance training.steps=100");
  EXPECT_EQ(message_of(kGood, {"training..steps=1"}),
            "command line: training..steps=1: an empty name in the path of keys");
}

TEST(Experiment, ReadsHowWorkIsSplit) {
  const Experiment experiment =
      parse(kGood, {"parallel.pipeline=2", "parallel.stage_layers=[2, 1]", "parallel.schedule=zero_bubble",
                    "parallel.zero=2", "training.recompute=selective"});
  EXPECT_EQ(experiment.parallel.mesh.ranks(), 4);
  EXPECT_EQ(experiment.parallel.stage_layers, (std::vector<std::int64_t>{2, 1}));
  EXPECT_EQ(experiment.parallel.schedule, parallel::PipelineKind::kZeroBubble);
  EXPECT_EQ(experiment.parallel.zero, trainer::Zero::kGradients);
  EXPECT_EQ(experiment.training.recompute, trainer::Recompute::kSelective);
  const Experiment interleaved = parse(kGood, {"model.layers=4", "parallel.pipeline=2", "parallel.chunks_per_stage=2",
                                               "parallel.schedule=interleaved", "training.global_batch=8"});
  EXPECT_EQ(interleaved.parallel.chunks_per_stage, 2);
  EXPECT_EQ(interleaved.parallel.schedule, parallel::PipelineKind::kInterleaved);
}

TEST(Experiment, WritesItselfBackBitForBit) {
  Experiment before = parse(kGood);
  before.optimizer.learning_rate = std::bit_cast<double>(0x3f50624dd2f1a9fdULL);
  before.optimizer.epsilon = 5e-324;
  before.model.rope_theta = 1.7976931348623157e308;
  before.training.seed = ~std::uint64_t{0};
  before.data.text = {"a \"b\"\\c.txt", "true", "7", "caf\xc3\xa9: #x\n", ""};
  before.data.text.pop_back();
  before.cluster.machine = "null";
  before.parallel.mesh = {.data = 2, .pipeline = 2, .tensor = 3};
  before.parallel.stage_layers = {1, 2};
  before.parallel.schedule = parallel::PipelineKind::kGpipe;
  before.parallel.zero = trainer::Zero::kOptimizer;
  before.training.recompute = trainer::Recompute::kFull;
  const std::string yaml = experiment_yaml(before);
  const Experiment after = parse(yaml);
  EXPECT_EQ(experiment_yaml(after), yaml);
  EXPECT_EQ(after.optimizer.learning_rate, before.optimizer.learning_rate);
  EXPECT_EQ(after.optimizer.epsilon, before.optimizer.epsilon);
  EXPECT_EQ(after.model.rope_theta, before.model.rope_theta);
  EXPECT_EQ(after.training.seed, before.training.seed);
  EXPECT_EQ(after.data.text, before.data.text);
  EXPECT_EQ(after.cluster.machine, "null");
  EXPECT_EQ(after.parallel.mesh, before.parallel.mesh);
  EXPECT_EQ(after.parallel.stage_layers, before.parallel.stage_layers);
  EXPECT_EQ(after.parallel.schedule, before.parallel.schedule);
  EXPECT_EQ(after.parallel.zero, before.parallel.zero);
  EXPECT_EQ(after.training.recompute, before.training.recompute);
}

TEST(Experiment, NamesTheKeysInWhichTwoDiffer) {
  const std::vector<Difference> found =
      differences(parse(kGood), parse(kGood, {"training.steps=200", "data.text=[x]"}));
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].key + ": " + found[0].before + " -> " + found[0].after, "data.text: [] -> [x]");
  EXPECT_EQ(found[1].key + ": " + found[1].before + " -> " + found[1].after, "training.steps: 100 -> 200");
}

}  // namespace
}  // namespace stoa::launcher
