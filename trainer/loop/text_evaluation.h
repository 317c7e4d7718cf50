#pragma once
/// How well a model predicts a text of its user's choice. One rank.
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "stoa/trainer/data/tokenizer.h"
#include "stoa/trainer/loop/evaluation.h"
#include "stoa/trainer/model/model.h"

namespace stoa::trainer {

/// The documents one after another, each followed by end-of-text: what a model is trained on.
std::vector<std::int32_t> encode_documents(const Tokenizer& tokenizer, std::span<const std::string_view> documents);

/// Bytes of text that each id stands for. End-of-text stands for none.
std::vector<std::int32_t> text_bytes_of_tokens(const Tokenizer& tokenizer);

struct TextEvaluation {
  std::int64_t micro_batch = 1;  ///< samples; the model is made for as many
  std::int64_t context_length = 0;
  std::function<void(double)> progress = {};  ///< called with the fraction done after each micro-batch; may be empty
  DocumentRules rules = {};                   ///< what the beginning of a document does: as in training
  std::int32_t end_of_text = -1;              ///< what ends a document; -1: the text is one
};

/// Windows of context_length tokens side by side: each token but the first of the text is predicted once, from what
/// stands before it in its window, or, where rules.mask is set, in its document. DataError where there are not two
/// tokens.
EvaluationResult evaluate_text(Model& model, std::span<const std::int32_t> tokens,
                               std::span<const std::int32_t> token_bytes, const TextEvaluation& evaluation);

}  // namespace stoa::trainer
