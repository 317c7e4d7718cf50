#pragma once
/// Small models of every kind and the shares of all ranks of every mesh that can hold them.
#include <algorithm>
#include <string>
#include <vector>

#include "stoa/tests/unit/trainer/model_cases.h"
#include "stoa/trainer/model/parameter_table.h"

namespace stoa::trainer {

/// Both families, tied and not, 6 and 8 heads, fewer key-value heads than heads. The other dims divide by no mesh.
inline std::vector<ModelSettings> models_to_share() {
  std::vector<ModelSettings> models;
  for (const ModelFamily family : {ModelFamily::kLlama, ModelFamily::kGpt2})
    for (const bool tied : {false, true})
      for (const int heads : {6, 8}) {
        ModelSettings model = family == ModelFamily::kLlama ? small_llama() : small_gpt2();
        model.layers = 9;
        model.heads = heads;
        model.key_value_heads = 2;
        model.head_width = 4;
        model.width = 13;
        model.context_length = 9;
        model.tied_embedding = tied;
        models.push_back(model);
      }
  return models;
}

struct MeshShares {
  std::string name;
  ParallelSettings parallel;
  std::vector<ParameterTable> tables;  ///< stage by stage, of each its tensor ranks
};

/// Tensor 1 to 8 by stages 1 to 4 by one or two chunks, as check_training lets pass.
inline std::vector<MeshShares> meshes_of(const ModelSettings& model) {
  std::vector<MeshShares> meshes;
  for (int tensor = 1; tensor <= 8; ++tensor)
    for (int stages = 1; stages <= 4; ++stages)
      for (int chunks = 1; chunks <= (stages > 1 ? 2 : 1); ++chunks) {
        MeshShares mesh;
        mesh.parallel.mesh = {.data = 1, .pipeline = stages, .tensor = tensor};
        mesh.parallel.chunks_per_stage = chunks;
        if (chunks > 1) mesh.parallel.schedule = parallel::PipelineKind::kInterleaved;
        if (check_training(model, {.steps = 1, .global_batch = 12}, mesh.parallel, {})) continue;
        mesh.name = "tensor " + std::to_string(tensor) + ", pipeline " + std::to_string(stages) + ", chunks " +
                    std::to_string(chunks) + (*model.tied_embedding ? ", tied" : "");
        for (int stage = 0; stage < stages; ++stage)
          for (int index = 0; index < tensor; ++index)
            mesh.tables.push_back(make_parameter_table(model, model_share(model, mesh.parallel, {0, stage, index})));
        meshes.push_back(std::move(mesh));
      }
  return meshes;
}

}  // namespace stoa::trainer
