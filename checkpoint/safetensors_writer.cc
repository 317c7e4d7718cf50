#include "stoa/checkpoint/safetensors_writer.h"

#include <fcntl.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "stoa/base/error.h"
#include "stoa/checkpoint/piece_table.h"
#include "stoa/checkpoint/shard_output.h"

namespace stoa::checkpoint {
namespace {

constexpr std::size_t kBlocks = 3;

const std::filesystem::path& created(const std::filesystem::path& path) {
  open_file(path, O_WRONLY | O_CREAT | O_EXCL);
  return path;
}

/// Blocks on their way into the file, in order.
class BlockPipe {
 public:
  explicit BlockPipe(ShardOutput& output) : output_(output) {
    for (std::size_t block = 0; block < kBlocks; ++block) free_.push_back(ShardOutput::make_block());
    thread_ = std::thread([this] { write_all_that_comes(); });
  }
  ~BlockPipe() {
    {
      const std::scoped_lock lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  /// A block to fill; waits for one, or throws what went wrong.
  ShardOutput::Block take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return failure_ || !free_.empty(); });
    if (failure_) std::rethrow_exception(failure_);
    ShardOutput::Block block = std::move(free_.front());
    free_.pop_front();
    return block;
  }
  void give(ShardOutput::Block block, std::int64_t offset, std::size_t bytes) {
    const std::scoped_lock lock(mutex_);
    filled_.push_back({std::move(block), offset, bytes});
    changed_.notify_all();
  }
  /// Until everything given is in the file.
  void drain() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return failure_ || (filled_.empty() && !writing_); });
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  struct Filled {
    ShardOutput::Block block;
    std::int64_t offset;
    std::size_t bytes;
  };

  void write_all_that_comes() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return closed_ || !filled_.empty(); });
      if (closed_) return;
      Filled next = std::move(filled_.front());
      filled_.pop_front();
      writing_ = true;
      lock.unlock();
      std::exception_ptr failure;
      try {
        output_.write_at(next.offset, {next.block.get(), next.bytes});
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      writing_ = false;
      if (failure && !failure_) failure_ = failure;
      free_.push_back(std::move(next.block));
      changed_.notify_all();
    }
  }

  ShardOutput& output_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<ShardOutput::Block> free_;
  std::deque<Filled> filled_;
  bool writing_ = false;
  bool closed_ = false;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace

struct SafetensorsWriter::State {
  explicit State(const std::filesystem::path& file) : path(file), output(created(file)), pipe(output) {}

  void hand_on() {
    pipe.give(std::move(block), offset, filled);
    offset += static_cast<std::int64_t>(filled);
    filled = 0;
  }

  std::filesystem::path path;
  std::int64_t bytes = 0;  // of the whole file
  std::int64_t offset = 0;
  ShardOutput::Block block;  // being filled
  std::size_t filled = 0;
  ShardOutput output;
  BlockPipe pipe;
};

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, std::vector<SafetensorsEntry> entries)
    : state_(std::make_unique<State>(path)) {
  const std::string header = format_safetensors_header(entries);
  state_->bytes = static_cast<std::int64_t>(header.size());
  for (const SafetensorsEntry& entry : entries) state_->bytes += entry.bytes;
  append(std::as_bytes(std::span(header)));
  if (state_->filled > 0) state_->hand_on();  // so that blocks of data stand at multiples of a block
}

SafetensorsWriter::~SafetensorsWriter() = default;

void SafetensorsWriter::append(std::span<const std::byte> bytes) {
  State& state = *state_;
  while (!bytes.empty()) {
    if (!state.block) state.block = state.pipe.take();
    const std::size_t count = std::min(bytes.size(), static_cast<std::size_t>(kTransferBytes) - state.filled);
    std::memcpy(state.block.get() + state.filled, bytes.data(), count);
    state.filled += count;
    bytes = bytes.subspan(count);
    if (state.filled == static_cast<std::size_t>(kTransferBytes)) state.hand_on();
  }
}

void SafetensorsWriter::finish() {
  State& state = *state_;
  if (state.filled > 0) state.hand_on();
  state.pipe.drain();
  if (state.offset != state.bytes)
    throw InternalError("{}: {} bytes were written, the header says {}", state.path.string(), state.offset,
                        state.bytes);
  state.output.sync();
}

}  // namespace stoa::checkpoint
