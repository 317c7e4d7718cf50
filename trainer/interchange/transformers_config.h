#pragma once
/// config.json of the transformers library, to and from Stoa's settings.
#include <cstdint>
#include <string_view>

#include "stoa/base/json.h"
#include "stoa/checkpoint/safetensors_values.h"
#include "stoa/trainer/settings.h"

namespace stoa::trainer {

/// The ids of a tokenizer that begin and end a text; in GPT-2's style they are one.
struct TextEnds {
  std::int32_t begin;
  std::int32_t end;
};

/// REQUIRES: check_expressible found nothing.
Json transformers_config(const ModelSettings& resolved_model, const TextEnds& ends, checkpoint::FloatType dtype);

/// The model that a config.json of LlamaForCausalLM, Qwen3ForCausalLM or GPT2LMHeadModel describes, resolved, with the
/// library's defaults for what it leaves out. DataError "PLACE: ..." naming the key where it is of another kind or asks
/// for what Stoa does not compute: another rotary scaling, sliding windows, biases, another activation, quantisation.
ModelSettings model_from_transformers(const Json& config, std::string_view place);

}  // namespace stoa::trainer
