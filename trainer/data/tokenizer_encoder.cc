/// Text to tokens: cut into pre-tokens by batches, so that the cache's lines are on their way before they are needed.
#include <array>

#include "stoa/trainer/data/tokenizer_cache.h"
#include "stoa/trainer/data/tokenizer_state.h"

namespace stoa::trainer {

void Tokenizer::State::merge(std::string_view pre_token, MergeScratch& scratch,
                             std::vector<std::int32_t>& tokens_appended) const {
  if (vocabulary.ignore_merges)
    if (const std::int32_t id = whole.find(pre_token); id >= 0) return tokens_appended.push_back(id);
  scratch.ids.clear();
  for (const char byte : pre_token) scratch.ids.push_back(id_of_byte[static_cast<std::uint8_t>(byte)]);
  merge_all(table, scratch);
  tokens_appended.insert(tokens_appended.end(), scratch.ids.begin(), scratch.ids.end());
}

struct Encoder::State {
  static constexpr std::size_t kBatch = 64;
  static constexpr std::size_t kAhead = 6;  ///< Pre-tokens between asking for a line of memory and using it.
  using Slot = PreTokenCache::Slot;

  struct Looked {
    PreTokenKey key;
    Slot* slot;  ///< None for a pre-token too long for the cache.
  };

  const Tokenizer::State& tokenizer;
  PreTokenCache cache;
  MergeScratch scratch;
  std::array<std::size_t, kBatch> ends;
  std::array<Looked, kBatch> looked;
  std::array<std::int32_t, kBatch * PreTokenCache::kMostTokens> ready;

  State(const Tokenizer::State& tokenizer_in, std::size_t text_bytes)
      : tokenizer(tokenizer_in), cache(text_bytes / 4) {}

  /// Starts to fetch what the pre-tokens of a batch need.
  void look_up(std::string_view text, std::size_t begin, std::size_t count) {
    for (std::size_t i = 0; i < count; begin = ends[i++]) {
      Looked& one = looked[i];
      one.slot = nullptr;
      const std::size_t size = ends[i] - begin;
      if (size > PreTokenKey::kLongest) continue;
      one.key = text.size() - begin > PreTokenKey::kLongest ? PreTokenKey::of_readable(text.data() + begin, size)
                                                            : PreTokenKey::of(text.substr(begin, size));
      one.slot = &cache.slot_for(one.key);
      __builtin_prefetch(one.slot);
    }
  }

  void fetch_whole(const Looked& one) const {
    if (one.slot != nullptr && !(one.slot->key == one.key)) tokenizer.whole.prefetch(one.key);
  }

  void append(std::string_view text, std::size_t begin, std::size_t count, std::vector<std::int32_t>& tokens) {
    std::size_t filled = 0;
    const auto flush = [&] {
      tokens.insert(tokens.end(), ready.begin(), ready.begin() + static_cast<std::ptrdiff_t>(filled));
      filled = 0;
    };
    for (std::size_t i = 0; i < count; begin = ends[i++]) {
      if (tokenizer.vocabulary.ignore_merges && i + kAhead < count) fetch_whole(looked[i + kAhead]);
      Slot* const slot = looked[i].slot;
      if (slot != nullptr && slot->key == looked[i].key) {
        // Nine are always copied: a fixed size is faster than a loop, and `ready` has room.
        std::memcpy(ready.data() + filled, slot->tokens, sizeof slot->tokens);
        filled += static_cast<std::size_t>(slot->token_count);
        continue;
      }
      flush();
      const std::size_t before = tokens.size();
      tokenizer.merge(text.substr(begin, ends[i] - begin), scratch, tokens);
      const auto made = std::span(tokens).subspan(before);
      if (slot != nullptr && made.size() <= PreTokenCache::kMostTokens) slot->put(looked[i].key, made);
    }
    flush();
  }

  /// Text without added tokens.
  void encode(std::string_view text, std::vector<std::int32_t>& tokens) {
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t count = pre_token_ends(tokenizer.vocabulary.pre_tokenizer, text, begin, ends);
      look_up(text, begin, count);
      append(text, begin, count, tokens);
      begin = ends[count - 1];
    }
  }
};

Encoder::Encoder(const Tokenizer& tokenizer, std::size_t text_bytes)
    : state_(std::make_unique<State>(*tokenizer.state_, text_bytes)) {}
Encoder::~Encoder() = default;

void Encoder::encode(std::string_view text, std::vector<std::int32_t>& tokens_appended, AddedTokens added) {
  if (added == AddedTokens::kAsText) return state_->encode(text, tokens_appended);
  for (const AddedTokenSearch::Piece& piece : state_->tokenizer.added.pieces(text)) {
    if (piece.id >= 0)
      tokens_appended.push_back(piece.id);
    else
      state_->encode(text.substr(piece.begin, piece.end - piece.begin), tokens_appended);
  }
}

}  // namespace stoa::trainer
