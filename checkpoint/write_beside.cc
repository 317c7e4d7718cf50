#include "stoa/checkpoint/write_beside.h"

#include <utility>

namespace stoa::checkpoint {

WriteBeside::WriteBeside(ShardOutput& output) : output_(output), thread_([this] { serve(); }) {}

WriteBeside::~WriteBeside() {
  {
    const std::lock_guard lock(mutex_);
    leaving_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void WriteBeside::serve() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return leaving_ || !bytes_.empty(); });
    if (bytes_.empty()) return;
    lock.unlock();
    std::exception_ptr failure;
    try {
      output_.write_at(offset_, bytes_);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    bytes_ = {};
    failure_ = failure;
    changed_.notify_all();
  }
}

void WriteBeside::start(std::int64_t offset, std::span<const std::byte> bytes) {
  {
    const std::lock_guard lock(mutex_);
    offset_ = offset;
    bytes_ = bytes;
  }
  changed_.notify_all();
}

void WriteBeside::finish() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return bytes_.empty(); });
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

}  // namespace stoa::checkpoint
