/// Any bytes as an experiment, a machine file or an override: read, or one ConfigError; what was read writes back to
/// itself.
#include <cstdlib>

#include "stoa/base/error.h"
#include "stoa/cluster/machine_file.h"
#include "stoa/launcher/experiment.h"
#include "stoa/tests/fuzz/fuzz_target.h"

namespace {

using namespace stoa;

constexpr const char* kExperiment =
    "name: a\nmodel:\n  family: llama\n  layers: 3\n  width: 66\n  heads: 3\n  vocabulary_size: 257\n  context_length: "
    "33\n"
    "data: {prefix: p, tokenizer: \"t\\n\", text: [a, 'b c']}\n"
    "training: {steps: 1e2, global_batch: 12, micro_batch: 2, spike: {window: 9}}\n"
    "optimizer:\n  learning_rate: 1.5e-3\n  schedule: warmup_stable_decay # words\nparallel: {data: 2}\n";

constexpr const char* kMachine =
    "name: m\ndescription: d\nnode: {processors: 2, memory_gib: 23}\n"
    "rate: {resource: core, price: 0.015, currency: EUR, source: s}\n"
    "power: {idle_w: {value: 1, source: s}, busy_w: {value: 2, source: s}, pue: {value: 1.1, source: s}}\n"
    "grid_g_per_kwh: {value: 210, source: s}\npeak_fp32_gflops: {value: 0, source: s}\npeak_bf16_gflops: {value: 0, "
    "source: s}\n";

void read_as_experiment(std::string_view text) {
  YamlFile file = YamlFile::parse(text, "fuzz.yaml");
  const std::string yaml = launcher::experiment_yaml(launcher::parse_experiment(file));
  YamlFile again = YamlFile::parse(yaml, "written.yaml");
  if (launcher::experiment_yaml(launcher::parse_experiment(again)) != yaml) std::abort();
}

template <typename Read>
void refuse_or_read(Read&& read) {
  try {
    read();
  } catch (const ConfigError&) {
  }
}

}  // namespace

std::vector<std::string> stoa::fuzz::seeds() {
  return {kExperiment, kMachine, "training.steps=100", "data.text=[a, b]"};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  refuse_or_read([&] { read_as_experiment(text); });
  refuse_or_read([&] { cluster::parse_machine(YamlFile::parse(text, "fuzz.yaml")); });
  refuse_or_read([&] {
    YamlFile file = YamlFile::parse(kExperiment, "a.yaml");
    const std::string assignment(text);
    launcher::parse_experiment(file, {&assignment, 1});
  });
  return 0;
}
