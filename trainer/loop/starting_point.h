#pragma once
/// The weights that a fresh run begins with, from a checkpoint of an import or of another run.
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "stoa/checkpoint/manifest.h"
#include "stoa/trainer/model/parameter_table.h"

namespace stoa::trainer {

struct StartingPoint {
  std::int64_t step = 0;
  std::string digest;  ///< of its manifest
};

/// Looks at the manifest alone. CheckpointError where `folder` is no checkpoint or not one of this model, naming the
/// first setting or tensor that differs. What an embedding of positions does not fix, the context of a llama, may
/// differ.
StartingPoint check_start(const std::filesystem::path& folder, const ParameterTable& table);

/// The same, and fills `ranges` of `masters` with the parameters: every chunk verified, moments not read. One rank
/// alone.
StartingPoint load_start(const std::filesystem::path& folder, const ParameterTable& table, std::span<float> masters,
                         std::span<const parallel::Slice> ranges);

/// CheckpointError where the checkpoint's state tells of a model that computes something else.
void require_startable(const Json& state, const ModelSettings& resolved_model, const std::string& place);

}  // namespace stoa::trainer
