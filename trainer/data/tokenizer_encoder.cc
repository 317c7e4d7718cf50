#include <algorithm>
#include <bit>
#include <cstring>

#include "stoa/trainer/data/tokenizer_split.h"
#include "stoa/trainer/data/tokenizer_state.h"

namespace stoa::trainer {
namespace {

/// Up to here looking at every pair for each merge is faster than a heap.
constexpr std::size_t kShortPreToken = 48;

/// Repeats: the pair of the lowest rank, the leftmost of them, becomes one id.
void merge_short(const MergeTable& table, MergeScratch& scratch) {
  std::vector<std::int32_t>& ids = scratch.ids;
  std::vector<std::int32_t>& ranks = scratch.ranks;
  ranks.clear();
  for (std::size_t i = 0; i + 1 < ids.size(); ++i) ranks.push_back(table.find(ids[i], ids[i + 1]).rank);
  while (!ranks.empty()) {
    const auto best = std::min_element(ranks.begin(), ranks.end());
    if (*best == MergeTable::kNoMerge) return;
    const auto at = static_cast<std::size_t>(best - ranks.begin());
    ids[at] = table.find(ids[at], ids[at + 1]).result;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    ranks.erase(best);
    if (at > 0) ranks[at - 1] = table.find(ids[at - 1], ids[at]).rank;
    if (at < ranks.size()) ranks[at] = table.find(ids[at], ids[at + 1]).rank;
  }
}

/// The same in O(n log n), for a pre-token that may be a megabyte of one letter.
class LongMerge {
 public:
  LongMerge(const MergeTable& table, MergeScratch& scratch) : table_(table), s_(scratch) {}

  void run() {
    const auto count = static_cast<std::int32_t>(s_.ids.size());
    s_.links.resize(s_.ids.size());
    s_.heap.clear();
    for (std::int32_t i = 0; i < count; ++i) link(i) = {i - 1, i + 1 < count ? i + 1 : -1};
    for (std::int32_t i = 0; i + 1 < count; ++i) offer(i);
    while (!s_.heap.empty()) {
      std::pop_heap(s_.heap.begin(), s_.heap.end(), later);
      const MergeScratch::Candidate best = s_.heap.back();
      s_.heap.pop_back();
      if (is_current(best)) apply(best.at);
    }
    std::erase(s_.ids, kGone);
  }

 private:
  static constexpr std::int32_t kGone = -1;

  static bool later(const MergeScratch::Candidate& a, const MergeScratch::Candidate& b) {
    return a.rank != b.rank ? a.rank > b.rank : a.at > b.at;
  }
  std::int32_t& id(std::int32_t at) { return s_.ids[static_cast<std::size_t>(at)]; }
  MergeScratch::Link& link(std::int32_t at) { return s_.links[static_cast<std::size_t>(at)]; }

  void offer(std::int32_t at) {
    const std::int32_t next = link(at).next;
    if (next < 0) return;
    const std::int32_t rank = table_.find(id(at), id(next)).rank;
    if (rank == MergeTable::kNoMerge) return;
    s_.heap.push_back({rank, at, id(at), id(next)});
    std::push_heap(s_.heap.begin(), s_.heap.end(), later);
  }

  bool is_current(const MergeScratch::Candidate& candidate) {
    const std::int32_t next = link(candidate.at).next;
    return id(candidate.at) == candidate.left && next >= 0 && id(next) == candidate.right;
  }

  void apply(std::int32_t at) {
    const std::int32_t gone = link(at).next;
    id(at) = table_.find(id(at), id(gone)).result;
    id(gone) = kGone;
    link(at).next = link(gone).next;
    if (link(at).next >= 0) link(link(at).next).previous = at;
    if (link(at).previous >= 0) offer(link(at).previous);
    offer(at);
  }

