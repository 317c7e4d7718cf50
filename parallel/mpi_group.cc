#include "stoa/parallel/mpi_group.h"

#include <algorithm>
#include <array>
#include <exception>
#include <memory>
#include <utility>

#include "stoa/parallel/communicator.h"

namespace stoa::parallel {
namespace {

constexpr int kAlarmTag = 2;
constexpr int kWaits = 1;
constexpr int kBroke = 2;
// Ranks that wait look for alarms at every nap; this is long even where many ranks share a processor.
constexpr auto kRollCall = std::chrono::seconds(1);

}  // namespace

struct MpiGroup::Alarm {
  int kind = 0;
  std::uint64_t begun = 0, ended = 0;
  std::array<char, 488> reason{};
};

MpiGroup::MpiGroup(MPI_Comm communicator, std::vector<int> members)
    : communicator_(communicator),
      members_(std::move(members)),
      uncaught_at_start_(std::uncaught_exceptions()),
      reached_(members_.size(), 0) {
  MPI_Comm_set_errhandler(communicator_, MPI_ERRORS_RETURN);
  MPI_Comm_rank(communicator_, &rank_);
}

MpiGroup::~MpiGroup() {
  if (std::uncaught_exceptions() > uncaught_at_start_) break_group("it ended by an exception");
}

// MPI keeps them until they are received: nobody waits for that.
void MpiGroup::send_alarm(int kind, std::string_view reason) {
  auto alarm = std::make_unique<Alarm>();
  alarm->kind = kind;
  alarm->begun = begun_;
  alarm->ended = ended_;
  std::copy_n(reason.begin(), std::min(reason.size(), alarm->reason.size() - 1), alarm->reason.begin());
  for (int other = 0; other < size(); ++other) {
    if (other == rank_) continue;
    MPI_Request request;
    if (MPI_Isend(alarm.get(), sizeof *alarm, MPI_BYTE, other, kAlarmTag, communicator_, &request) == MPI_SUCCESS)
      MPI_Request_free(&request);
  }
  static_cast<void>(alarm.release());
}

void MpiGroup::break_group(std::string_view reason) {
  if (std::exchange(failed_, true)) return;
  send_alarm(kBroke, reason);
}

void MpiGroup::fail(const std::string& message) {
  break_group(message);
  throw CommError("{}", message);
}

void MpiGroup::receive_alarms() {
  while (true) {
    int there = 0;
    MPI_Status status;
    check_mpi(MPI_Iprobe(MPI_ANY_SOURCE, kAlarmTag, communicator_, &there, &status), "MPI_Iprobe");
    if (there == 0) return;
    Alarm alarm;
    check_mpi(MPI_Recv(&alarm, sizeof alarm, MPI_BYTE, status.MPI_SOURCE, kAlarmTag, communicator_, MPI_STATUS_IGNORE),
              "MPI_Recv");
    reached_[static_cast<std::size_t>(status.MPI_SOURCE)] = alarm.begun;
    if (alarm.kind == kWaits) roll_is_called_ = true;
    if (alarm.kind != kBroke || !broken_.empty()) continue;
    whole_until_ = alarm.ended;
    broken_ = fmt::format("rank {} broke the group: {}", member(status.MPI_SOURCE), alarm.reason.data());
  }
}

// A collective that has ended for the rank that failed later will end here too.
bool MpiGroup::is_alarmed(Wait kind) const {
  return roll_is_called_ || (!broken_.empty() && (kind == Wait::kMessage || whole_until_ < begun_));
}

MpiGroup::Outcome MpiGroup::wait(std::span<MPI_Request> requests, Wait kind, TimePoint deadline) {
  Patience patience(deadline, waiting_);
  for (Outcome otherwise = Outcome::kDone;;) {
    int done = 0;
    check_mpi(MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE),
              "MPI_Testall");
    // What was sent before an alarm is here when the alarm is.
    if (done != 0 || otherwise != Outcome::kDone) return done != 0 ? Outcome::kDone : otherwise;
    const bool late = !patience.wait_a_little();
    if (interrupted_.load()) fail("this rank gave the group up");
    if (late || patience.has_left_its_processor()) receive_alarms();
    if (is_alarmed(kind))
      otherwise = Outcome::kAlarm;
    else if (late)
      otherwise = Outcome::kLate;
  }
}

void MpiGroup::await_all(std::span<MPI_Request> requests, TimePoint deadline) {
  ++begun_;
  if (wait(requests, Wait::kCollective, deadline) != Outcome::kDone) call_the_roll();
  ++ended_;
}

void MpiGroup::await_message(MPI_Request& request, TimePoint deadline, std::string_view late) {
  const Outcome outcome = wait(std::span(&request, 1), Wait::kMessage, deadline);
  if (outcome == Outcome::kDone) return;
  if (outcome == Outcome::kLate) fail(std::string(late));
  if (broken_.empty()) fail("the other ranks gave a collective of the group up");
  failed_ = true;
  throw BrokenByAnother("{}", broken_);
}

std::string MpiGroup::missing_ranks() const {
  std::string missing;
  for (int other = 0; other < size(); ++other)
    if (other != rank_ && reached_[static_cast<std::size_t>(other)] < begun_)
      missing += fmt::format("{}rank {}", missing.empty() ? "" : ", ", member(other));
  return missing;
}

// Everyone who waits here tells everyone, once.
void MpiGroup::call_the_roll() {
  failed_ = true;
  send_alarm(kWaits, "");
  Patience patience(std::chrono::steady_clock::now() + kRollCall, Waiting::kPolite);
  std::string missing = missing_ranks();
  while (broken_.empty() && !missing.empty() && patience.wait_a_little()) {
    receive_alarms();
    missing = missing_ranks();
  }
  if (!broken_.empty()) throw BrokenByAnother("{}", broken_);
  if (missing.empty()) throw CommError("every rank came, but not before the deadline");
  throw CommError("{} did not come before the deadline", missing);
}

}  // namespace stoa::parallel
