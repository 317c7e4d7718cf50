#pragma once
/// What the golden files of tests/golden/pytorch say about a model, and the same starting state from the same formulas.
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "stoa/base/json.h"
#include "stoa/trainer/model/model.h"

namespace stoa::golden {

inline Json read_golden(const std::string& name) {
  std::ifstream file(std::string(STOA_GOLDEN_FOLDER) + "/" + name);
  std::stringstream text;
  text << file.rdbuf();
  return parse_json(text.str(), name);
}

inline trainer::ModelSettings model_of(const Json& model) {
  trainer::ModelSettings settings;
  settings.family = model["family"] == "gpt2" ? trainer::ModelFamily::kGpt2 : trainer::ModelFamily::kLlama;
  settings.layers = model["layers"];
  settings.width = model["width"];
  settings.heads = model["heads"];
  settings.key_value_heads = model["key_value_heads"];
  settings.head_width = model["head_width"];
  settings.feed_forward_width = model["feed_forward_width"];
  settings.vocabulary_size = model["vocabulary_size"];
  settings.context_length = model["context_length"];
  settings.tied_embedding = model["tied_embedding"].get<bool>();
  settings.query_key_norm = model["query_key_norm"];
  settings.norm_epsilon = model["norm_epsilon"];
  settings.rope_theta = model["rope_theta"];
  return trainer::resolved(settings);
}

/// Element i of NAME: 0.2 sin(0.37 i^2 + 0.7 i + c), c = sum of NAME's bytes mod 97; plus 1 for norm weights.
inline void fill_by_formula(const trainer::ParameterTable& table, std::span<float> masters) {
  for (const trainer::Parameter& parameter : table.parameters) {
    int sum = 0;
    for (const char letter : parameter.name) sum += letter;
    const bool norm = parameter.name.ends_with("norm.weight");
    for (std::int64_t i = 0; i < parameter.elements; ++i) {
      const auto x = static_cast<double>(i);
      const double value = 0.2 * std::sin(0.37 * x * x + 0.7 * x + sum % 97) + (norm ? 1.0 : 0.0);
      masters[static_cast<std::size_t>(parameter.offset + i)] = static_cast<float>(value);
    }
  }
}

/// Inputs and targets of samples first .. first + samples - 1: token i of sample s is (7 i^2 + 3 i + 11 s) mod V.
/// documents: the lengths of each sample's documents; empty: nothing is masked and positions are counted.
struct FormulaBatch {
  FormulaBatch(const trainer::ModelSettings& model, std::int64_t first, std::int64_t samples,
               const Json& documents = Json::array())
      : samples_(samples) {
    for (std::int64_t s = first; s < first + samples; ++s) {
      for (std::int64_t i = 0; i <= model.context_length; ++i) {
        const auto token = static_cast<std::int32_t>((7 * i * i + 3 * i + 11 * s) % model.vocabulary_size);
        if (i < model.context_length) tokens_.push_back(token);
        if (i > 0) targets_.push_back(token);
      }
    }
    for (const Json& lengths : documents) {
      std::int32_t begin = 0;
      for (const std::int32_t length : lengths) {
        begins_.insert(begins_.end(), std::size_t(length), begin);
        for (std::int32_t i = 0; i < length; ++i) positions_.push_back(i);
        begin += length;
      }
    }
  }
  trainer::MicroBatch view() const {
    return {.tokens_bt = tokens_,
            .targets_bt = targets_,
            .document_begin_bt = begins_,
            .positions_bt = positions_,
            .samples = samples_};
  }

 private:
  std::int64_t samples_;
  std::vector<std::int32_t> tokens_, targets_, begins_, positions_;
};

}  // namespace stoa::golden
