/// Byte-pair encoding's merges (Sennrich et al. 2016, algorithm 1), with counts of pairs kept up to date instead of
/// counted again: each merge touches only the words that have the pair.
#include <algorithm>
#include <queue>
#include <unordered_map>

#include "stoa/base/error.h"
#include "stoa/trainer/data/tokenizer_alphabet.h"
#include "stoa/trainer/data/tokenizer_split.h"
#include "stoa/trainer/data/tokenizer_state.h"

namespace stoa::trainer {
namespace {

using Pair = std::uint64_t;
constexpr Pair pair_of(std::int32_t left, std::int32_t right) {
  return (static_cast<Pair>(left) << 32) | static_cast<Pair>(right);
}
constexpr std::int32_t left_of(Pair pair) { return static_cast<std::int32_t>(pair >> 32); }
constexpr std::int32_t right_of(Pair pair) { return static_cast<std::int32_t>(pair & 0xFFFFFFFFU); }

struct Word {
  std::vector<std::int32_t> ids;
  std::int64_t count;
};

/// splitmix64's finalizer: pairs of small ids differ in few bits.
struct PairHash {
  std::size_t operator()(Pair pair) const {
    pair = (pair ^ (pair >> 30)) * 0xBF58476D1CE4E5B9U;
    pair = (pair ^ (pair >> 27)) * 0x94D049BB133111EBU;
    return static_cast<std::size_t>(pair ^ (pair >> 31));
  }
};

/// How much of the progress is counting words.
constexpr double kCountingShare = 0.5;

class Training {
 public:
  Training(std::int64_t vocabulary_size, const std::function<void(double)>& progress)
      : vocabulary_size_(vocabulary_size), progress_(progress) {
    for (const std::uint8_t byte : bytes_in_alphabet_order()) {
      id_of_byte_[byte] = static_cast<std::int32_t>(vocabulary_.tokens.size());
      add_token(std::string(1, static_cast<char>(byte)));
    }
  }

  void count_words(std::span<const std::string_view> texts) {
    std::size_t bytes = 0;
    for (const std::string_view text : texts) bytes += text.size();
    std::unordered_map<std::string_view, std::int64_t> counts;
    std::size_t done = 0;
    for (const std::string_view text : texts) {
      for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t length = pre_token_length(PreTokenizer::kGpt2, text, begin);
        ++counts[text.substr(begin, length)];
        begin += length;
      }
      done += text.size();
      report(kCountingShare * static_cast<double>(done) / static_cast<double>(std::max<std::size_t>(bytes, 1)));
    }
    for (const auto& [text, count] : counts) {
      Word word{{}, count};
      for (const char byte : text) word.ids.push_back(id_of_byte_[static_cast<std::uint8_t>(byte)]);
      words_.push_back(std::move(word));
    }
  }

  void merge_until_full() {
    for (std::size_t w = 0; w < words_.size(); ++w)
      for (std::size_t i = 0; i + 1 < words_[w].ids.size(); ++i)
        change(pair_of(words_[w].ids[i], words_[w].ids[i + 1]), words_[w].count, w);
    push_raised();
    while (static_cast<std::int64_t>(vocabulary_.tokens.size()) + 1 < vocabulary_size_) {
      const Pair pair = most_frequent();
      merge(pair);
      report(kCountingShare + (1 - kCountingShare) * static_cast<double>(vocabulary_.tokens.size()) /
                                  static_cast<double>(vocabulary_size_));
    }
  }

  Vocabulary finish() {
    vocabulary_.add_special_token(kEndOfText);
    return std::move(vocabulary_);
  }

 private:
  struct Occurrences {
    std::int64_t count = 0;
    std::vector<std::uint32_t> words;  ///< every word that has the pair, and some that had it
  };
  struct Candidate {
    std::int64_t count;
    Pair pair;
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  void report(double fraction) const {
    if (progress_) progress_(fraction);
  }

  std::int32_t add_token(std::string bytes) {
    const auto next = static_cast<std::int32_t>(vocabulary_.tokens.size());
    const auto [known, is_new] = id_of_.emplace(bytes, next);
    if (is_new) vocabulary_.tokens.push_back(std::move(bytes));
    return known->second;
  }

