#include "stoa/checkpoint/staged_chunks.h"

#include <cstring>

namespace stoa::checkpoint {

StagedChunks::StagedChunks(std::int64_t bytes)
    : bytes_(memory_bytes(bytes)), memory_(static_cast<std::size_t>(bytes_), "state copied aside for a checkpoint") {
  for (std::int64_t at = 0; at < bytes_; at += kAlignment) memory_.bytes()[static_cast<std::size_t>(at)] = std::byte{0};
}

StagedChunks::Place StagedChunks::place_behind(std::int64_t last, std::int64_t size) const {
  std::int64_t begin = padded_bytes(last);
  if (begin % bytes_ + size > bytes_) begin = (begin / bytes_ + 1) * bytes_;
  return {begin, begin + size};
}

// Two chunks of the largest size find room in an empty ring wherever it stands, so nobody waits for ever.
bool StagedChunks::put(std::span<const std::byte> chunk) {
  Place place;
  {
    std::unique_lock lock(mutex_);
    place = place_behind(last_, static_cast<std::int64_t>(chunk.size()));
    changed_.wait(lock, [&] { return given_up_ || place.end - freed_ <= bytes_; });
    if (given_up_) return false;
    last_ = place.end;
  }
  std::memcpy(memory_.bytes().data() + place.begin % bytes_, chunk.data(), chunk.size());
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(place);
  }
  changed_.notify_all();
  return true;
}

std::span<const std::byte> StagedChunks::take() {
  std::unique_lock lock(mutex_);
  if (at_hand_) {
    freed_ = waiting_.front().end;
    waiting_.pop_front();
    changed_.notify_all();
  }
  at_hand_ = true;
  changed_.wait(lock, [&] { return !waiting_.empty(); });
  const Place place = waiting_.front();
  return memory_.bytes().subspan(static_cast<std::size_t>(place.begin % bytes_),
                                 static_cast<std::size_t>(place.end - place.begin));
}

void StagedChunks::give_up() {
  {
    const std::lock_guard lock(mutex_);
    given_up_ = true;
  }
  changed_.notify_all();
}

void StagedChunks::clear() {
  waiting_.clear();
  last_ = freed_ = 0;
  at_hand_ = given_up_ = false;
}

}  // namespace stoa::checkpoint
