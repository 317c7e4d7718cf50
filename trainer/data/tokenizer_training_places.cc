#include "stoa/trainer/data/tokenizer_training_places.h"

#include <algorithm>
#include <system_error>
#include <thread>

namespace stoa::trainer {

void on_threads(int threads, const std::function<void(int)>& work) {
  std::vector<std::thread> others;
  others.reserve(static_cast<std::size_t>(threads));
  int started = 1;
  try {
    for (; started < threads; ++started) others.emplace_back([&work, t = started] { work(t); });
  } catch (const std::system_error&) {
    // The system gives no more threads: the rest is done here.
  }
  work(0);
  for (int t = started; t < threads; ++t) work(t);
  for (std::thread& other : others) other.join();
}

WordRange words_of(const WordCells& words, int thread, int threads) {
  const auto first_word = [&](int t) {
    const std::size_t cell = words.cells.size() * static_cast<std::size_t>(t) / static_cast<std::size_t>(threads);
    return static_cast<std::size_t>(std::lower_bound(words.begins.begin(), words.begins.end(), cell) -
                                    words.begins.begin());
  };
  return {first_word(thread), first_word(thread + 1)};
}

void PairPlaces::list(const WordCells& words, const TokenLengths& lengths, std::span<const TokenPair> pairs,
                      int threads) {
  number_of_ = {};
  appended_.clear();
  std::vector<std::uint32_t>().swap(listed_);
  for (std::size_t i = 0; i < pairs.size(); ++i) number_of_[pairs[i]] = static_cast<std::uint32_t>(i + 1);
  // Each thread counts its words' places, then writes them behind those of the threads before it.
  std::vector<std::vector<std::size_t>> at(static_cast<std::size_t>(threads),
                                           std::vector<std::size_t>(pairs.size() + 1));
  on_threads(threads, [&](int t) {
    std::vector<std::size_t>& counts = at[static_cast<std::size_t>(t)];
    each_pair(words, words_of(words, t, threads), lengths, [&](std::uint32_t, std::int32_t left, std::int32_t right) {
      ++counts[number_of_.get(pair_of(left, right))];
    });
  });
  begins_.assign(pairs.size() + 1, 0);
  std::size_t end = 0;
  for (std::size_t i = 1; i <= pairs.size(); ++i) {
    begins_[i - 1] = end;
    for (std::vector<std::size_t>& of_thread : at) {
      const std::size_t count = of_thread[i];
      of_thread[i] = end;
      end += count;
    }
  }
  begins_[pairs.size()] = end;
  listed_.resize(end);
  on_threads(threads, [&](int t) {
    std::vector<std::size_t>& next = at[static_cast<std::size_t>(t)];
    each_pair(words, words_of(words, t, threads), lengths,
              [&](std::uint32_t cell, std::int32_t left, std::int32_t right) {
                if (const std::uint32_t number = number_of_.get(pair_of(left, right))) listed_[next[number]++] = cell;
              });
  });
}

void PairPlaces::append(TokenPair pair, std::uint32_t cell) {
  std::uint32_t& number = number_of_[pair];
  if (number == 0) {
    number = static_cast<std::uint32_t>(begins_.size() + appended_.size());
    appended_.emplace_back();
  }
  appended_[number - begins_.size()].push_back(cell);
}

std::vector<std::uint32_t> PairPlaces::take(TokenPair pair) {
  const std::uint32_t number = number_of_.get(pair);
  if (number >= begins_.size()) return std::move(appended_[number - begins_.size()]);
  const auto of_pair = std::span(listed_).subspan(begins_[number - 1], begins_[number] - begins_[number - 1]);
  return {of_pair.begin(), of_pair.end()};
}

}  // namespace stoa::trainer
