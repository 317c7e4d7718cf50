/// Every file in configs/ is right, and the real models have their published sizes.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/cluster/machine_file.h"
#include "stoa/launcher/experiment.h"
#include "stoa/launcher/machine_choice.h"

namespace stoa::launcher {
namespace {

const std::filesystem::path kConfigs = STOA_CONFIGS_DIRECTORY;

std::vector<std::filesystem::path> yaml_files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  return files;
}

TEST(Configs, EveryExperimentIsRightAndNamesAMachineThatIsThere) {
  const auto files = yaml_files(kConfigs);
  EXPECT_GE(files.size(), 6U);
  for (const auto& file : files) {
    SCOPED_TRACE(file);
    const Experiment experiment = read_experiment(file);
    EXPECT_EQ(experiment.name, file.stem());
    EXPECT_EQ(machine_file(experiment, file), kConfigs / "machines" / (experiment.cluster.machine + ".yaml"));
    YamlFile written = YamlFile::parse(experiment_yaml(experiment), "written");
    EXPECT_EQ(experiment_yaml(parse_experiment(written)), experiment_yaml(experiment));
  }
}

TEST(Configs, EveryMachineIsRight) {
  const auto files = yaml_files(kConfigs / "machines");
  EXPECT_GE(files.size(), 3U);
  for (const auto& file : files) {
    SCOPED_TRACE(file);
    EXPECT_EQ(cluster::read_machine(file).name, file.stem());
  }
}

std::int64_t parameters_of(const char* config) { return parameter_count(read_experiment(kConfigs / config).model); }

TEST(Configs, RealModelsHaveTheirPublishedSizes) {
  EXPECT_EQ(parameters_of("gpt2_124m.yaml"), 124'439'808);
  EXPECT_EQ(parameters_of("llama_1b.yaml"), 1'100'048'384);
  EXPECT_EQ(parameters_of("llama_7b.yaml"), 6'738'415'616);
  EXPECT_EQ(parameters_of("llama_70b.yaml"), 68'976'648'192);
  EXPECT_GE(parameters_of("quickstart.yaml"), 4'000'000);
  EXPECT_LE(parameters_of("quickstart.yaml"), 10'000'000);
}

TEST(Configs, TheMixtureHasTwoSourcesTwoStagesAndMaskedDocuments) {
  const trainer::DataSettings data = read_experiment(kConfigs / "mixture.yaml").data;
  ASSERT_EQ(data.sources.size(), 2U);
  ASSERT_EQ(data.stages.size(), 1U);
  EXPECT_TRUE(data.mask_documents);
  EXPECT_TRUE(data.reset_positions);
  EXPECT_EQ(trainer::weights_of(data, &data.stages[0]), (std::vector<double>{0.9, 0.6}));
}

TEST(Configs, FlopsOfATokenAreSixForAProductParameterAndCausalAttentionOnce) {
  const trainer::ModelSettings gpt2 = read_experiment(kConfigs / "gpt2_124m.yaml").model;
  const std::int64_t matrices = 12 * 12 * 768 * 768 + 50257 * 768;
  EXPECT_EQ(product_parameter_count(gpt2), matrices);
  EXPECT_EQ(training_flops_per_token(gpt2), 6.0 * static_cast<double>(matrices) + 6.0 * 12 * 768 * 1024);
}

std::string refusal(std::string_view changed, std::string_view into) {
  std::string text = read_text_file(kConfigs / "machines/juwels_booster.yaml");
  const std::size_t at = text.find(changed);
  EXPECT_NE(at, std::string::npos);
  text.replace(at, changed.size(), into);
  try {
    cluster::parse_machine(YamlFile::parse(text, "m.yaml"));
  } catch (const ConfigError& failure) {
    return failure.what();
  }
  return "read";
}

TEST(MachineFile, RefusesWhatNoMachineIs) {
  EXPECT_EQ(refusal("value: 1.1", "value: 0.9"),
            "m.yaml:26:12: power.pue 0.9 is below 1: a site draws at least what its machines draw");
  EXPECT_EQ(refusal("value: 1885", "value: 100"), "m.yaml:23:12: power.busy_w 100 is below power.idle_w 600");
  EXPECT_EQ(refusal("accelerators: 4", "accelerators: 0"),
            "m.yaml:13:13: rate.resource accelerator, but node.accelerators is 0");
  EXPECT_EQ(refusal("resource: accelerator", "resource: gpu"),
            "m.yaml:13:13: rate.resource: expected core or accelerator, found gpu");
}

TEST(MachineFile, IsLookedForByNameAndOneThatIsNowhereIsNamed) {
  const std::filesystem::path folders[] = {"/nowhere", kConfigs / "machines"};
  EXPECT_EQ(cluster::find_machine("local", folders, "a.yaml"), kConfigs / "machines/local.yaml");
  EXPECT_EQ(cluster::find_machine("x/y.yaml", folders, "a.yaml"), "x/y.yaml");
  EXPECT_THROW(cluster::find_machine("lokal", folders, "a.yaml"), ConfigError);
}

}  // namespace
}  // namespace stoa::launcher
