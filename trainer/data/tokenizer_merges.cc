#include "stoa/trainer/data/tokenizer_merges.h"

#include <algorithm>
#include <bit>

namespace stoa::trainer {
namespace {

/// Up to here looking at every pair for each merge is faster than a heap.
constexpr std::size_t kShortPreToken = 48;

/// Repeats: the pair of the lowest rank, the leftmost of them, becomes one id. Memory on the stack, since most of an
/// encoder's time goes here.
std::size_t merge_short(const MergeTable& table, std::int32_t* ids, std::size_t count) {
  std::int32_t ranks[kShortPreToken];
  std::int32_t results[kShortPreToken];
  const auto look_up = [&](std::size_t at) {
    const MergeTable::Outcome outcome = table.find(ids[at], ids[at + 1]);
    ranks[at] = outcome.rank;
    results[at] = outcome.result;
  };
  for (std::size_t i = 0; i + 1 < count; ++i) look_up(i);
  while (count > 1) {
    std::int32_t best = ranks[0];
    for (std::size_t i = 1; i + 1 < count; ++i) best = std::min(best, ranks[i]);
    if (best == MergeTable::kNoMerge) break;
    std::size_t at = 0;
    while (ranks[at] != best) ++at;
    ids[at] = results[at];
    --count;
    for (std::size_t i = at + 1; i < count; ++i) {
      ids[i] = ids[i + 1];
      ranks[i - 1] = ranks[i];
      results[i - 1] = results[i];
    }
    if (at > 0) look_up(at - 1);
    if (at + 1 < count) look_up(at);
  }
  return count;
}

/// The same with a heap.
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

}  // namespace

MergeTable::MergeTable(const std::vector<Merge>& merges)
    : shift_(64 - static_cast<int>(std::bit_width(2 * merges.size() + 1))),
      entries_(std::size_t{1} << std::bit_width(2 * merges.size() + 1)),
      maybe_((entries_.size() << kBitsShift) / 64 + 1),
      of_small_(kSmall * kSmall) {
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const auto [left, right, result] = merges[rank];
    const Outcome outcome{static_cast<std::int32_t>(rank), result};
    if (are_small(left, right)) {
      of_small_[place_of_small(left, right)] = outcome;
      continue;
    }
    const std::uint64_t pair = key(left, right);
    const std::uint64_t hash = hash_of(pair);
    const std::uint64_t bit = hash >> (shift_ - kBitsShift);
    maybe_[bit / 64] |= std::uint64_t{1} << (bit % 64);
    std::size_t slot = hash >> shift_;
    while (entries_[slot].pair != kFree) slot = (slot + 1) & (entries_.size() - 1);
    entries_[slot] = {pair, outcome};
  }
}

void merge_all(const MergeTable& table, MergeScratch& scratch) {
  if (scratch.ids.size() <= kShortPreToken)
    scratch.ids.resize(merge_short(table, scratch.ids.data(), scratch.ids.size()));
  else
    LongMerge(table, scratch).run();
}

}  // namespace stoa::trainer
