#include "stoa/trainer/data/tokenizer_training_words.h"

#include <algorithm>
#include <cstring>

#include "stoa/base/error.h"

namespace stoa::trainer {
namespace {

constexpr std::size_t kFirstSlots = std::size_t{1} << 10;

/// The two halves of a product of 128 bits, folded.
std::uint64_t folded_product(std::uint64_t a, std::uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint64_t load(const char* bytes, std::size_t size) {
  std::uint64_t value = 0;
  std::memcpy(&value, bytes, size);
  return value;
}

}  // namespace

std::uint64_t word_hash(std::string_view bytes) {
  constexpr std::uint64_t kFirst = 0x9E3779B97F4A7C15U;
  constexpr std::uint64_t kSecond = 0xC2B2AE3D27D4EB4FU;
  std::uint64_t state = kFirst ^ bytes.size();
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left > 8; at += 8, left -= 8) state = folded_product(state ^ load(at, 8), kSecond);
  return folded_product(folded_product(state ^ load(at, left), kSecond) ^ kFirst, kSecond);
}

WordTable::WordTable() { clear(); }

void WordTable::clear() {
  words_ = 0;
  std::vector<Slot>(kFirstSlots).swap(slots_);
  std::vector<std::uint32_t>(1).swap(arena_);
}

std::size_t WordTable::memory_bytes() const {
  return slots_.size() * sizeof(Slot) + arena_.size() * sizeof(std::uint32_t) + words_ * sizeof(Place);
}

void WordTable::add(std::string_view word) {
  const auto tag = static_cast<std::uint32_t>(word_hash(word) >> 32);
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = tag & mask;
  for (; slots_[slot].at != 0; slot = (slot + 1) & mask) {
    const std::uint32_t at = slots_[slot].at;
    if (slots_[slot].tag != tag || bytes_at(at) != word) continue;
    if (++arena_[at] == 0) ++arena_[at + 1];
    return;
  }
  slots_[slot] = {tag, append(word)};
  if (++words_ * 5 > slots_.size() * 3) double_slots();
}

std::uint32_t WordTable::append(std::string_view word) {
  const std::size_t at = arena_.size();
  const std::size_t units = kHead + (word.size() + sizeof(std::uint32_t) - 1) / sizeof(std::uint32_t);
  if (at + units > UINT32_MAX) throw ResourceError("the words counted in memory exceed 16 GiB; use less memory");
  if (arena_.capacity() < at + units) arena_.reserve((at + units) * 5 / 4);
  arena_.resize(at + units);
  arena_[at] = 1;
  arena_[at + 2] = static_cast<std::uint32_t>(word.size());
  std::memcpy(arena_.data() + at + kHead, word.data(), word.size());
  return static_cast<std::uint32_t>(at);
}

void WordTable::double_slots() {
  std::vector<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  const std::size_t mask = slots_.size() - 1;
  for (const Slot& moved : old) {
    if (moved.at == 0) continue;
    std::size_t slot = moved.tag & mask;
    while (slots_[slot].at != 0) slot = (slot + 1) & mask;
    slots_[slot] = moved;
  }
}

std::vector<WordTable::Place> WordTable::sorted() const {
  std::vector<Place> places;
  places.reserve(words_);
  for (const Slot& slot : slots_)
    if (slot.at != 0) places.push_back({word_hash(bytes_at(slot.at)), slot.at});
  std::sort(places.begin(), places.end(), [&](const Place& a, const Place& b) {
    return a.hash != b.hash ? a.hash < b.hash : bytes_at(a.at) < bytes_at(b.at);
  });
  return places;
}

CountedWord WordTable::word(Place place) const {
  const std::uint64_t count = (static_cast<std::uint64_t>(arena_[place.at + 1]) << 32) | arena_[place.at];
  return {place.hash, bytes_at(place.at), count};
}

}  // namespace stoa::trainer
