#include "stoa/trainer/data/tokenizer_training_merges.h"

#include <algorithm>
#include <queue>

#include "stoa/trainer/data/tokenizer_alphabet.h"
#include "stoa/trainer/data/tokenizer_training_places.h"

namespace stoa::trainer {
namespace {

/// In a cell inside a token.
constexpr std::int32_t kGone = -2;
/// Pairs down to this part of the most frequent one's count are listed at once.
constexpr std::int64_t kListedPart = 4;
constexpr std::size_t kBytes = 256;
/// The word of a cell is found from the word at the begin of its block.
constexpr std::uint32_t kBlockCells = 64;

/// Changes of the counts of pairs that one merge makes on one side, by the token that stands there.
class Neighbours {
 public:
  struct Place {
    std::int32_t token;
    std::uint32_t cell;
  };
  void add(std::int32_t token, std::int64_t count, std::uint32_t cell) {
    const auto t = static_cast<std::size_t>(token);
    if (t >= counts_.size()) counts_.resize(t + 1);
    if (counts_[t] == 0) tokens_.push_back(token);
    counts_[t] += count;
    places_.push_back({token, cell});
  }
  const std::vector<std::int32_t>& tokens() const { return tokens_; }
  const std::vector<Place>& places() const { return places_; }
  std::int64_t count(std::int32_t token) const { return counts_[static_cast<std::size_t>(token)]; }
  void clear() {
    for (const std::int32_t token : tokens_) counts_[static_cast<std::size_t>(token)] = 0;
    tokens_.clear();
    places_.clear();
  }

