#include "stoa/trainer/data/tokenizer.h"

#include <algorithm>

#include "stoa/base/checksum.h"
#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/trainer/data/tokenizer_state.h"

namespace stoa::trainer {

Tokenizer::State::State(Vocabulary vocabulary_in) : vocabulary(std::move(vocabulary_in)), table(vocabulary.merges) {
  std::fill(std::begin(id_of_byte), std::end(id_of_byte), -1);
  const std::vector<std::int32_t>& special = vocabulary.special;
  for (std::int32_t id = 0; id < static_cast<std::int32_t>(vocabulary.tokens.size()); ++id) {
    const std::string& token = vocabulary.tokens[static_cast<std::size_t>(id)];
    const bool is_special = std::binary_search(special.begin(), special.end(), id);
    if (is_special && token == kEndOfText) end_of_text = id;
    if (!is_special && token.size() == 1) id_of_byte[static_cast<std::uint8_t>(token[0])] = id;
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
std::int32_t Tokenizer::end_of_text() const { return state_->end_of_text; }

std::vector<std::int32_t> Tokenizer::encode(std::string_view text) const {
  std::vector<std::int32_t> tokens;
  Encoder(*this).encode(text, tokens);
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
