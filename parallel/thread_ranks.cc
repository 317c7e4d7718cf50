#include "stoa/parallel/thread_ranks.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <numeric>
#include <string>
#include <thread>
#include <utility>

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

// Where the ranks of one group wait for each other: the n-th arrival of each rank belongs to the n-th meeting. Owns the
// groups split from it.
class ThreadRanks::Meeting {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  /// `members`: the ranks of the job.
  explicit Meeting(std::vector<int> members)
      : posts(members.size()), members_(std::move(members)), arrivals_(members_.size(), 0) {}

  const std::vector<int>& members() const { return members_; }

  /// Returns when all have come. All pass or none: who comes to a broken group is not counted.
  void wait_for_all(int rank, TimePoint deadline) {
    std::unique_lock lock(mutex_);
    throw_if_broken();
    const std::uint64_t mine = arrive(rank);
    if (wait(lock, deadline, [&] { return all_came(mine); })) return;
    std::string missing;
    for (std::size_t other = 0; other < arrivals_.size(); ++other)
      if (arrivals_[other] < mine) missing += fmt::format("{}rank {}", missing.empty() ? "" : ", ", members_[other]);
    give_up(missing + " did not come before the deadline");
  }

  /// After wait_for_all: returns when nobody looks at this rank's post any more, also where the group broke meanwhile.
  /// Needs no deadline: all ranks passed wait_for_all, and none waits for anything in between.
  void wait_for_readers(int rank) {
    std::unique_lock lock(mutex_);
    const std::uint64_t mine = arrive(rank);
    changed_.wait(lock, [&] { return all_came(mine); });
  }

  void send(std::span<const std::byte> bytes, int from, int to, TimePoint deadline) {
    std::unique_lock lock(mutex_);
    auto& waiting = messages_[{from, to}];
    if (!wait(lock, deadline, [&] { return waiting.size() < std::size_t(Communicator::kWaitingMessages); }))
      give_up(fmt::format("rank {} took no message before the deadline", members_[std::size_t(to)]));
    waiting.emplace_back(bytes.begin(), bytes.end());
    changed_.notify_all();
  }

  void receive(std::span<std::byte> bytes, int from, int to, TimePoint deadline) {
    std::unique_lock lock(mutex_);
    auto& waiting = messages_[{from, to}];
    if (!wait(lock, deadline, [&] { return !waiting.empty(); }))
      give_up(fmt::format("rank {} sent nothing before the deadline", members_[std::size_t(from)]));
    const std::vector<std::byte> message = std::move(waiting.front());
    waiting.pop_front();
    changed_.notify_all();
    if (message.size() != bytes.size())
      throw CommError("rank {} sent {} bytes where {} were expected", members_[std::size_t(from)], message.size(),
                      bytes.size());
    std::copy(message.begin(), message.end(), bytes.begin());
  }

  /// The group of the split numbered `number` that has these members: made by whoever comes first.
  Meeting& group(std::uint64_t number, const std::vector<int>& members) {
    const std::lock_guard lock(mutex_);
    auto& group = groups_[{number, members.front()}];
    if (!group) group = std::make_unique<Meeting>(members);
    if (!broken_.empty()) group->break_group(broken_);
    return *group;
  }

  void break_group(std::string_view reason) {
    const std::lock_guard lock(mutex_);
    if (broken_.empty()) broken_ = reason;
    changed_.notify_all();
    for (const auto& [key, group] : groups_) group->break_group(reason);
  }

  /// Written by their rank before a meeting, read by all until the next one.
  std::vector<Post> posts;

 private:
  // False where the deadline passed; throws where the group broke.
  template <typename Ready>
  bool wait(std::unique_lock<std::mutex>& lock, TimePoint deadline, Ready&& ready) {
    changed_.wait_until(lock, deadline, [&] { return ready() || !broken_.empty(); });
    if (ready()) return true;
    throw_if_broken();
    return false;
  }

  std::uint64_t arrive(int rank) {
    const std::uint64_t arrival = ++arrivals_[std::size_t(rank)];
    if (all_came(arrival)) changed_.notify_all();
    return arrival;
  }

  bool all_came(std::uint64_t arrival) const {
    return std::all_of(arrivals_.begin(), arrivals_.end(), [&](std::uint64_t other) { return other >= arrival; });
  }

  void throw_if_broken() const {
    if (!broken_.empty()) throw BrokenByAnother("{}", broken_);
  }

  [[noreturn]] void give_up(const std::string& message) {
    broken_ = message;
    changed_.notify_all();
    throw CommError("{}", message);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<int> members_;
  std::vector<std::uint64_t> arrivals_;
  std::map<std::pair<int, int>, std::deque<std::vector<std::byte>>> messages_;
  std::map<std::pair<std::uint64_t, int>, std::unique_ptr<Meeting>> groups_;
  std::string broken_;
};

class ThreadRanks::Rank final : public Communicator {
 public:
  Rank(Meeting& meeting, int rank, double deadline_s, std::string_view name)
      : Communicator(deadline_s, name, meeting.members()), meeting_(meeting), rank_(rank) {}

