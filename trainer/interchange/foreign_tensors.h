#pragma once
/// The tensors of a model as the transformers library of Hugging Face names and shapes them, and which of Stoa's
/// parameters each is made of. Pure: settings to names.
///
///   llama                    LlamaForCausalLM
///   llama, query_key_norm    Qwen3ForCausalLM
///   gpt2                     GPT2LMHeadModel, whose products are stored transposed, query, key and value as one
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/trainer/settings.h"

namespace stoa::trainer {

enum class Storage {
  kAsIs,
  kTransposed,  ///< the file holds [inputs, outputs], Stoa [outputs, inputs]
};

/// The parts are joined along their first dim, then stored as `storage` says.
struct ForeignTensor {
  struct Part {
    std::string parameter;  ///< "layers.0.attention.query.weight"
    std::vector<std::int64_t> shape;
  };
  std::string name;                 ///< "transformer.h.0.attn.c_attn.weight"
  std::vector<std::int64_t> shape;  ///< in the file
  std::vector<Part> parts;
  Storage storage = Storage::kAsIs;
};

/// "LlamaForCausalLM", "Qwen3ForCausalLM", "GPT2LMHeadModel".
std::string_view architecture_name(const ModelSettings& resolved_model);

/// What that architecture cannot express of this model, or nothing.
std::optional<Impossible> check_expressible(const ModelSettings& resolved_model);

/// Every tensor of a file, in the order in which the model computes; each parameter is part of exactly one. A tied head
/// is no tensor of its own. REQUIRES: check_expressible found nothing.
std::vector<ForeignTensor> foreign_tensors(const ModelSettings& resolved_model);

/// What those names begin with; models saved without their head lack it.
std::string_view foreign_prefix(const ModelSettings& resolved_model);
/// The name of an untied head.
inline constexpr std::string_view kForeignHead = "lm_head.weight";
/// Whether other versions store under this name what a model does not learn: causal masks, rotary frequencies.
bool is_foreign_constant(std::string_view name);

}  // namespace stoa::trainer
