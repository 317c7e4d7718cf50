#include "stoa/trainer/interchange/transformers_config.h"

#include <algorithm>
#include <string>

#include "stoa/base/error.h"
#include "stoa/trainer/interchange/foreign_tensors.h"

namespace stoa::trainer {
namespace {

Json llama_config(const ModelSettings& m) {
  Json config = {{"model_type", m.query_key_norm ? "qwen3" : "llama"},
                 {"hidden_size", m.width},
                 {"intermediate_size", m.feed_forward_width},
                 {"num_hidden_layers", m.layers},
                 {"num_attention_heads", m.heads},
                 {"num_key_value_heads", m.key_value_heads},
                 {"head_dim", m.head_width},
                 {"hidden_act", "silu"},
                 {"max_position_embeddings", m.context_length},
                 {"rms_norm_eps", m.norm_epsilon},
                 {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", m.rope_theta}}},
                 {"rope_theta", m.rope_theta},  // where transformers before version 5 looks
                 {"attention_bias", false},
                 {"attention_dropout", 0.0}};
  if (m.query_key_norm) {
    config["use_sliding_window"] = false;
    config["sliding_window"] = nullptr;
  } else {
    config["mlp_bias"] = false;
  }
  return config;
}

Json gpt2_config(const ModelSettings& m) {
  return {{"model_type", "gpt2"},
          {"n_embd", m.width},
          {"n_inner", m.feed_forward_width},
          {"n_layer", m.layers},
          {"n_head", m.heads},
          {"n_positions", m.context_length},
          {"activation_function", "gelu_new"},
          {"layer_norm_epsilon", m.norm_epsilon},
          {"scale_attn_weights", true},
          {"resid_pdrop", m.dropout},
          {"embd_pdrop", m.dropout},
          {"attn_pdrop", m.dropout}};
}

struct Most {
  std::int64_t value;
};
constexpr Most kCount{10000}, kWidth{1 << 20}, kTokens{1 << 24};

/// Typed looks at a config; a key that is absent or null has the library's default.
class Config {
 public:
  Config(const Json& json, std::string_view place) : json_(json), place_(place) {}

  bool has(const char* key) const { return json_.is_object() && json_.contains(key) && !json_.at(key).is_null(); }
  const Json& at(const char* key) const { return json_.at(key); }

  /// Up to what an experiment may say.
  std::int64_t size(const char* key, Most most) const {
    const auto value = json_field<std::int64_t>(json_, key, place_);
    if (value < 1 || value > most.value) throw DataError("{}: '{}' is {}, not 1 to {}", place_, key, value, most.value);
    return value;
  }
  std::int64_t size(const char* key, Most most, std::int64_t absent) const {
    return has(key) ? size(key, most) : absent;
  }
  double real(const char* key, double absent) const {
    return has(key) ? json_field<double>(json_, key, place_) : absent;
  }
  bool flag(const char* key, bool absent) const { return has(key) ? json_field<bool>(json_, key, place_) : absent; }

  void refuse(const char* key, std::string_view why) const {
    throw DataError("{}: '{}' is {}: {}", place_, key,
                    json_.at(key).dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 80), why);
  }
  void refuse_true(const char* key, std::string_view why) const {
    if (flag(key, false)) refuse(key, why);
  }

 private:
  const Json& json_;
  std::string_view place_;
};

/// The base of the rotary frequencies; anything but plain rotary positions over the whole head is refused.
double rotary_base(const Json& json, std::string_view place) {
  const Config config(json, place);
  double theta = config.real("rope_theta", 10000);
  if (config.real("partial_rotary_factor", 1) != 1) config.refuse("partial_rotary_factor", "Stoa turns the whole head");
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!config.has(key)) continue;
    const Config rope(config.at(key), place);
    theta = rope.real("rope_theta", theta);
    for (const char* type : {"type", "rope_type"})
      if (rope.has(type) && rope.at(type) != "default")
        config.refuse(key, "Stoa has plain rotary positions only (default)");
    if (!config.at(key).is_object() || rope.real("partial_rotary_factor", 1) != 1 || rope.has("factor"))
      config.refuse(key, "Stoa has plain rotary positions only, over the whole head");
  }
  return theta;
}

bool is_full_attention(const Json& layer_types) {
  return layer_types.is_array() &&
         std::all_of(layer_types.begin(), layer_types.end(), [](const Json& type) { return type == "full_attention"; });
}

