#pragma once
/// The recipe of a curation: a YAML file like an experiment, strict in the same way (unknown keys are errors with line,
/// column and the nearest key). `steps` is a list in the order in which the steps run; each item says `step: NAME` and
/// has the keys of that step.
#include <filesystem>
#include <span>
#include <string>

#include "stoa/base/yaml_file.h"
#include "stoa/trainer/curation/curation_settings.h"

namespace stoa::launcher {

/// Overrides are assignments to keys outside of lists: "output=curated", "samples=9". ConfigError
/// with the place where anything is wrong. sources.files are as given: patterns are not yet resolved.
trainer::CurationSettings parse_recipe(YamlFile& file, std::span<const std::string> overrides = {});
trainer::CurationSettings read_recipe(const std::filesystem::path& path, std::span<const std::string> overrides = {});

/// Every key with its value; reads back to the same settings.
std::string recipe_yaml(const trainer::CurationSettings& settings);

}  // namespace stoa::launcher
