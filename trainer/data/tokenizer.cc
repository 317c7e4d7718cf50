#include "stoa/trainer/data/tokenizer.h"

#include <algorithm>

#include "stoa/base/checksum.h"
#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/trainer/data/tokenizer_alphabet.h"
#include "stoa/trainer/data/tokenizer_state.h"

namespace stoa::trainer {

Tokenizer::State::State(Vocabulary vocabulary_in)
    : vocabulary(std::move(vocabulary_in)),
      table(vocabulary.merges),
      added(vocabulary.added),
      whole(vocabulary.ignore_merges ? vocabulary.tokens.size() : 0) {
  begin_of_text = vocabulary.begin_of_text;
  for (const AddedToken& token : vocabulary.added) {
    if (!token.special) continue;
    if (token.content == kEndOfText || (token.content == kLlama3EndOfText && end_of_text < 0)) end_of_text = token.id;
    if (token.content == kLlama3BeginOfText && begin_of_text < 0) begin_of_text = token.id;
  }
  std::vector<bool> is_outside(vocabulary.tokens.size());
  for (const AddedToken& token : vocabulary.added)
    if (!token.is_in_vocabulary || !from_alphabet(token.content)) is_outside[static_cast<std::size_t>(token.id)] = true;
  std::fill(std::begin(id_of_byte), std::end(id_of_byte), -1);
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string& token = vocabulary.tokens[id];
    if (is_outside[id]) continue;
    if (token.size() == 1) id_of_byte[static_cast<std::uint8_t>(token[0])] = static_cast<std::int32_t>(id);
    if (vocabulary.ignore_merges) whole.add(token, static_cast<std::int32_t>(id));
  }
}

Tokenizer::Tokenizer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer Tokenizer::load(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) throw DataError("{}: no such tokenizer file", path.string());
  return parse(MappedFile(path).text(), path.string());
}

std::int64_t Tokenizer::vocabulary_size() const { return static_cast<std::int64_t>(state_->vocabulary.tokens.size()); }
PreTokenizer Tokenizer::pre_tokenizer() const { return state_->vocabulary.pre_tokenizer; }
std::int32_t Tokenizer::end_of_text() const { return state_->end_of_text; }

std::optional<std::int32_t> Tokenizer::begin_of_text() const {
  return state_->begin_of_text < 0 ? std::nullopt : std::optional(state_->begin_of_text);
}

std::vector<Tokenizer::SpecialToken> Tokenizer::special_tokens() const {
  std::vector<SpecialToken> special;
  for (const AddedToken& token : state_->vocabulary.added)
    if (token.special) special.push_back({token.id, token.content});
  return special;
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, AddedTokens added) const {
  std::vector<std::int32_t> tokens;
  Encoder(*this, text.size()).encode(text, tokens, added);
  return tokens;
}

std::string Tokenizer::decode(std::span<const std::int32_t> tokens) const {
  std::string text;
  for (const std::int32_t id : tokens) {
    if (id < 0 || id >= vocabulary_size())
      throw DataError("token {} is outside the vocabulary, whose ids are 0 to {}", id, vocabulary_size() - 1);
    text += state_->vocabulary.tokens[static_cast<std::size_t>(id)];
  }
  return text;
}

std::string Tokenizer::fingerprint() const {
  const std::string json = to_json();
  return xxh3_128_hex(std::as_bytes(std::span(json)));
}

}  // namespace stoa::trainer
