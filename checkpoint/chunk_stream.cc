#include "stoa/checkpoint/chunk_stream.h"

#include <algorithm>
#include <utility>

namespace stoa::checkpoint {
namespace {

constexpr std::size_t kReaders = 2;
/// One holds the caller's chunk, each reader fills one, and one waits.
constexpr std::size_t kPlaces = kReaders + 2;

}  // namespace

ChunkStream::ChunkStream(const std::filesystem::path& path, std::int64_t shard_bytes, std::vector<ChunkPlace> chunks)
    : chunks_(std::move(chunks)) {
  for (std::size_t i = 0; i < std::min(kPlaces, chunks_.size()); ++i) read_.emplace_back(ShardInput(path, shard_bytes));
  try {
    for (std::size_t i = 0; i < std::min(kReaders, chunks_.size()); ++i) readers_.emplace_back([this] { serve(); });
  } catch (...) {
    leave();
    throw;
  }
}

ChunkStream::~ChunkStream() { leave(); }

void ChunkStream::leave() {
  {
    const std::lock_guard lock(mutex_);
    leaving_ = true;
  }
  changed_.notify_all();
  for (std::thread& reader : readers_) reader.join();
}

void ChunkStream::serve() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return leaving_ || begun_ == chunks_.size() || begun_ - freed_ < read_.size(); });
    if (leaving_ || begun_ == chunks_.size()) return;
    const ChunkPlace place = chunks_[begun_];
    Read& read = read_[begun_++ % read_.size()];
    lock.unlock();
    try {
      read.bytes = read.input.read_chunk(place.offset, place.bytes);
    } catch (...) {
      read.failure = std::current_exception();
    }
    lock.lock();
    read.ended = true;
    changed_.notify_all();
  }
}

std::span<const std::byte> ChunkStream::next() {
  std::unique_lock lock(mutex_);
  if (at_hand_) read_[freed_++ % read_.size()].ended = false;
  at_hand_ = true;
  changed_.notify_all();
  const Read& read = read_[freed_ % read_.size()];
  changed_.wait(lock, [&] { return read.ended; });
  if (read.failure) std::rethrow_exception(read.failure);
  return read.bytes;
}

}  // namespace stoa::checkpoint
