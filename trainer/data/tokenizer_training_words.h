#pragma once
/// How often each pre-token ("word") occurs: exact counts in memory, and the order in which words are merged.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace stoa::trainer {

/// 64 well mixed bits of any bytes. Part of the order of words, so it never changes.
std::uint64_t word_hash(std::string_view bytes);

struct CountedWord {
  std::uint64_t hash = 0;  ///< word_hash(bytes)
  std::string_view bytes;
  std::uint64_t count = 0;

  /// By hash, then bytes: sorting by a number is many times faster than by text, and where only some words can be kept
  /// it prefers no script over another.
  bool operator<(const CountedWord& other) const {
    return hash != other.hash ? hash < other.hash : bytes < other.bytes;
  }
  bool is_same_word(const CountedWord& other) const { return hash == other.hash && bytes == other.bytes; }
};

/// Counts of words: open addressing over an arena. One thread at a time.
class WordTable {
 public:
  static constexpr std::size_t kLongestWord = std::size_t{1} << 22;

  WordTable();
  /// REQUIRES: word.size() <= kLongestWord.
  void add(std::string_view word);
  bool is_empty() const { return words_ == 0; }
  /// Of the table, the arena and the array that sorted() makes.
  std::size_t memory_bytes() const;

  /// Where each word is, in the order of CountedWord; word() reads one. Valid until the next add or clear.
  struct Place {
    std::uint64_t hash;
    std::uint32_t at;
  };
  std::vector<Place> sorted() const;
  CountedWord word(Place place) const;
  /// Forgets all words and gives the memory back.
  void clear();

 private:
  struct Slot {
    std::uint32_t tag = 0;  ///< the hash's upper half; its low bits are the slot's home
    std::uint32_t at = 0;   ///< of the word in the arena; 0 is free
  };
  /// A word in the arena: the count's low and high half, the length in bytes, the bytes.
  static constexpr std::size_t kHead = 3;

  void double_slots();
  std::uint32_t append(std::string_view word);
  std::string_view bytes_at(std::uint32_t at) const {
    return {reinterpret_cast<const char*>(arena_.data() + at + kHead), arena_[at + 2]};
  }

  std::size_t words_ = 0;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> arena_;  ///< the first unit is no word's
};

}  // namespace stoa::trainer
