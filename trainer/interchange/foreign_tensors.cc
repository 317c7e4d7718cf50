#include "stoa/trainer/interchange/foreign_tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <unordered_map>

#include "stoa/base/error.h"
#include "stoa/trainer/model/parameter_table.h"

namespace stoa::trainer {
namespace {

/// `foreign` in a layer, made of `parameters` of that layer.
struct Rule {
  const char* foreign;
  std::vector<const char*> parameters;
  Storage storage = Storage::kAsIs;
};

const std::vector<Rule>& llama_rules() {
  static const std::vector<Rule> kRules = {
      {"input_layernorm.weight", {"attention_norm.weight"}},
      {"self_attn.q_proj.weight", {"attention.query.weight"}},
      {"self_attn.k_proj.weight", {"attention.key.weight"}},
      {"self_attn.v_proj.weight", {"attention.value.weight"}},
      {"self_attn.q_norm.weight", {"attention.query_norm.weight"}},
      {"self_attn.k_norm.weight", {"attention.key_norm.weight"}},
      {"self_attn.o_proj.weight", {"attention.output.weight"}},
      {"post_attention_layernorm.weight", {"feed_forward_norm.weight"}},
      {"mlp.gate_proj.weight", {"feed_forward.gate.weight"}},
      {"mlp.up_proj.weight", {"feed_forward.up.weight"}},
      {"mlp.down_proj.weight", {"feed_forward.down.weight"}},
  };
  return kRules;
}

const std::vector<Rule>& gpt2_rules() {
  static const std::vector<Rule> kRules = {
      {"ln_1.weight", {"attention_norm.weight"}},
      {"ln_1.bias", {"attention_norm.bias"}},
      {"attn.c_attn.weight",
       {"attention.query.weight", "attention.key.weight", "attention.value.weight"},
       Storage::kTransposed},
      {"attn.c_attn.bias", {"attention.query.bias", "attention.key.bias", "attention.value.bias"}},
      {"attn.c_proj.weight", {"attention.output.weight"}, Storage::kTransposed},
      {"attn.c_proj.bias", {"attention.output.bias"}},
      {"ln_2.weight", {"feed_forward_norm.weight"}},
      {"ln_2.bias", {"feed_forward_norm.bias"}},
      {"mlp.c_fc.weight", {"feed_forward.up.weight"}, Storage::kTransposed},
      {"mlp.c_fc.bias", {"feed_forward.up.bias"}},
      {"mlp.c_proj.weight", {"feed_forward.down.weight"}, Storage::kTransposed},
      {"mlp.c_proj.bias", {"feed_forward.down.bias"}},
  };
  return kRules;
}

class ForeignNames {
 public:
  explicit ForeignNames(const ModelSettings& model) : table_(make_parameter_table(model)) {
    for (const Parameter& parameter : table_.parameters) by_name_.emplace(parameter.name, &parameter);
  }

  /// Leaves out what the model does not have: query and key norms.
  void add(const std::string& name, std::span<const std::string> parameters, Storage storage) {
    ForeignTensor tensor{.name = name, .storage = storage};
    for (const std::string& wanted : parameters) {
      const auto found = by_name_.find(wanted);
      if (found == by_name_.end()) return;
      tensor.parts.push_back({wanted, found->second->shape});
    }
    tensor.shape = tensor.parts[0].shape;
    tensor.shape[0] = 0;
    for (const ForeignTensor::Part& part : tensor.parts) tensor.shape[0] += part.shape[0];
    if (storage == Storage::kTransposed) std::swap(tensor.shape[0], tensor.shape[1]);
    used_ += tensor.parts.size();
    tensors_.push_back(std::move(tensor));
  }
  void add(const std::string& name, const std::string& parameter) {
    add(name, std::span(&parameter, 1), Storage::kAsIs);
  }

  std::vector<ForeignTensor> take() {
    if (used_ != table_.parameters.size())
      throw InternalError("{} of {} parameters have a name of transformers", used_, table_.parameters.size());
    return std::move(tensors_);
  }

 private:
  ParameterTable table_;
  std::unordered_map<std::string_view, const Parameter*> by_name_;
  std::vector<ForeignTensor> tensors_;
  std::size_t used_ = 0;
};

void add_layers(ForeignNames& names, const std::string& prefix, std::int64_t layers, const std::vector<Rule>& rules) {
  for (std::int64_t layer = 0; layer < layers; ++layer)
    for (const Rule& rule : rules) {
      std::vector<std::string> parameters;
      for (const char* parameter : rule.parameters) parameters.push_back(fmt::format("layers.{}.{}", layer, parameter));
      names.add(fmt::format("{}{}.{}", prefix, layer, rule.foreign), parameters, rule.storage);
    }
}

}  // namespace

std::string_view architecture_name(const ModelSettings& model) {
  if (model.family == ModelFamily::kGpt2) return "GPT2LMHeadModel";
  return model.query_key_norm ? "Qwen3ForCausalLM" : "LlamaForCausalLM";
}

std::optional<Impossible> check_expressible(const ModelSettings& m) {
  const std::string_view name = architecture_name(m);
  if (m.family == ModelFamily::kGpt2 && m.key_value_heads != m.heads)
    return Impossible{"model.key_value_heads",
                      fmt::format("model.key_value_heads {} of model.heads {}: {} has no grouped queries",
                                  m.key_value_heads, m.heads, name)};
  if (m.family == ModelFamily::kGpt2 && m.head_width * m.heads != m.width)
    return Impossible{"model.head_width",
                      fmt::format("model.head_width {} x model.heads {} = {} is not model.width {}, as {} has it",
                                  m.head_width, m.heads, m.head_width * m.heads, m.width, name)};
  if (m.family == ModelFamily::kLlama && !m.query_key_norm && m.width % m.heads != 0)
    return Impossible{"model.heads", fmt::format("model.width {} is not a multiple of model.heads {}, as {} demands",
                                                 m.width, m.heads, name)};
  return std::nullopt;
}

std::vector<ForeignTensor> foreign_tensors(const ModelSettings& model) {
  ForeignNames names(model);
  if (model.family == ModelFamily::kGpt2) {
    names.add("transformer.wte.weight", "embedding.weight");
    names.add("transformer.wpe.weight", "positions.weight");
    add_layers(names, "transformer.h.", model.layers, gpt2_rules());
    names.add("transformer.ln_f.weight", "final_norm.weight");
    names.add("transformer.ln_f.bias", "final_norm.bias");
  } else {
    names.add("model.embed_tokens.weight", "embedding.weight");
    add_layers(names, "model.layers.", model.layers, llama_rules());
    names.add("model.norm.weight", "final_norm.weight");
  }
  names.add(std::string(kForeignHead), "head.weight");
  return names.take();
}

std::string_view foreign_prefix(const ModelSettings& model) {
  return model.family == ModelFamily::kGpt2 ? "transformer." : "model.";
}

bool is_foreign_constant(std::string_view name) {
  constexpr std::string_view kEnds[] = {".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq"};
  return std::any_of(std::begin(kEnds), std::end(kEnds), [&](std::string_view end) { return name.ends_with(end); });
}

}  // namespace stoa::trainer