ModelSettings read_llama(const Json& json, std::string_view place) {
  const Config config(json, place);
  ModelSettings m{.family = ModelFamily::kLlama};
  m.query_key_norm = json.at("model_type") == "qwen3";
  m.layers = config.size("num_hidden_layers", kCount);
  m.width = config.size("hidden_size", kWidth);
  m.heads = config.size("num_attention_heads", kCount);
  m.feed_forward_width = config.size("intermediate_size", kWidth);
  // The library's own defaults, where a key is absent or null.
  const bool left_out = !json.contains("num_key_value_heads");
  m.key_value_heads = config.size("num_key_value_heads", kCount, m.query_key_norm && left_out ? 32 : m.heads);
  m.head_width = config.size("head_dim", kCount, m.query_key_norm ? 128 : m.width / m.heads);
  m.context_length = config.size("max_position_embeddings", kTokens, m.query_key_norm ? 32768 : 2048);
  m.norm_epsilon = config.real("rms_norm_eps", 1e-6);
  m.tied_embedding = config.flag("tie_word_embeddings", false);
  m.rope_theta = rotary_base(json, place);
  config.refuse_true("attention_bias", "Stoa's llama has no biases");
  config.refuse_true("mlp_bias", "Stoa's llama has no biases");
  if (config.has("hidden_act") && config.at("hidden_act") != "silu")
    config.refuse("hidden_act", "Stoa's llama computes silu");
  const bool slides = m.query_key_norm ? config.flag("use_sliding_window", false) : config.has("sliding_window");
  if (slides)
    config.refuse(m.query_key_norm ? "use_sliding_window" : "sliding_window", "Stoa attends to the whole context");
  if (config.has("layer_types") && !is_full_attention(config.at("layer_types")))
    config.refuse("layer_types", "Stoa attends to the whole context in every layer");
  return m;
}

ModelSettings read_gpt2(const Json& json, std::string_view place) {
  const Config config(json, place);
  ModelSettings m{.family = ModelFamily::kGpt2};
  m.layers = config.size("n_layer", kCount);
  m.width = config.size("n_embd", kWidth);
  m.heads = config.size("n_head", kCount);
  m.key_value_heads = m.heads;
  m.feed_forward_width = config.size("n_inner", kWidth, 4 * m.width);
  m.context_length = config.size("n_positions", kTokens, 1024);
  m.norm_epsilon = config.real("layer_norm_epsilon", 1e-5);
  m.tied_embedding = config.flag("tie_word_embeddings", true);
  if (config.has("activation_function")) {
    const Json& activation = config.at("activation_function");
    if (activation != "gelu_new" && activation != "gelu_pytorch_tanh")
      config.refuse("activation_function", "Stoa's gpt2 computes gelu_new");
  }
  if (!config.flag("scale_attn_weights", true))
    config.refuse("scale_attn_weights", "Stoa scales by 1 / sqrt(head width)");
  config.refuse_true("scale_attn_by_inverse_layer_idx", "Stoa scales all layers alike");
  config.refuse_true("add_cross_attention", "Stoa has decoders only");
  // One probability in Stoa; what the three do not agree on is left to the user.
  const double dropout = config.real("resid_pdrop", 0.1);
  if (config.real("embd_pdrop", 0.1) == dropout && config.real("attn_pdrop", 0.1) == dropout) m.dropout = dropout;
  return m;
}

}  // namespace

Json transformers_config(const ModelSettings& m, const TextEnds& ends, checkpoint::FloatType dtype) {
  const char* type = dtype == checkpoint::FloatType::kBf16 ? "bfloat16" : "float32";
  Json config = {{"architectures", {std::string(architecture_name(m))}}};
  config.update(m.family == ModelFamily::kGpt2 ? gpt2_config(m) : llama_config(m));
  config["vocab_size"] = m.vocabulary_size;
  config["tie_word_embeddings"] = m.tied_embedding.value_or(false);
  config["initializer_range"] = m.initial_std;
  config["bos_token_id"] = ends.begin;
  config["eos_token_id"] = ends.end;
  config["use_cache"] = true;
  config["dtype"] = type;
  config["torch_dtype"] = type;  // where transformers before version 5 looks
  return config;
}

ModelSettings model_from_transformers(const Json& json, std::string_view place) {
  const auto type = json_field<std::string>(json, "model_type", place);
  if (type != "llama" && type != "qwen3" && type != "gpt2")
    throw DataError("{}: 'model_type' is '{}'; llama, qwen3 and gpt2 are read", place, type.substr(0, 80));
  const Config config(json, place);
  if (config.has("quantization_config")) config.refuse("quantization_config", "quantised weights are not read");
  ModelSettings m = type == "gpt2" ? read_gpt2(json, place) : read_llama(json, place);
  m.vocabulary_size = config.size("vocab_size", kTokens);
  m.initial_std = config.real("initializer_range", 0.02);
  if (!(m.norm_epsilon > 0) || !(m.rope_theta > 0) || !(m.initial_std >= 0) || !(m.dropout >= 0) || m.dropout >= 1)
    throw DataError("{}: an epsilon, rope_theta, initializer_range or dropout is out of range", place);
  m = resolved(m);
  if (const auto wrong = check_model(m)) throw DataError("{}: {}", place, wrong->message);
  return m;
}

}  // namespace stoa::trainer
