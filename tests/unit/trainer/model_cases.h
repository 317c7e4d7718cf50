#pragma once
/// Small models of odd sizes for the tests of trainer/model.
#include "stoa/trainer/model/initial_weights.h"
#include "stoa/trainer/model/model.h"

namespace stoa::trainer {

/// Grouped queries, query-key norm, untied head.
inline ModelSettings small_llama() {
  ModelSettings model;
  model.family = ModelFamily::kLlama;
  model.layers = 3;
  model.width = 30;
  model.heads = 6;
  model.key_value_heads = 2;
  model.head_width = 10;
  model.feed_forward_width = 37;
  model.vocabulary_size = 257;
  model.context_length = 33;
  model.query_key_norm = true;
  model.initial_std = 0.2;
  return resolved(model);
}

inline ModelSettings small_gpt2() {
  ModelSettings model;
  model.family = ModelFamily::kGpt2;
  model.layers = 2;
  model.width = 33;
  model.heads = 3;
  model.feed_forward_width = 65;
  model.vocabulary_size = 131;
  model.context_length = 33;
  model.initial_std = 0.2;
  return resolved(model);
}

}  // namespace stoa::trainer