  void change(Pair pair, std::int64_t difference, std::size_t word) {
    Occurrences& occurrences = pairs_[pair];
    occurrences.count += difference;
    if (difference < 0) return;
    raised_.push_back(pair);
    const auto number = static_cast<std::uint32_t>(word);
    if (occurrences.words.empty() || occurrences.words.back() != number) occurrences.words.push_back(number);
  }

  /// Every count that rose gets a new candidate; one that fell is noticed when its old candidate comes up.
  void push_raised() {
    std::sort(raised_.begin(), raised_.end());
    raised_.erase(std::unique(raised_.begin(), raised_.end()), raised_.end());
    for (const Pair pair : raised_) candidates_.push({pairs_[pair].count, pair});
    raised_.clear();
  }

  Pair most_frequent() {
    while (!candidates_.empty()) {
      const Candidate best = candidates_.top();
      candidates_.pop();
      const auto found = pairs_.find(best.pair);
      const std::int64_t count = found == pairs_.end() ? 0 : found->second.count;
      if (count == best.count && count > 0) return best.pair;
      if (count > 0 && count < best.count) candidates_.push({count, best.pair});
    }
    throw DataError(
        "the text yields {} merges, {} tokens with the 256 bytes and {}; a vocabulary of {} needs more text",
        vocabulary_.merges.size(), vocabulary_.tokens.size() + 1, kEndOfText, vocabulary_size_);
  }

  void merge(Pair pair) {
    const std::int32_t left = left_of(pair);
    const std::int32_t right = right_of(pair);
    // Two ways of splitting the same bytes give the same token: such a merge adds no entry to the vocabulary.
    const std::int32_t result = add_token(vocabulary_.tokens[static_cast<std::size_t>(left)] +
                                          vocabulary_.tokens[static_cast<std::size_t>(right)]);
    vocabulary_.merges.push_back({left, right, result});
    const std::vector<std::uint32_t> words = std::move(pairs_[pair].words);
    for (const std::uint32_t word : words) merge_in(word, left, right, result);
    pairs_.erase(pair);
    push_raised();
  }

  void merge_in(std::size_t word, std::int32_t left, std::int32_t right, std::int32_t result) {
    std::vector<std::int32_t>& ids = words_[word].ids;
    const std::int64_t count = words_[word].count;
    std::size_t out = 0;
    for (std::size_t in = 0; in < ids.size(); ++in, ++out) {
      if (in + 1 == ids.size() || ids[in] != left || ids[in + 1] != right) {
        ids[out] = ids[in];
        continue;
      }
      if (out > 0) {
        change(pair_of(ids[out - 1], left), -count, word);
        change(pair_of(ids[out - 1], result), count, word);
      }
      if (in + 2 < ids.size()) {
        change(pair_of(right, ids[in + 2]), -count, word);
        change(pair_of(result, ids[in + 2]), count, word);
      }
      ids[out] = result;
      ++in;
    }
    ids.resize(out);
  }

  std::int64_t vocabulary_size_;
  const std::function<void(double)>& progress_;
  std::int32_t id_of_byte_[256] = {};
  Vocabulary vocabulary_;
  std::unordered_map<std::string, std::int32_t> id_of_;
  std::vector<Word> words_;
  std::unordered_map<Pair, Occurrences, PairHash> pairs_;
  std::vector<Pair> raised_;
  std::priority_queue<Candidate> candidates_;
};

}  // namespace

Tokenizer train_tokenizer(std::span<const std::string_view> texts, std::int64_t vocabulary_size,
                          const std::function<void(double)>& progress) {
  if (vocabulary_size < 257)
    throw DataError("a vocabulary of {} is too small: 256 bytes and {} are 257", vocabulary_size, kEndOfText);
  Training training(vocabulary_size, progress);
  training.count_words(texts);
  training.merge_until_full();
  return Tokenizer(std::make_unique<Tokenizer::State>(training.finish()));
}

}  // namespace stoa::trainer
