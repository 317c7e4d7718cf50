#include "stoa/parallel/thread_ranks.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <string>
#include <thread>

#include "stoa/base/error.h"
#include "stoa/parallel/shard.h"
#include "stoa/parallel/tree_reduce.h"

namespace stoa::parallel {
namespace {

// What a rank shows the others while a collective runs.
struct Post {
  char collective = ' ';
  std::byte* data = nullptr;
  std::size_t size_bytes = 0;
};

}  // namespace

// Where the ranks wait for each other: the n-th arrival of each rank belongs to the n-th meeting.
class ThreadRanks::Meeting {
 public:
  explicit Meeting(int ranks) : posts(static_cast<std::size_t>(ranks)), arrivals_(static_cast<std::size_t>(ranks), 0) {}

  void wait_for_all(int rank, std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    const std::uint64_t mine = ++arrivals_[static_cast<std::size_t>(rank)];
    const auto all_came = [&] {
      return std::all_of(arrivals_.begin(), arrivals_.end(), [&](std::uint64_t arrival) { return arrival >= mine; });
    };
    if (all_came()) changed_.notify_all();
    changed_.wait_until(lock, deadline, [&] { return all_came() || !broken_.empty(); });
    if (all_came()) return;
    if (!broken_.empty()) throw CommError("the group broke: {}", broken_);
    std::string message;
    for (std::size_t other = 0; other < arrivals_.size(); ++other)
      if (arrivals_[other] < mine) message += fmt::format("{}rank {}", message.empty() ? "" : ", ", other);
    message += " did not come before the deadline";
    broken_ = message;
    changed_.notify_all();
    throw CommError("{}", message);
  }

  void break_group(std::string_view reason) {
    const std::lock_guard lock(mutex_);
    if (broken_.empty()) broken_ = reason;
    changed_.notify_all();
  }

  /// Written by their rank before a meeting, read by all until the next one.
  std::vector<Post> posts;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::uint64_t> arrivals_;
  std::string broken_;
};

class ThreadRanks::Rank final : public Communicator {
 public:
  Rank(Meeting& meeting, int rank, double deadline_s) : Communicator(deadline_s), meeting_(meeting), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(meeting_.posts.size()); }
  int local_rank() const override { return rank_; }
  int local_size() const override { return size(); }

 private:
  void do_barrier() override {
    show({.collective = 'b'});
    meet();
  }

  void do_all_reduce(std::span<float> values, ReduceOp op) override { reduce(values, op); }
  void do_all_reduce(std::span<double> values, ReduceOp op) override { reduce(values, op); }
  void do_all_reduce(std::span<std::int64_t> values, ReduceOp op) override { reduce(values, op); }

  void do_all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    show({.collective = 'g', .data = const_cast<std::byte*>(mine.data()), .size_bytes = mine.size()});
    for (int other = 0; other < size(); ++other) {
      const std::byte* const from = meeting_.posts[static_cast<std::size_t>(other)].data;
      std::copy_n(from, mine.size(), all.begin() + other * static_cast<std::ptrdiff_t>(mine.size()));
    }
    meet();
  }

  void do_broadcast(std::span<std::byte> bytes, int root) override {
    show({.collective = 'c', .data = bytes.data(), .size_bytes = bytes.size()});
    if (rank_ != root) std::copy_n(meeting_.posts[static_cast<std::size_t>(root)].data, bytes.size(), bytes.begin());
    meet();
  }

  // Each rank reduces its slice over everyone's memory and writes it to everyone's memory.
  template <typename T>
  void reduce(std::span<T> values, ReduceOp op) {
    show({.collective = 'r', .data = reinterpret_cast<std::byte*>(values.data()), .size_bytes = values.size_bytes()});
    const Slice slice = balanced_slice(static_cast<std::int64_t>(values.size()), size(), rank_);
    std::vector<T*> ranks;
    for (const Post& post : meeting_.posts) ranks.push_back(reinterpret_cast<T*>(post.data) + slice.begin);
    tree_reduce_in_place<T>(ranks, static_cast<std::size_t>(slice.size()), op);
    meet();
  }

  // All ranks see the same posts here, so all of them throw or none does.
  void show(const Post& mine) {
    meeting_.posts[static_cast<std::size_t>(rank_)] = mine;
    meet();
    const Post& first = meeting_.posts.front();
    for (const Post& post : meeting_.posts)
      if (post.collective != first.collective || post.size_bytes != first.size_bytes)
        throw CommError("the ranks do not make the same call: {} bytes here, {} or another collective elsewhere",
                        mine.size_bytes, first.size_bytes == mine.size_bytes ? post.size_bytes : first.size_bytes);
  }

  void meet() { meeting_.wait_for_all(rank_, call_deadline()); }

  Meeting& meeting_;
  int rank_;
};

ThreadRanks::ThreadRanks(int ranks, double deadline_s) : meeting_(std::make_unique<Meeting>(ranks)) {
  for (int rank = 0; rank < ranks; ++rank)
    communicators_.push_back(std::make_unique<Rank>(*meeting_, rank, deadline_s));
}

ThreadRanks::~ThreadRanks() = default;

void ThreadRanks::break_group(std::string_view reason) { meeting_->break_group(reason); }

void run_thread_ranks(int ranks, double deadline_s, const std::function<void(Communicator&)>& body) {
  ThreadRanks group(ranks, deadline_s);
  std::mutex mutex;
  std::exception_ptr first_failure;
  const auto keep_failure = [&](int rank, std::string_view reason) {
    {
      const std::lock_guard lock(mutex);
      if (!first_failure) first_failure = std::current_exception();
    }
    group.break_group(fmt::format("rank {} failed: {}", rank, reason));
  };
  {
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < ranks; ++rank)
      threads.emplace_back([&, rank] {
        try {
          body(group.communicator(rank));
        } catch (const std::exception& error) {
          keep_failure(rank, error.what());
        } catch (...) {
          keep_failure(rank, "an exception that is no std::exception");
        }
      });
  }
  if (first_failure) std::rethrow_exception(first_failure);
}

}  // namespace stoa::parallel
