#pragma once
/// A text written on by a model, handed out as it comes.
#include <cstdint>
#include <functional>
#include <string_view>

#include "stoa/trainer/data/tokenizer.h"
#include "stoa/trainer/model/generation.h"
#include "stoa/trainer/model/sampling.h"

namespace stoa::launcher {

enum class ContinuationEnd {
  kAllTokens,    ///< as many as asked for
  kEndOfText,    ///< the model ended the document
  kContextFull,  ///< prompt and text fill the context length
};

struct Continuation {
  std::int64_t prompt_tokens = 0;
  std::int64_t tokens = 0;  ///< written, end-of-text not counted
  ContinuationEnd end = ContinuationEnd::kAllTokens;
};

/// Reads the prompt (an empty one: the start of a document) and writes at most `tokens` more. `show` gets the new text
/// in pieces that never end within a UTF-8 character. UsageError where the prompt does not fit into the context.
Continuation continue_text(trainer::Generator& generator, const trainer::Tokenizer& tokenizer, std::string_view prompt,
                           std::int64_t tokens, const trainer::SamplingSettings& sampling,
                           const std::function<void(std::string_view)>& show);

}  // namespace stoa::launcher
