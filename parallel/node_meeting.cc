#include "stoa/parallel/node_meeting.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <exception>
#include <utility>

#include "stoa/base/durable_file.h"
#include "stoa/parallel/communicator.h"

namespace stoa::parallel {
namespace {

constexpr std::size_t kCacheLine = 64;
constexpr std::size_t kReasonBytes = 512 - 2 * sizeof(int);
constexpr auto kUntilTold = std::chrono::milliseconds(100);

// Also where its parent has not heard of it yet. False where the system cannot tell (before Linux 5.3).
bool has_ended(pid_t process) {
  const FileDescriptor handle(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
  if (!handle) return errno == ESRCH;
  pollfd ended{.fd = handle.get(), .events = POLLIN, .revents = 0};
  return ::poll(&ended, 1, 0) == 1;
}

}  // namespace

struct alignas(kCacheLine) NodeMeeting::Header {
  std::atomic<int> broken_by;  ///< rank + 1; 0 while the group is whole
  std::atomic<int> told;       ///< 1 once the reason stands
  char reason[kReasonBytes];
};

// Written by one rank only. Signatures of two meetings, because a rank may be one meeting ahead of a reader.
struct alignas(kCacheLine) NodeMeeting::Seat {
  std::atomic<std::uint64_t> epoch;
  std::atomic<std::uint64_t> signature[2];
  std::atomic<int> left;
  std::atomic<pid_t> process;  ///< 0 until its rank is here
};

std::size_t NodeMeeting::bytes_needed(int ranks) {
  return sizeof(Header) + static_cast<std::size_t>(ranks) * sizeof(Seat);
}

NodeMeeting::NodeMeeting(std::byte* memory, std::vector<int> members, int rank)
    : memory_(memory), members_(std::move(members)), rank_(rank), uncaught_at_start_(std::uncaught_exceptions()) {
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<int>::is_always_lock_free);
  seat(rank_).process.store(::getpid(), std::memory_order_release);
}

NodeMeeting::~NodeMeeting() {
  if (std::uncaught_exceptions() > uncaught_at_start_) break_group("it ended by an exception");
  seat(rank_).left.store(1, std::memory_order_release);
}

NodeMeeting::Header& NodeMeeting::header() const { return *reinterpret_cast<Header*>(memory_); }

NodeMeeting::Seat& NodeMeeting::seat(int rank) const { return reinterpret_cast<Seat*>(memory_ + sizeof(Header))[rank]; }

void NodeMeeting::break_group(std::string_view reason) {
  int whole = 0;
  if (!header().broken_by.compare_exchange_strong(whole, rank_ + 1)) return;
  // The memory was zeroed: the last byte ends the text.
  std::copy_n(reason.begin(), std::min(reason.size(), kReasonBytes - 1), header().reason);
  header().told.store(1, std::memory_order_release);
}

bool NodeMeeting::is_gone(int other) const {
  const pid_t process = seat(other).process.load(std::memory_order_acquire);
  return process != 0 && has_ended(process);
}

bool NodeMeeting::fail_without(int other) {
  fail(fmt::format("rank {} is gone: its process {} has ended", member(other), seat(other).process.load()));
}

void NodeMeeting::fail(const std::string& message) {
  break_group(message);
  throw CommError("{}", message);
}

NodeMeeting::Trouble NodeMeeting::look_for_trouble(int other) const {
  if (header().broken_by.load(std::memory_order_acquire) != 0) return Trouble::kBroken;
  if (seat(other).left.load(std::memory_order_acquire) != 0) return Trouble::kLeft;
  return Trouble::kNone;
}

bool NodeMeeting::throw_trouble(Trouble trouble, int other) {
  if (trouble == Trouble::kLeft) fail(fmt::format("rank {} has left the group", member(other)));
  const int by = header().broken_by.load(std::memory_order_acquire) - 1;
  // It is about to tell why, unless it has died meanwhile.
  Patience patience(std::chrono::steady_clock::now() + kUntilTold, Waiting::kPolite);
  while (header().told.load(std::memory_order_acquire) == 0 && patience.wait_a_little()) {
  }
  const bool told = header().told.load(std::memory_order_acquire) != 0;
  throw BrokenByAnother("rank {} broke the group{}{}", member(by), told ? ": " : "", told ? header().reason : "");
}

std::string NodeMeeting::late_ranks() const {
  std::string late;
  for (int other = 0; other < ranks(); ++other)
    if (seat(other).epoch.load(std::memory_order_acquire) < epoch_)
      late += fmt::format("{}rank {}", late.empty() ? "" : ", ", member(other));
  return late;
}

void NodeMeeting::meet(std::uint64_t signature, TimePoint deadline) {
  // Who has given a meeting up is not met: what it showed there may be in other use by now.
  if (header().broken_by.load(std::memory_order_acquire) != 0) throw_trouble(Trouble::kBroken, rank_);
  Seat& mine = seat(rank_);
  ++epoch_;
  mine.signature[epoch_ % 2].store(signature, std::memory_order_relaxed);
  mine.epoch.store(epoch_, std::memory_order_release);
  for (int other = 0; other < ranks(); ++other) {
    const Seat& awaited = seat(other);
    const auto came = [&] { return awaited.epoch.load(std::memory_order_acquire) >= epoch_; };
    if (wait(other, deadline, came)) continue;
    const std::string late = late_ranks();
    if (!late.empty()) fail(late + " did not come before the deadline");
  }
  for (int other = 0; other < ranks(); ++other)
    if (seat(other).signature[epoch_ % 2].load(std::memory_order_relaxed) != signature)
      fail(fmt::format("rank {} makes another call here, or one with other sizes or memory", member(other)));
}

}  // namespace stoa::parallel
