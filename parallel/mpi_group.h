#pragma once
/// An MPI communicator of a group and how to wait on it: polled until a deadline, and so that a failure of one rank is
/// known to all that wait. A rank that gives up, or whose object ends by an exception, sends the others an alarm; ranks
/// that wait look for alarms. Whoever gave up in a collective hears by the same alarms which ranks had come, so errors
/// name those that had not. Used by MpiMessages and MpiMail; one thread at a time.
#include <mpi.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/parallel/mpi_parts.h"
#include "stoa/parallel/patience.h"

namespace stoa::parallel {

class MpiGroup {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  /// Tags of point-to-point messages of others on this communicator.
  static constexpr int kMailTag = 1;
  static constexpr int kPieceTag = 3;

  /// Takes the communicator over. `members`: the rank in the job of each.
  MpiGroup(MPI_Comm communicator, std::vector<int> members);
  /// Does not wait. MPI keeps the communicator until it ends: a message of a rank that failed may still be on its way
  /// to it, and Open MPI, which gives numbers of freed communicators out again, crashes where such a message meets
  /// another one.
  ~MpiGroup();
  MpiGroup(const MpiGroup&) = delete;
  MpiGroup& operator=(const MpiGroup&) = delete;

  MPI_Comm communicator() const { return communicator_; }
  int rank() const { return rank_; }
  int size() const { return static_cast<int>(members_.size()); }
  int member(int rank) const { return members_[static_cast<std::size_t>(rank)]; }
  bool failed() const { return failed_; }
  void set_waiting(Waiting waiting) { waiting_ = waiting; }

  /// Waits for the end of a nonblocking collective, or of all the messages that make one up; a further one begins.
  /// Every rank waits for them in the same order.
  void await_all(MPI_Request& request, TimePoint deadline) { await_all(std::span(&request, 1), deadline); }
  void await_all(std::span<MPI_Request> requests, TimePoint deadline);
  /// Waits for the end of a message; `late` is the CommError's text when the deadline passes.
  void await_message(MPI_Request& request, TimePoint deadline, std::string_view late);

  /// The others stop waiting and throw.
  void break_group(std::string_view reason);
  [[noreturn]] void fail(const std::string& message);
  /// This rank's wait under way, and every later one, throws. Any thread.
  void interrupt() { interrupted_.store(true); }

 private:
  struct Alarm;
  enum class Outcome { kDone, kLate, kAlarm };

  enum class Wait { kCollective, kMessage };

  Outcome wait(std::span<MPI_Request> requests, Wait kind, TimePoint deadline);
  bool is_alarmed(Wait kind) const;
  void send_alarm(int kind, std::string_view reason);
  void receive_alarms();
  [[noreturn]] void call_the_roll();
  std::string missing_ranks() const;

  MPI_Comm communicator_;
  int rank_ = 0;
  std::vector<int> members_;
  int uncaught_at_start_;
  Waiting waiting_ = Waiting::kEager;
  std::atomic<bool> interrupted_ = false;
  bool failed_ = false;
  std::uint64_t begun_ = 0, ended_ = 0;  ///< collectives
  std::vector<std::uint64_t> reached_;   ///< the collective that each rank which sent an alarm had begun
  bool roll_is_called_ = false;
  std::string broken_;             ///< by whom and why, as an alarm told
  std::uint64_t whole_until_ = 0;  ///< the collectives that had ended before that
};

}  // namespace stoa::parallel
