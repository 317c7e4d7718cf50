#include "stoa/launcher/continuation.h"

#include <vector>

#include "stoa/base/error.h"
#include "stoa/trainer/model/utf8_stream.h"

namespace stoa::launcher {
namespace {

std::vector<std::int32_t> prompt_tokens(const trainer::Tokenizer& tokenizer, std::string_view prompt,
                                        std::int64_t room) {
  std::vector<std::int32_t> tokens = tokenizer.encode(prompt);
  if (tokens.empty()) tokens.push_back(tokenizer.end_of_text());
  if (std::ssize(tokens) > room)
    throw UsageError("the prompt has {} tokens, but the model's context holds {}", tokens.size(), room);
  return tokens;
}

}  // namespace

Continuation continue_text(trainer::Generator& generator, const trainer::Tokenizer& tokenizer, std::string_view prompt,
                           std::int64_t tokens, const trainer::SamplingSettings& sampling,
                           const std::function<void(std::string_view)>& show) {
  trainer::check_sampling(sampling);
  generator.restart();
  const std::vector<std::int32_t> read = prompt_tokens(tokenizer, prompt, generator.room());
  Continuation text{.prompt_tokens = std::ssize(read)};
  trainer::Utf8Stream stream;
  std::span<const float> logits = generator.read(read);
  while (text.tokens < tokens) {
    const std::int32_t token = trainer::sample_token(logits, sampling, generator.position());
    if (token == tokenizer.end_of_text()) {
      text.end = ContinuationEnd::kEndOfText;
      break;
    }
    ++text.tokens;
    if (const std::string piece = stream.push(tokenizer.decode(std::span(&token, 1))); !piece.empty()) show(piece);
    if (text.tokens == tokens) break;
    if (generator.room() == 0) {
      text.end = ContinuationEnd::kContextFull;
      break;
    }
    logits = generator.read(std::span(&token, 1));
  }
  // A character that was begun and will never be whole is not shown.
  return text;
}

}  // namespace stoa::launcher
