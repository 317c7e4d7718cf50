/// Mixtures in an experiment: what is read, what is refused, what a difference is called.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stoa/base/error.h"
#include "stoa/launcher/experiment.h"

namespace stoa::launcher {
namespace {

constexpr const char* kMixture = R"(name: small
model: {layers: 3, width: 66, heads: 3, vocabulary_size: 257, context_length: 33}
data:
  tokenizer: t.json
  sources:
  - {name: wiki, prefix: data/wiki, text: [wiki.txt], weight: 0.7, max_epochs: 4}
  - {name: code, prefix: data/code, weight: 0.3}
  stages:
  - from_step: 40
    weights: [{source: code, weight: 1}]
  - {from_step: 60}
training: {steps: 100, global_batch: 12}
optimizer: {learning_rate: 1e-3}
)";

Experiment parse(std::string_view text) {
  YamlFile file = YamlFile::parse(text, "a.yaml");
  return parse_experiment(file);
}

std::string with(std::string_view old_text, std::string_view new_text) {
  std::string text = kMixture;
  const std::size_t at = text.find(old_text);
  EXPECT_NE(at, std::string::npos) << old_text;
  return text.replace(at, old_text.size(), new_text);
}

TEST(MixtureExperiment, ReadsSourcesAndStagesAndWritesThemBack) {
  const Experiment experiment = parse(kMixture);
  ASSERT_EQ(experiment.data.sources.size(), 2U);
  EXPECT_EQ(experiment.data.sources[0].max_epochs, 4);
  EXPECT_EQ(experiment.data.sources[1].weight, 0.3);
  EXPECT_THAT(weights_of(experiment.data, nullptr), testing::ElementsAre(0.7, 0.3));
  EXPECT_THAT(weights_of(experiment.data, &experiment.data.stages[0]), testing::ElementsAre(0.7, 1));
  EXPECT_THAT(weights_of(experiment.data, &experiment.data.stages[1]), testing::ElementsAre(0.7, 0.3));
  const std::string yaml = experiment_yaml(experiment);
  EXPECT_EQ(experiment_yaml(parse(yaml)), yaml);
  EXPECT_TRUE(differences(experiment, parse(yaml)).empty());
}

TEST(MixtureExperiment, ADifferenceIsNamedByItsPlaceInTheList) {
  const auto changed = differences(parse(kMixture), parse(with("weight: 0.3", "weight: 0.4")));
  ASSERT_EQ(changed.size(), 1U);
  EXPECT_EQ(changed[0].key, "data.sources[1].weight");
  EXPECT_EQ(changed[0].before, "0.3");
  EXPECT_EQ(changed[0].after, "0.4");
  const auto shorter = differences(parse(kMixture), parse(with("  - {from_step: 60}\n", "")));
  ASSERT_EQ(shorter.size(), 2U);
  EXPECT_EQ(shorter[0].key, "data.stages[1].from_step");
  EXPECT_EQ(shorter[0].after, "absent");
}

struct Mistake {
  const char* old_text;
  const char* new_text;
  const char* message;
};

class MixtureMistakes : public testing::TestWithParam<Mistake> {};

TEST_P(MixtureMistakes, AreOneErrorWithThePlace) {
  try {
    parse(with(GetParam().old_text, GetParam().new_text));
    FAIL() << "read";
  } catch (const ConfigError& failure) {
    EXPECT_STREQ(failure.what(), GetParam().message);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, MixtureMistakes,
    testing::Values(
        Mistake{"name: code", "name: wiki",
                "a.yaml:7:12: data.sources[1].name wiki is the name of data.sources[0] too"},
        Mistake{
            "prefix: data/code", "prefix: data/wiki",
            "a.yaml:7:26: data.sources[1].prefix data/wiki is the data set of wiki too: give that one both weights"},
        Mistake{", weight: 0.3", "",
                "a.yaml:7:5: data.sources[1].weight is missing: expected a number at least 0 and at "
                "most 1000000000"},
        Mistake{"  tokenizer: t.json", "  tokenizer: t.json\n  prefix: data/all",
                "a.yaml:5:11: data.prefix names one data set and data.sources a mixture: give one of the two"},
        Mistake{"  tokenizer: t.json", "  tokenizer: t.json\n  text: [a]",
                "a.yaml:5:9: data.text stands beside data.sources: give each source its own text"},
        Mistake{"source: code, weight: 1", "source: cod, weight: 1",
                "a.yaml:10:24: data.stages[0].weights[0].source cod is the name of none of data.sources"},
        Mistake{"{from_step: 60}", "{from_step: 40}",
                "a.yaml:11:17: data.stages[1].from_step 40 is not after 40, where the stage before begins"},
        Mistake{"{from_step: 60}", "{from_step: 100}",
                "a.yaml:11:17: data.stages[1].from_step 100 is never reached: training.steps is 100"},
        Mistake{"[{source: code, weight: 1}]", "[{source: code, weight: 0}, {source: wiki, weight: 0}]",
                "a.yaml:9:5: data.stages[0]: the weights of all sources are 0 in it"},
        Mistake{"[{source: code, weight: 1}]", "[{source: code, weight: 0}, {source: code, weight: 2}]",
                "a.yaml:10:51: data.stages[0].weights[1].source code has a weight in this stage already"},
        Mistake{"name: code", "name: a/b",
                "a.yaml:7:12: data.sources[1].name: expected at most 64 letters, digits, '_', '-' and '.', beginning "
                "with none of the last two"},
        Mistake{
            "weight: 0.3", "wieght: 0.3",
            "a.yaml:7:37: unknown key 'data.sources[1].wieght'; did you mean 'weight' (a number at least 0 and at most "
            "1000000000)?"}),
    [](const auto& tested) { return fmt::format("case{}", tested.index); });

}  // namespace
}  // namespace stoa::launcher