  ~Rank() override { leave_rank(); }

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(meeting_.posts.size()); }
  int local_rank() const override { return rank_; }
  int local_size() const override { return size(); }
  void interrupt(std::string_view reason) override {
    meeting_.break_group(fmt::format("rank {} broke the group: {}", members()[std::size_t(rank_)], reason));
  }

 private:
  void on_failure(std::string_view reason) override { interrupt(reason); }

  void do_barrier() override {
    show({.collective = 'b'});
    leave();
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
    leave();
  }

  void do_broadcast(std::span<std::byte> bytes, int root) override {
    show({.collective = 'c', .data = bytes.data(), .size_bytes = bytes.size()});
    if (rank_ != root) std::copy_n(meeting_.posts[static_cast<std::size_t>(root)].data, bytes.size(), bytes.begin());
    leave();
  }

  void do_reduce_scatter(std::span<float> terms, std::span<const std::size_t> parts, std::span<float> mine) override {
    show({.collective = 's', .data = reinterpret_cast<std::byte*>(terms.data()), .size_bytes = terms.size_bytes()});
    const std::size_t begin = begin_of(parts);
    std::vector<float*> ranks;
    for (const Post& post : meeting_.posts) ranks.push_back(reinterpret_cast<float*>(post.data) + begin);
    tree_reduce<float>(ranks, mine.size(), ReduceOp::kSum, mine.data());
    leave();
  }

  void do_all_gather_parts(std::span<std::byte> all, std::span<const std::size_t> parts) override {
    show({.collective = 'p', .data = all.data(), .size_bytes = all.size()});
    std::size_t begin = 0;
    for (std::size_t other = 0; other < parts.size(); begin += parts[other++])
      if (int(other) != rank_)
        std::copy_n(meeting_.posts[other].data + begin, parts[other], all.begin() + std::ptrdiff_t(begin));
    leave();
  }

  void do_send(std::span<const std::byte> bytes, int to) override { meeting_.send(bytes, rank_, to, call_deadline()); }
  void do_receive(std::span<std::byte> bytes, int from) override {
    meeting_.receive(bytes, from, rank_, call_deadline());
  }

  std::unique_ptr<Communicator> do_split(std::span<const std::int64_t> colours, std::string_view name) override {
    std::vector<int> members;
    int rank = 0;
    for (std::size_t other = 0; other < colours.size(); ++other) {
      if (int(other) == rank_) rank = int(members.size());
      if (colours[other] == colours[std::size_t(rank_)]) members.push_back(meeting_.members()[other]);
    }
    return std::make_unique<Rank>(meeting_.group(++splits_, members), rank, deadline_s(), name);
  }

  std::size_t begin_of(std::span<const std::size_t> parts) const {
    return std::reduce(parts.begin(), parts.begin() + rank_, std::size_t{0});
  }

  // Each rank reduces its slice over everyone's memory and writes it to everyone's memory.
  template <typename T>
  void reduce(std::span<T> values, ReduceOp op) {
    show({.collective = 'r', .data = reinterpret_cast<std::byte*>(values.data()), .size_bytes = values.size_bytes()});
    const Slice slice = balanced_slice(static_cast<std::int64_t>(values.size()), size(), rank_);
    std::vector<T*> ranks;
    for (const Post& post : meeting_.posts) ranks.push_back(reinterpret_cast<T*>(post.data) + slice.begin);
    tree_reduce_in_place<T>(ranks, static_cast<std::size_t>(slice.size()), op);
    leave();
  }

  // All ranks see the same posts here, so all of them throw or none does.
  void show(const Post& mine) {
    meeting_.posts[static_cast<std::size_t>(rank_)] = mine;
    meeting_.wait_for_all(rank_, call_deadline());
    const Post& first = meeting_.posts.front();
    for (const Post& post : meeting_.posts)
      if (post.collective != first.collective || post.size_bytes != first.size_bytes)
        throw CommError("the ranks do not make the same call: {} bytes here, {} or another collective elsewhere",
                        mine.size_bytes, first.size_bytes == mine.size_bytes ? post.size_bytes : first.size_bytes);
  }

  // Until then the others may read and write what this rank showed.
  void leave() { meeting_.wait_for_readers(rank_); }

  Meeting& meeting_;
  int rank_;
  std::uint64_t splits_ = 0;
};

ThreadRanks::ThreadRanks(int ranks, double deadline_s) {
  std::vector<int> members(static_cast<std::size_t>(ranks));
  std::iota(members.begin(), members.end(), 0);
  meeting_ = std::make_unique<Meeting>(std::move(members));
  for (int rank = 0; rank < ranks; ++rank)
    communicators_.push_back(std::make_unique<Rank>(*meeting_, rank, deadline_s, "job"));
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
