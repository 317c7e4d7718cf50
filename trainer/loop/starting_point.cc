#include "stoa/trainer/loop/starting_point.h"

#include <algorithm>

#include "stoa/base/error.h"
#include "stoa/checkpoint/piece_loading.h"
#include "stoa/checkpoint/tensor_json.h"
#include "stoa/trainer/model/identity.h"
#include "stoa/trainer/model/parameter_pieces.h"

namespace stoa::trainer {
namespace {

using checkpoint::GlobalTensor;

void require_tensors(const checkpoint::Manifest& manifest, const ParameterTable& table, const std::string& place) {
  for (const Parameter& parameter : table.parameters) {
    const std::string name = "parameters/" + parameter.name;
    const auto found = std::lower_bound(manifest.tensors.begin(), manifest.tensors.end(), name,
                                        [](const GlobalTensor& a, const std::string& b) { return a.name < b; });
    if (found == manifest.tensors.end() || found->name != name)
      throw CheckpointError("{}: has no tensor {}, which this model needs", place, name);
    if (found->shape != parameter.shape)
      throw CheckpointError("{}: tensor {} has shape {}, but this model needs {}", place, name,
                            checkpoint::describe_shape(found->shape), checkpoint::describe_shape(parameter.shape));
  }
}

checkpoint::Manifest checked_manifest(const std::filesystem::path& folder, const ParameterTable& table) {
  checkpoint::Manifest manifest = checkpoint::read_manifest(folder);
  require_startable(manifest.state, table.model, folder.string());
  require_tensors(manifest, table, folder.string());
  return manifest;
}

}  // namespace

void require_startable(const Json& state, const ModelSettings& model, const std::string& place) {
  if (!state.is_object() || !state.contains("identity") || !state.at("identity").is_object()) return;
  Json now = model_identity(model);
  if (model.family == ModelFamily::kLlama) now.erase("context_length");
  require_same_identity({{"model", state.at("identity").value("model", Json())}}, {{"model", now}}, place);
}

StartingPoint check_start(const std::filesystem::path& folder, const ParameterTable& table) {
  return {checked_manifest(folder, table).step, checkpoint::manifest_digest(folder)};
}

StartingPoint load_start(const std::filesystem::path& folder, const ParameterTable& table, std::span<float> masters,
                         std::span<const parallel::Slice> ranges) {
  const checkpoint::Manifest manifest = checked_manifest(folder, table);
  checkpoint::load_pieces(folder, manifest, pieces_to_load(table, "parameters", masters, ranges));
  return {manifest.step, checkpoint::manifest_digest(folder)};
}

}  // namespace stoa::trainer
