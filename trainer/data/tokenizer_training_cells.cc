#include "stoa/trainer/data/tokenizer_training_cells.h"

#include <algorithm>
#include <limits>
#include <unordered_map>

namespace stoa::trainer {
namespace {

/// Places are 32 bits wide.
constexpr std::int64_t kMostCells = std::numeric_limits<std::uint32_t>::max() - 1;

struct Group {
  std::int64_t words = 0;
  std::int64_t cells = 0;
  std::int64_t bytes = 0;  ///< of memory

  void add(std::size_t word_bytes) {
    const auto with_end = static_cast<std::int64_t>(word_bytes) + 1;
    ++words;
    cells += with_end;
    bytes += kBytesPerCell * with_end + kBytesPerWord;
  }
};

/// Lets the words of more than `all_above` through, and of exactly that many until the rest of the room is taken.
struct Choice {
  std::int64_t all_above = 0;
  Group room;
  bool is_full = false;

  bool keeps(const CountedWord& word) {
    const auto count = static_cast<std::int64_t>(word.count);
    if (count != all_above || is_full) return count > all_above;
    Group one;
    one.add(word.bytes.size());
    is_full = one.cells > room.cells || one.bytes > room.bytes;
    if (is_full) return false;
    room.cells -= one.cells;
    room.bytes -= one.bytes;
    return true;
  }
};

Choice choose(const std::unordered_map<std::int64_t, Group>& groups, std::int64_t memory_bytes) {
  std::vector<std::pair<std::int64_t, Group>> by_count(groups.begin(), groups.end());
  std::sort(by_count.begin(), by_count.end(), [](auto& a, auto& b) { return a.first > b.first; });
  Choice choice{.room = {.cells = kMostCells, .bytes = memory_bytes}};
  for (const auto& [count, group] : by_count) {
    choice.all_above = count;
    if (group.cells > choice.room.cells || group.bytes > choice.room.bytes) return choice;
    choice.room.cells -= group.cells;
    choice.room.bytes -= group.bytes;
  }
  choice.all_above = 0;
  return choice;
}

}  // namespace

WordCells keep_words(const std::function<std::unique_ptr<WordStream>()>& words, std::int64_t memory_bytes,
                     const std::array<std::int32_t, 256>& id_of_byte, TokenizerTrainingReport& report) {
  std::unordered_map<std::int64_t, Group> groups;
  CountedWord word;
  Group all;
  for (const auto stream = words(); stream->next(word);) {
    groups[static_cast<std::int64_t>(word.count)].add(word.bytes.size());
    all.add(word.bytes.size());
    report.occurrences += static_cast<std::int64_t>(word.count);
  }
  report.words = all.words;
  Choice choice = choose(groups, memory_bytes);
  WordCells kept;
  kept.cells.reserve(static_cast<std::size_t>(std::min(all.cells, memory_bytes / kBytesPerCell) + 1));
  kept.cells.push_back(WordCells::kEnd);
  for (const auto stream = words(); stream->next(word);) {
    if (!choice.keeps(word)) {
      ++report.words_left_out;
      report.occurrences_left_out += static_cast<std::int64_t>(word.count);
      continue;
    }
    if (word.bytes.size() < 2) continue;
    kept.begins.push_back(static_cast<std::uint32_t>(kept.cells.size()));
    kept.counts.push_back(static_cast<std::int64_t>(word.count));
    for (const char byte : word.bytes) kept.cells.push_back(id_of_byte[static_cast<std::uint8_t>(byte)]);
    kept.cells.push_back(WordCells::kEnd);
  }
  return kept;
}

}  // namespace stoa::trainer