  const MergeTable& table_;
  MergeScratch& s_;
};

/// A hash of a pre-token, which is short: 8 bytes a round (after wyhash).
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = text.size();
  const auto add = [&](std::uint64_t bits) {
    const auto product = static_cast<unsigned __int128>(hash ^ bits ^ 0xA0761D6478BD642FU) * 0xE7037ED1A0B428DBU;
    hash = static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  };
  std::uint64_t bits = 0;
  for (; text.size() > 8; text.remove_prefix(8)) {
    std::memcpy(&bits, text.data(), 8);
    add(bits);
  }
  bits = 0;
  std::memcpy(&bits, text.data(), text.size());
  add(bits);
  return hash;
}

/// Pre-token -> its tokens. Each slot is one cache line and keeps the pre-token that came last: frequent ones are there
/// nearly always, memory is bounded, whatever the text.
class PreTokenCache {
 public:
  static constexpr std::size_t kLongestText = 22;
  static constexpr std::size_t kMostTokens = 10;

  struct alignas(64) Slot {
    std::uint8_t text_bytes = 0;  ///< 0: free
    std::uint8_t token_count = 0;
    char text[kLongestText];
    std::int32_t tokens[kMostTokens];

    bool holds(std::string_view wanted) const {
      return text_bytes == wanted.size() && std::memcmp(text, wanted.data(), wanted.size()) == 0;
    }
    void put(std::string_view new_text, std::span<const std::int32_t> new_tokens) {
      text_bytes = static_cast<std::uint8_t>(new_text.size());
      token_count = static_cast<std::uint8_t>(new_tokens.size());
      std::copy(new_text.begin(), new_text.end(), text);
      std::copy(new_tokens.begin(), new_tokens.end(), tokens);
    }
  };
  static_assert(sizeof(Slot) == 64);

  /// Where `text` is or would be. REQUIRES: at most kLongestText bytes.
  Slot& slot_for(std::string_view text) { return slots_[hash_of(text) & (slots_.size() - 1)]; }

 private:
  std::vector<Slot> slots_{std::size_t{1} << 16};
};

}  // namespace

MergeTable::MergeTable(const std::vector<Merge>& merges)
    : shift_(64 - static_cast<int>(std::bit_width(2 * merges.size() + 1))),
      entries_(std::size_t{1} << std::bit_width(2 * merges.size() + 1)) {
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const std::uint64_t pair = key(merges[rank].left, merges[rank].right);
    std::size_t slot = slot_of(pair);
    while (entries_[slot].pair != kFree) slot = (slot + 1) & (entries_.size() - 1);
    entries_[slot] = {pair, static_cast<std::int32_t>(rank), merges[rank].result};
  }
}

void Tokenizer::State::merge(std::string_view pre_token, MergeScratch& scratch,
                             std::vector<std::int32_t>& tokens_appended) const {
  scratch.ids.clear();
  for (const char byte : pre_token) scratch.ids.push_back(id_of_byte[static_cast<std::uint8_t>(byte)]);
  if (pre_token.size() <= kShortPreToken)
    merge_short(table, scratch);
  else
    LongMerge(table, scratch).run();
  tokens_appended.insert(tokens_appended.end(), scratch.ids.begin(), scratch.ids.end());
}

struct Encoder::State {
  const Tokenizer::State& tokenizer;
  PreTokenCache cache;
  MergeScratch scratch;

  void append(std::string_view pre_token, std::vector<std::int32_t>& tokens) {
    if (pre_token.size() > PreTokenCache::kLongestText) return tokenizer.merge(pre_token, scratch, tokens);
    PreTokenCache::Slot& slot = cache.slot_for(pre_token);
    if (slot.holds(pre_token)) {
      tokens.insert(tokens.end(), slot.tokens, slot.tokens + slot.token_count);
      return;
    }
    const std::size_t before = tokens.size();
    tokenizer.merge(pre_token, scratch, tokens);
    const auto made = std::span(tokens).subspan(before);
    if (made.size() <= PreTokenCache::kMostTokens) slot.put(pre_token, made);
  }
};

Encoder::Encoder(const Tokenizer& tokenizer) : state_(std::make_unique<State>(State{*tokenizer.state_, {}, {}})) {}
Encoder::~Encoder() = default;

void Encoder::encode(std::string_view text, std::vector<std::int32_t>& tokens_appended) {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t length = pre_token_length(state_->tokenizer.vocabulary.pre_tokenizer, text, begin);
    state_->append(text.substr(begin, length), tokens_appended);
    begin += length;
  }
}

}  // namespace stoa::trainer
