#include "stoa/trainer/loop/text_evaluation.h"

#include <algorithm>

#include "stoa/base/error.h"
#include "stoa/trainer/loop/batch.h"

namespace stoa::trainer {
namespace {

/// Windows side by side, the last one filled up with tokens whose successor is not counted.
class Windows final : public SampleStream {
 public:
  Windows(std::span<const std::int32_t> text, const TextEvaluation& evaluation)
      : text_(text), evaluation_(evaluation) {}

  std::int64_t samples() const override {
    return (std::ssize(text_) - 1 + evaluation_.context_length - 1) / evaluation_.context_length;
  }
  DocumentRules document_rules() const override { return evaluation_.rules; }

  void read(std::int64_t index, const SampleSpans& sample) const override {
    const auto begin = static_cast<std::size_t>(index * evaluation_.context_length);
    std::int32_t document = 0;
    for (std::size_t i = 0; i < sample.inputs.size(); ++i) {
      const bool counted = begin + i + 1 < text_.size();
      sample.inputs[i] = counted ? text_[begin + i] : 0;
      sample.targets[i] = counted ? text_[begin + i + 1] : -1;
      if (sample.document_begins.empty()) continue;
      if (i > 0 && sample.inputs[i - 1] == evaluation_.end_of_text) document = static_cast<std::int32_t>(i);
      sample.document_begins[i] = document;
    }
  }

 private:
  std::span<const std::int32_t> text_;
  const TextEvaluation& evaluation_;
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
  const Windows text(tokens, evaluation);
  const std::int64_t windows = text.samples();
  Batch batch(std::min(windows, evaluation.micro_batch), evaluation.context_length);
  double sum = 0;
  for (std::int64_t first = 0; first < windows; first += evaluation.micro_batch) {
    const std::int64_t count = std::min(evaluation.micro_batch, windows - first);
    sum += model.evaluate(batch.read(text, first, count)).loss;
    if (evaluation.progress) evaluation.progress(double(first + count) / double(windows));
  }
  for (const std::int32_t target : tokens.subspan(1)) result.bytes += token_bytes[std::size_t(target)];
  result.loss = sum / double(result.tokens);
  return result;
}

}  // namespace stoa::trainer
