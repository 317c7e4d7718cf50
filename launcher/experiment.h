#pragma once
/// One experiment: everything a YAML file says, read, checked and written back. `stoa` and `stoa-train` read it alike.
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "stoa/base/yaml_file.h"
#include "stoa/cluster/cluster_settings.h"
#include "stoa/trainer/settings.h"

namespace stoa::launcher {

/// The sections and keys of the file have the fields' names (`parallel` holds data, pipeline, tensor beside its own).
struct Experiment {
  std::string name;
  std::string run_directory;  ///< left out: runs/NAME
  trainer::ModelSettings model;
  trainer::DataSettings data;
  trainer::TrainingSettings training;
  trainer::OptimizerSettings optimizer;
  trainer::ParallelSettings parallel;
  trainer::CheckpointSettings checkpoint;
  trainer::EvaluationSettings evaluation;
  cluster::ClusterSettings cluster;
};

/// Reads FILE, applies overrides ("training.steps=100") and checks everything that needs no other file. `model` comes
/// back resolved. ConfigError "FILE:LINE:COLUMN: ..." at the guilty key, with the arithmetic.
Experiment read_experiment(const std::filesystem::path& path, std::span<const std::string> overrides = {});
/// The same from text; `file` is changed by the overrides.
Experiment parse_experiment(YamlFile& file, std::span<const std::string> overrides = {});

/// Every key with its value; reads back to the same experiment, bit for bit.
std::string experiment_yaml(const Experiment& experiment);

/// A key whose value is not the same in two experiments. REQUIRES of differences(): both were read.
struct Difference {
  std::string key;
  std::string before;
  std::string after;
};
std::vector<Difference> differences(const Experiment& before, const Experiment& after);

}  // namespace stoa::launcher
