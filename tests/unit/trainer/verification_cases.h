#pragma once
/// Small models for the tests of trainer/verification, of sizes that no mesh divides, and layouts of them.
#include "stoa/trainer/layout_check.h"
#include "stoa/trainer/verification/comparison.h"
#include "stoa/trainer/verification/layouts.h"

namespace stoa::trainer {

inline constexpr double kVerificationDeadline_s = 60;

enum class Tied { kNo, kYes };

/// 8 heads and 2 key-value heads, so that 4 and 8 tensor ranks share them; 9 rows of a micro-batch.
inline StepSettings verified_llama(Tied tied) {
  StepSettings settings;
  ModelSettings& model = settings.model;
  model.family = ModelFamily::kLlama;
  model.layers = 4;
  model.width = 19;
  model.heads = 8;
  model.key_value_heads = 2;
  model.head_width = 4;
  model.feed_forward_width = 21;
  model.vocabulary_size = 31;
  model.context_length = 9;
  model.query_key_norm = true;
  model.tied_embedding = tied == Tied::kYes;
  model.initial_std = 0.2;
  model = resolved(model);
  settings.training = {.steps = 100, .global_batch = 8, .micro_batch = 1, .precision = Precision::kFp32, .seed = 3};
  settings.optimizer.learning_rate = 0.01;
  return settings;
}

/// Biases, learned positions, dropout.
inline StepSettings verified_gpt2(Tied tied) {
  StepSettings settings = verified_llama(tied);
  ModelSettings& model = settings.model;
  model.family = ModelFamily::kGpt2;
  model.query_key_norm = false;
  model.head_width = 3;
  model.dropout = 0.1;
  return settings;
}

/// On threads of one rank each, with plain kernels: ThreadSanitizer sees all of it.
inline LayoutRun run_plain(const StepSettings& settings, const DocumentRules& rules) {
  return run_on_threads(settings, samples_for(settings, rules), cpu::Isa::kPlain, kVerificationDeadline_s);
}

inline LayoutRun run_one_rank(const StepSettings& settings, const DocumentRules& rules) {
  return run_plain(one_rank_of(settings), rules);
}

}  // namespace stoa::trainer