 private:
  std::vector<std::int64_t> counts_;
  std::vector<std::int32_t> tokens_;
  std::vector<Place> places_;
};

struct Candidate {
  std::int64_t count;
  TokenPair pair;
  bool operator<(const Candidate& other) const {
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

class Learning {
 public:
  Learning(WordCells words, int threads, Vocabulary& vocabulary)
      : words_(std::move(words)), threads_(threads), vocabulary_(vocabulary) {
    for (const std::string& token : vocabulary.tokens) lengths_.push_back(static_cast<std::uint32_t>(token.size()));
    for (std::uint32_t w = 0; w < words_.begins.size(); ++w)
      while (first_word_of_block_.size() * kBlockCells < words_.cells.size() &&
             (w + 1 == words_.begins.size() || first_word_of_block_.size() * kBlockCells < words_.begins[w + 1]))
        first_word_of_block_.push_back(w);
    count_pairs();
  }

  /// The next pair to merge: the most frequent one, of equally frequent ones the smallest. False where none is left.
  bool next(TokenPair& pair) {
    for (;;) {
      if (candidates_.empty() && !list_candidates()) return false;
      const Candidate best = candidates_.top();
      candidates_.pop();
      const std::int64_t count = counts_.get(best.pair);
      pair = best.pair;
      if (count == best.count) return true;
      if (count >= threshold_) candidates_.push({count, pair});
    }
  }

  void merge(TokenPair pair) {
    const std::int32_t left = left_of(pair);
    const std::int32_t right = right_of(pair);
    const std::int32_t result = add_token(left, right);
    vocabulary_.merges.push_back({left, right, result});
    for (const std::uint32_t cell : places_.take(pair)) merge_at(cell, left, right, result);
    for (const std::int32_t token : before_.tokens()) {
      counts_[pair_of(token, left)] -= before_.count(token);
      counts_[pair_of(token, result)] += before_.count(token);
    }
    for (const std::int32_t token : after_.tokens()) {
      counts_[pair_of(right, token)] -= after_.count(token);
      counts_[pair_of(result, token)] += after_.count(token);
    }
    counts_[pair] = 0;
    for (const auto& [token, cell] : before_.places()) place(pair_of(token, result), cell);
    for (const auto& [token, cell] : after_.places()) place(pair_of(result, token), cell);
    for (const std::int32_t token : before_.tokens()) propose(pair_of(token, result));
    for (const std::int32_t token : after_.tokens()) propose(pair_of(result, token));
    before_.clear();
    after_.clear();
  }

 private:
  std::int32_t add_token(std::int32_t left, std::int32_t right) {
    std::string bytes =
        vocabulary_.tokens[static_cast<std::size_t>(left)] + vocabulary_.tokens[static_cast<std::size_t>(right)];
    lengths_.push_back(static_cast<std::uint32_t>(bytes.size()));
    vocabulary_.tokens.push_back(std::move(bytes));
    return static_cast<std::int32_t>(vocabulary_.tokens.size() - 1);
  }

  void count_pairs() {
    std::vector<std::vector<std::int64_t>> of_thread(static_cast<std::size_t>(threads_),
                                                     std::vector<std::int64_t>(kBytes * kBytes));
    on_threads(threads_, [&](int t) {
      std::vector<std::int64_t>& counts = of_thread[static_cast<std::size_t>(t)];
      const WordRange range = words_of(words_, t, threads_);
      for (std::size_t w = range.begin; w < range.end; ++w)
        each_pair(words_, {w, w + 1}, lengths_, [&](std::uint32_t, std::int32_t left, std::int32_t right) {
          counts[static_cast<std::size_t>(left) * kBytes + static_cast<std::size_t>(right)] += words_.counts[w];
        });
    });
    for (std::size_t i = 0; i < kBytes * kBytes; ++i) {
      std::int64_t count = 0;
      for (const auto& counts : of_thread) count += counts[i];
      if (count > 0)
        counts_[pair_of(static_cast<std::int32_t>(i / kBytes), static_cast<std::int32_t>(i % kBytes))] = count;
    }
  }

  /// Begins again with a threshold below the most frequent pair. False where there is no pair.
  bool list_candidates() {
    std::int64_t most = 0;
    counts_.each([&](TokenPair, std::int64_t count) { most = std::max(most, count); });
    if (most <= 0) return false;
    threshold_ = std::max<std::int64_t>(1, most / kListedPart);
    std::vector<TokenPair> pairs;
    counts_.each([&](TokenPair pair, std::int64_t count) {
      if (count >= threshold_) pairs.push_back(pair);
    });
    places_.list(words_, lengths_, pairs, threads_);
    candidates_ = {};
    for (const TokenPair pair : pairs) candidates_.push({counts_.get(pair), pair});
    return true;
  }

  std::int64_t count_of_word_at(std::uint32_t cell) const {
    std::uint32_t word = first_word_of_block_[cell / kBlockCells];
    while (word + 1 < words_.begins.size() && words_.begins[word + 1] <= cell) ++word;
    return words_.counts[word];
  }

  void merge_at(std::uint32_t cell, std::int32_t left, std::int32_t right, std::int32_t result) {
    std::vector<std::int32_t>& cells = words_.cells;
    const std::uint32_t middle = cell + lengths_[static_cast<std::size_t>(left)];
    if (cells[cell] != left || cells[middle] != right) return;
    const std::uint32_t end = middle + lengths_[static_cast<std::size_t>(right)];
    const std::int64_t count = count_of_word_at(cell);
    if (const std::int32_t token = cells[cell - 1]; token != WordCells::kEnd)
      before_.add(token, count, cell - lengths_[static_cast<std::size_t>(token)]);
    if (const std::int32_t token = cells[end]; token != WordCells::kEnd) after_.add(token, count, cell);
    cells[middle - 1] = kGone;
    cells[middle] = kGone;
    cells[cell] = result;
    cells[end - 1] = result;
  }

  void place(TokenPair pair, std::uint32_t cell) {
    if (counts_.get(pair) >= threshold_) places_.append(pair, cell);
  }
  void propose(TokenPair pair) {
    if (const std::int64_t count = counts_.get(pair); count >= threshold_) candidates_.push({count, pair});
  }

  WordCells words_;
  int threads_;
  Vocabulary& vocabulary_;
  TokenLengths lengths_;
  std::vector<std::uint32_t> first_word_of_block_;
  PairTable<std::int64_t> counts_;
  std::int64_t threshold_ = 0;
  PairPlaces places_;
  std::priority_queue<Candidate> candidates_;
  Neighbours before_;
  Neighbours after_;
};

}  // namespace

Vocabulary vocabulary_of_bytes() {
  Vocabulary vocabulary;
  for (const std::uint8_t byte : bytes_in_alphabet_order()) vocabulary.tokens.emplace_back(1, static_cast<char>(byte));
  return vocabulary;
}

bool learn_merges(WordCells words, std::size_t tokens, int threads, const std::function<void(double)>& progress,
                  Vocabulary& vocabulary) {
  Learning learning(std::move(words), threads, vocabulary);
  for (TokenPair pair = 0; vocabulary.tokens.size() < tokens;) {
    if (!learning.next(pair)) return false;
    learning.merge(pair);
    if (progress) progress(static_cast<double>(vocabulary.tokens.size()) / static_cast<double>(tokens));
  }
  return true;
}

}  // namespace stoa::trainer
