#include "stoa/parallel/background.h"

#include <chrono>
#include <utility>

namespace stoa::parallel {
namespace {

double now_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

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
