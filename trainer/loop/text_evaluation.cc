#include "stoa/trainer/loop/text_evaluation.h"

#include <algorithm>

#include "stoa/base/error.h"

namespace stoa::trainer {
namespace {

/// One micro-batch of windows, the last one filled up with tokens whose successor is not counted.
class Windows {
 public:
  Windows(std::span<const std::int32_t> text, std::int64_t samples, std::int64_t context)
      : text_(text), context_(context), tokens_(std::size_t(samples * context)), targets_(tokens_.size()) {}

  MicroBatch read(std::int64_t first, std::int64_t count) {
    const auto size = static_cast<std::size_t>(count * context_);
    const auto begin = static_cast<std::size_t>(first * context_);
    for (std::size_t i = 0; i < size; ++i) {
      const bool counted = begin + i + 1 < text_.size();
      tokens_[i] = counted ? text_[begin + i] : 0;
      targets_[i] = counted ? text_[begin + i + 1] : -1;
    }
    return {
        .tokens_bt = std::span(tokens_).first(size), .targets_bt = std::span(targets_).first(size), .samples = count};
  }

 private:
  std::span<const std::int32_t> text_;
  std::int64_t context_;
  std::vector<std::int32_t> tokens_, targets_;
};

}  // namespace

std::vector<std::int32_t> encode_documents(const Tokenizer& tokenizer, std::span<const std::string_view> documents) {
  Encoder encoder(tokenizer);
  std::vector<std::int32_t> tokens;
  for (const std::string_view document : documents) {
    encoder.encode(document, tokens);
    tokens.push_back(tokenizer.end_of_text());
  }
  return tokens;
}

std::vector<std::int32_t> text_bytes_of_tokens(const Tokenizer& tokenizer) {
  std::vector<std::int32_t> bytes(std::size_t(tokenizer.vocabulary_size()));
  for (std::size_t id = 0; id < bytes.size(); ++id) {
    const auto token = static_cast<std::int32_t>(id);
    bytes[id] =
        token == tokenizer.end_of_text() ? 0 : static_cast<std::int32_t>(tokenizer.decode(std::span(&token, 1)).size());
  }
  return bytes;
}

EvaluationResult evaluate_text(Model& model, std::span<const std::int32_t> tokens,
                               std::span<const std::int32_t> token_bytes, const TextEvaluation& evaluation) {
  EvaluationResult result;
  result.tokens = std::ssize(tokens) - 1;
  if (result.tokens < 1) throw DataError("the text has {} tokens: there is none to predict", tokens.size());
  const std::int64_t windows = (result.tokens + evaluation.context_length - 1) / evaluation.context_length;
  Windows batch(tokens, std::min(windows, evaluation.micro_batch), evaluation.context_length);
  double sum = 0;
  for (std::int64_t first = 0; first < windows; first += evaluation.micro_batch) {
    const std::int64_t count = std::min(evaluation.micro_batch, windows - first);
    sum += model.evaluate(batch.read(first, count)).loss;
    if (evaluation.progress) evaluation.progress(double(first + count) / double(windows));
  }
  for (const std::int32_t target : tokens.subspan(1)) result.bytes += token_bytes[std::size_t(target)];
  result.loss = sum / double(result.tokens);
  return result;
}

}  // namespace stoa::trainer
