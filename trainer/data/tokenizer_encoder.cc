/// Text to tokens: cut into pre-tokens by batches, so that the cache's lines are on their way before they are needed.
#include <algorithm>
#include <array>
#include <cstring>

#include "stoa/trainer/data/tokenizer_cache.h"
#include "stoa/trainer/data/tokenizer_state.h"

namespace stoa::trainer {

void Tokenizer::State::merge(std::string_view pre_token, MergeScratch& scratch) const {
  if (vocabulary.ignore_merges)
    if (const std::int32_t id = whole.find(pre_token); id >= 0) return scratch.ids.assign(1, id);
  scratch.ids.resize(pre_token.size());
  for (std::size_t i = 0; i < pre_token.size(); ++i)
    scratch.ids[i] = id_of_byte[static_cast<std::uint8_t>(pre_token[i])];
  merge_all(table, scratch);
}

struct Encoder::State {
  static constexpr std::size_t kBatch = 128;
  static constexpr std::size_t kAhead = 24;  ///< Pre-tokens between asking for a line of memory and using it.
  using Short = PreTokenCache::Short;
  using Slot = PreTokenCache::Slot;

  struct Looked {
    PreTokenKey key;  ///< None for a pre-token too long for the cache.
    union {
      PreTokenCache::Pair* pair;  ///< Of a key of at most Short::kLongest bytes.
      Slot* slot;
    };
    bool is_short() const { return key.size() <= Short::kLongest && !key.is_none(); }
  };

  const Tokenizer::State& tokenizer;
  PreTokenCache cache;
  MergeScratch scratch;
  std::array<char, 2 * (PreTokenKey::kLongest + 1)> tail{};  ///< The last bytes of the text, and zeros.
  std::array<std::size_t, kBatch> ends;
  std::array<Looked, kBatch> looked;
  std::array<std::int32_t, kBatch * PreTokenCache::kMostTokens> ready;
  std::size_t ready_count = 0;

  State(const Tokenizer::State& tokenizer_in, std::size_t text_bytes)
      : tokenizer(tokenizer_in), cache(text_bytes / 4) {}

  /// Starts to fetch what the pre-tokens of a batch need.
  void look_up(std::string_view text, std::size_t begin, std::size_t count) {
    const std::size_t tail_begin = text.size() - std::min(text.size(), tail.size() / 2);
    for (std::size_t i = 0; i < count; begin = ends[i++]) {
      Looked& one = looked[i];
      const std::size_t size = ends[i] - begin;
      if (size > PreTokenKey::kLongest) {
        one.key = {};
        continue;
      }
      one.key =
          PreTokenKey::of_readable(begin < tail_begin ? text.data() + begin : tail.data() + (begin - tail_begin), size);
      if (size <= Short::kLongest)
        __builtin_prefetch(one.pair = &cache.pair_for(one.key));
      else
        __builtin_prefetch(one.slot = &cache.slot_for(one.key));
    }
  }

  void fetch_whole(const Looked& one) const {
    if (one.is_short() && !one.pair->of(one.key).is(one.key)) tokenizer.whole.prefetch(one.key);
  }

  void flush(std::vector<std::int32_t>& tokens) {
    tokens.insert(tokens.end(), ready.begin(), ready.begin() + static_cast<std::ptrdiff_t>(ready_count));
    ready_count = 0;
  }

  /// `size` is fixed where it matters: that many are copied, `count` of which count.
  void append_ready(const std::int32_t* made, std::size_t size, std::size_t count) {
    std::memcpy(ready.data() + ready_count, made, size * sizeof *made);
    ready_count += count;
  }

  /// One that is not in the cache as a short one.
  void append_other(std::string_view pre_token, const Looked& one, std::vector<std::int32_t>& tokens) {
    const bool is_short_of_many = one.is_short() && one.pair->of(one.key).is(one.key);
    if (is_short_of_many || (!one.is_short() && !one.key.is_none())) {
      const Slot& slot = is_short_of_many ? cache.slot_for(one.key) : *one.slot;
      if (slot.key == one.key)
        return append_ready(slot.tokens, PreTokenCache::kMostTokens, static_cast<std::size_t>(slot.token_count));
    }
    tokenizer.merge(pre_token, scratch);
    const std::span<const std::int32_t> made(scratch.ids);
    if (made.size() > PreTokenCache::kMostTokens) {
      flush(tokens);
      tokens.insert(tokens.end(), made.begin(), made.end());
      return;
    }
    append_ready(made.data(), made.size(), made.size());
    if (one.key.is_none()) return;
    const bool is_of_few = one.is_short() && made.size() <= Short::kMostTokens;
    if (one.is_short() && !is_short_of_many) one.pair->put(Short(one.key, is_of_few ? made : made.first(0)));
    if (!is_of_few) cache.slot_for(one.key).put(one.key, made);
  }

  void append(std::string_view text, std::size_t begin, std::size_t count, std::vector<std::int32_t>& tokens) {
    for (std::size_t i = 0; i < count; begin = ends[i++]) {
      if (tokenizer.vocabulary.ignore_merges && i + kAhead < count) fetch_whole(looked[i + kAhead]);
      const Looked& one = looked[i];
      if (one.is_short())
        if (const Short& way = one.pair->of(one.key); way.is(one.key) && way.token_count() > 0) {
          append_ready(way.tokens(), Short::kMostTokens, way.token_count());
          continue;
        }
      append_other(text.substr(begin, ends[i] - begin), one, tokens);
    }
    flush(tokens);
  }

  /// Text without added tokens.
  void encode(std::string_view text, std::vector<std::int32_t>& tokens) {
    const std::size_t in_tail = std::min(text.size(), tail.size() / 2);
    std::memcpy(tail.data(), text.data() + text.size() - in_tail, in_tail);
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
