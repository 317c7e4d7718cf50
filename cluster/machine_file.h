#pragma once
/// Reads a machine from its YAML file and finds the file by the machine's name.
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "stoa/base/yaml_file.h"
#include "stoa/cluster/machine.h"

namespace stoa::cluster {

/// ConfigError with file, line and column; the keys are the names of the fields.
MachineSettings parse_machine(const YamlFile& file);
MachineSettings read_machine(const std::filesystem::path& path);

/// The file of machine `name`: the first FOLDER/NAME.yaml that exists. A name with '/' or ending in ".yaml" is a path
/// itself. ConfigError "PLACE: ..." listing the folders where it is nowhere.
std::filesystem::path find_machine(std::string_view name, std::span<const std::filesystem::path> folders,
                                   std::string_view place);

}  // namespace stoa::cluster
