/// tokenizer.json in Hugging Face's shape, written. The text is what a fingerprint is made of: it does not change.
#include "stoa/base/json.h"
#include "stoa/trainer/data/tokenizer_alphabet.h"
#include "stoa/trainer/data/tokenizer_stages.h"
#include "stoa/trainer/data/tokenizer_state.h"

#include <fmt/format.h>

namespace stoa::trainer {
namespace {

std::string json_string(const std::string& text) { return Json(text).dump(); }

std::string added_token(const AddedToken& token) {
  return fmt::format(
      R"({{"id": {}, "content": {}, "single_word": {}, "lstrip": {}, "rstrip": {}, "normalized": {}, "special": {}}})",
      token.id, json_string(token.content), token.single_word, token.lstrip, token.rstrip, token.normalized,
      token.special);
}

}  // namespace

std::string Tokenizer::to_json() const {
  const Vocabulary& vocabulary = state_->vocabulary;
  const Stages stages = written_stages(vocabulary);
  std::vector<std::string> written;
  for (const std::string& token : vocabulary.tokens) written.push_back(to_alphabet(token));
  std::string added;
  for (const AddedToken& token : vocabulary.added) {
    added += fmt::format("{}\n    {}", added.empty() ? "" : ",", added_token(token));
    written[static_cast<std::size_t>(token.id)] = token.is_in_vocabulary ? token.content : "";
  }
  std::string vocab;
  for (std::size_t id = 0; id < written.size(); ++id)
    if (!written[id].empty())
      vocab += fmt::format("{}\n      {}: {}", vocab.empty() ? "" : ",", json_string(written[id]), id);
  std::string merges;
  for (const Merge& merge : vocabulary.merges)
    merges += fmt::format("{}\n      [{}, {}]", merges.empty() ? "" : ",",
                          json_string(written[static_cast<std::size_t>(merge.left)]),
                          json_string(written[static_cast<std::size_t>(merge.right)]));
  return fmt::format(R"({{
  "version": "1.0",
  "truncation": null,
  "padding": null,
  "added_tokens": [{}
  ],
  "normalizer": null,
  "pre_tokenizer": {},
  "post_processor": {},
  "decoder": {},
  "model": {{
    "type": "BPE",
    "dropout": null,
    "unk_token": null,
    "continuing_subword_prefix": null,
    "end_of_word_suffix": null,
    "fuse_unk": false,
    "byte_fallback": false,
    "ignore_merges": {},
    "vocab": {{{}
    }},
    "merges": [{}
    ]
  }}
}}
)",
                     added, stages.pre_tokenizer, stages.post_processor, stages.decoder, vocabulary.ignore_merges,
                     vocab, merges);
}

}  // namespace stoa::trainer
