#include "stoa/trainer/model/identity.h"

#include "stoa/base/error.h"

namespace stoa::trainer {

Json model_identity(const ModelSettings& model) {
  return {{"family", model.family == ModelFamily::kGpt2 ? "gpt2" : "llama"},
          {"layers", model.layers},
          {"width", model.width},
          {"heads", model.heads},
          {"key_value_heads", model.key_value_heads},
          {"head_width", model.head_width},
          {"feed_forward_width", model.feed_forward_width},
          {"vocabulary_size", model.vocabulary_size},
          {"context_length", model.context_length},
          {"norm_epsilon", model.norm_epsilon},
          {"rope_theta", model.rope_theta},
          {"query_key_norm", model.query_key_norm},
          {"tied_embedding", model.tied_embedding.value_or(false)}};
}

void require_same_identity(const Json& saved, const Json& now, const std::string& place) {
  for (const auto& [key, value] : now.items()) {
    const Json before = saved.is_object() && saved.contains(key) ? saved.at(key) : Json();
    if (value.is_object())
      require_same_identity(before, value, place + "." + key);
    else if (before != value)
      throw CheckpointError("{}.{} was {} when this checkpoint was made, and is {} now", place, key, before.dump(),
                            value.dump());
  }
}

}  // namespace stoa::trainer
