#include "stoa/checkpoint/chunk_stream.h"

#include <utility>

namespace stoa::checkpoint {
namespace {

constexpr std::size_t kInputs = 3;

}  // namespace

ChunkStream::ChunkStream(const std::filesystem::path& path, std::int64_t shard_bytes, std::vector<ChunkPlace> chunks)
    : chunks_(std::move(chunks)) {
  for (std::size_t i = 0; i < kInputs; ++i) inputs_.emplace_back(path, shard_bytes);
  bytes_.resize(kInputs);
  thread_ = std::thread([this] { serve(); });
}

ChunkStream::~ChunkStream() {
  {
    const std::lock_guard lock(mutex_);
    leaving_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void ChunkStream::serve() {
  std::unique_lock lock(mutex_);
  while (read_ < chunks_.size() && !failure_) {
    changed_.wait(lock, [&] { return leaving_ || read_ - freed_ < kInputs; });
    if (leaving_) return;
    const std::size_t input = read_ % kInputs;
    const ChunkPlace place = chunks_[read_];
    lock.unlock();
    std::span<const std::byte> bytes;
    std::exception_ptr failure;
    try {
      bytes = inputs_[input].read_chunk(place.offset, place.bytes);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    bytes_[input] = bytes;
    failure_ = failure;
    if (!failure) ++read_;
    changed_.notify_all();
  }
}

std::span<const std::byte> ChunkStream::next() {
  std::unique_lock lock(mutex_);
  if (at_hand_) ++freed_;
  at_hand_ = true;
  changed_.notify_all();
  changed_.wait(lock, [&] { return read_ > freed_ || failure_; });
  if (read_ <= freed_) std::rethrow_exception(failure_);
  return bytes_[freed_ % kInputs];
}

}  // namespace stoa::checkpoint
