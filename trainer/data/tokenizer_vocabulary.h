#pragma once
/// What a tokenizer.json says, for tokenizer*.cc.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/trainer/data/tokenizer_merges.h"
#include "stoa/trainer/data/tokenizer_split.h"

namespace stoa::trainer {

/// Ends a document in the tokenizers trained here.
inline constexpr std::string_view kEndOfText = "<|endoftext|>";
inline constexpr std::string_view kLlama3EndOfText = "<|end_of_text|>";
inline constexpr std::string_view kLlama3BeginOfText = "<|begin_of_text|>";

/// A token that is looked for in the text before the text is cut. The flags are Hugging Face's: a word of its own;
/// takes the spaces before, after it; looked for after the normalizer, that is, after those that are not.
struct AddedToken {
  std::int32_t id = -1;
  std::string content;
  bool single_word = false;
  bool lstrip = false;
  bool rstrip = false;
  bool normalized = false;
  bool special = true;
  bool is_in_vocabulary = true;  ///< The model's 'vocab' has it, too.
};

/// JSON of the stages around the model as a file has them, on one line; empty: as Stoa writes them for the kind.
struct Stages {
  std::string pre_tokenizer;
  std::string post_processor;
  std::string decoder;
};

struct Vocabulary {
  PreTokenizer pre_tokenizer = PreTokenizer::kGpt2;
  bool ignore_merges = false;       ///< A pre-token that is a token is that token, whatever the merges would make.
  std::vector<std::string> tokens;  ///< bytes by id; the text itself for an added token
  std::vector<Merge> merges;        ///< by rank
  std::vector<AddedToken> added;    ///< by ascending id
  Stages stages;
  std::int32_t begin_of_text = -1;  ///< What the post-processor puts before a text, or -1.

  /// As the last id. Text that looks like it is this token only where added tokens are recognised.
  void add_special_token(std::string_view content) {
    added.push_back({.id = static_cast<std::int32_t>(tokens.size()), .content = std::string(content)});
    tokens.emplace_back(content);
  }
};

}  // namespace stoa::trainer
