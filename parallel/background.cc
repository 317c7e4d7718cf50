#include "stoa/parallel/background.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <utility>

namespace stoa::parallel {
namespace {

double now_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// As sched_setattr(2) takes it; the system's header of it does not go together with <sched.h>.
struct SchedulingAttributes {
  std::uint32_t size = sizeof(SchedulingAttributes);
  std::uint32_t policy = SCHED_OTHER;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime_ns = 0, deadline_ns = 0, period_ns = 0;
};

/// Where this thread shares a processor with one that computes, it works for microseconds at a time: a short slice lets
/// it interrupt the other's long one as soon as it wakes (Linux 6.12 and later; others take no notice). Without it each
/// round trip between ranks waits for a slice of milliseconds.
void ask_for_short_slices() {
  constexpr std::uint64_t kSlice_ns = 100'000;  // the least that the kernel grants
  SchedulingAttributes attributes;
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return;
  if (attributes.policy != SCHED_OTHER) return;
  attributes.runtime_ns = kSlice_ns;
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

}  // namespace

Background::Background(std::unique_ptr<Communicator> group)
    : group_(std::move(group)), uncaught_at_start_(std::uncaught_exceptions()) {
  if (group_->size() == 1) return;
  group_->set_waiting(Waiting::kPolite);
  thread_ = std::thread([this] { serve(); });
}

Background::~Background() {
  if (!thread_.joinable()) return;
  if (std::uncaught_exceptions() > uncaught_at_start_) group_->interrupt("it ended by an exception");
  {
    const std::lock_guard lock(mutex_);
    leaving_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Background::serve() {
  ask_for_short_slices();
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return leaving_ || !work_.empty(); });
    if (work_.empty() || (leaving_ && failure_)) return;
    const auto work = std::move(work_.front());
    work_.pop_front();
    if (!failure_) {
      lock.unlock();
      const double begin_s = now_s();
      std::exception_ptr failure;
      try {
        work(*group_);
      } catch (const std::exception& error) {
        failure = std::current_exception();
        group_->interrupt_rank(error.what());
      } catch (...) {
        failure = std::current_exception();
        group_->interrupt_rank("its work failed");
      }
      lock.lock();
      busy_s_ += now_s() - begin_s;
      failure_ = failure;
    }
    ++done_;
    changed_.notify_all();
  }
}

Background::Ticket Background::start(std::function<void(Communicator&)> work) {
  if (!thread_.joinable()) {
    work(*group_);
    return 0;
  }
  Ticket ticket = 0;
  {
    const std::lock_guard lock(mutex_);
    work_.push_back(std::move(work));
    ticket = ++started_;
  }
  changed_.notify_all();
  return ticket;
}

void Background::wait(Ticket ticket) {
  if (ticket == 0) return;
  std::unique_lock lock(mutex_);
  const double begin_s = now_s();
  changed_.wait(lock, [&] { return done_ >= ticket; });
  waited_s_ += now_s() - begin_s;
  if (failure_) std::rethrow_exception(failure_);
}

double Background::busy_s() const {
  const std::lock_guard lock(mutex_);
  return busy_s_;
}

}  // namespace stoa::parallel
