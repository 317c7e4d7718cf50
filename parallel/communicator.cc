#include "stoa/parallel/communicator.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "stoa/base/error.h"
#include "stoa/parallel/private_memory.h"

namespace stoa::parallel {

namespace {

constexpr std::string_view kJob = "job";
constexpr std::size_t kMembersTold = 8;

// "tensor group of ranks 2, 3"
std::string full_name(std::string_view name, std::span<const int> members) {
  if (name == kJob) return std::string(name);
  const auto told = members.first(std::min(kMembersTold, members.size()));
  const std::string more =
      told.size() < members.size() ? fmt::format(", ... {} ({} in all)", members.back(), members.size()) : "";
  return fmt::format("{} of {} {}{}", name, members.size() == 1 ? "rank" : "ranks", fmt::join(told, ", "), more);
}

}  // namespace

void RankGroups::enter(Communicator& group) {
  const std::lock_guard lock(mutex_);
  living_.push_back(&group);
}

void RankGroups::leave(Communicator& group) {
  const std::lock_guard lock(mutex_);
  std::erase(living_, &group);
}

void RankGroups::interrupt(std::string_view reason) {
  const std::lock_guard lock(mutex_);
  for (Communicator* group : living_) group->interrupt(reason);
}

Communicator::Communicator(double deadline_s, std::string_view name, std::vector<int> members)
    : deadline_s_(deadline_s), name_(full_name(name, members)), members_(std::move(members)) {
  join_rank(std::make_shared<RankGroups>());
}

Communicator::~Communicator() { leave_rank(); }

// A group of one waits for nobody.
void Communicator::join_rank(std::shared_ptr<RankGroups> groups) {
  leave_rank();
  groups_ = std::move(groups);
  if (members_.size() == 1) return;
  groups_->book.add(name_, ledger_);
  groups_->enter(*this);
}

void Communicator::leave_rank() {
  if (groups_) groups_->leave(*this);
}

void Communicator::begin_call(std::string_view collective, std::string_view what, std::size_t size_bytes) {
  if (is_broken())
    throw CommError("{} {} on rank {} of the {}: the group broke before: {}", collective, what,
                    members_[std::size_t(rank())], name_, broken_);
  call_collective_ = collective;
  call_what_ = what;
  call_number_ = ledger_->begin(collective, what, size_bytes);
  call_deadline_ = std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                                                          std::chrono::duration<double>(deadline_s_));
}

// Called in a catch block.
void Communicator::fail_call() {
  const std::string name = fmt::format("#{} {} {} on rank {} of the {} (deadline {:g} s)", call_number_,
                                       call_collective_, call_what_, members_[std::size_t(rank())], name_, deadline_s_);
  try {
    throw;
  } catch (const CommError& error) {
    const bool told = dynamic_cast<const BrokenByAnother*>(&error) != nullptr;
    groups_->book.note(told ? GroupLoss::kTold : GroupLoss::kFound);
    broken_ = fmt::format("{}: {}", name, error.what());
    on_failure(error.what());
    throw CommError("{}", broken_);
  } catch (const std::exception& error) {
    broken_ = fmt::format("{}: {}", name, error.what());
    on_failure(error.what());
    throw;
  } catch (...) {
    broken_ = name;
    on_failure(name);
    throw;
  }
}

void Communicator::barrier(std::string_view what) {
  run_call("barrier", what, 0, [&] { do_barrier(); });
}

void Communicator::all_reduce(std::span<float> values, ReduceOp op, std::string_view what) {
  run_call("all_reduce", what, values.size_bytes(), [&] { do_all_reduce(values, op); });
}

void Communicator::all_reduce(std::span<double> values, ReduceOp op, std::string_view what) {
  run_call("all_reduce", what, values.size_bytes(), [&] { do_all_reduce(values, op); });
}

void Communicator::all_reduce(std::span<std::int64_t> values, ReduceOp op, std::string_view what) {
  run_call("all_reduce", what, values.size_bytes(), [&] { do_all_reduce(values, op); });
}

void Communicator::all_gather(std::span<const std::byte> mine, std::span<std::byte> all, std::string_view what) {
  if (all.size() != mine.size() * static_cast<std::size_t>(size()))
    throw InternalError("all_gather {}: {} ranks with {} bytes each do not fill {} bytes", what, size(), mine.size(),
                        all.size());
  run_call("all_gather", what, all.size(), [&] { do_all_gather(mine, all); });
}

void Communicator::broadcast(std::span<std::byte> bytes, int root, std::string_view what) {
  if (root < 0 || root >= size()) throw InternalError("broadcast {}: no rank {} among {}", what, root, size());
  run_call("broadcast", what, bytes.size(), [&] { do_broadcast(bytes, root); });
}

void Communicator::reduce_scatter(std::span<float> terms, std::span<const std::size_t> parts, std::span<float> mine,
                                  std::string_view what) {
  check_parts(parts, terms.size(), what);
  if (mine.size() != parts[std::size_t(rank())])
    throw InternalError("reduce_scatter {}: {} values for a part of {}", what, mine.size(), parts[std::size_t(rank())]);
  run_call("reduce_scatter", what, terms.size_bytes(), [&] { do_reduce_scatter(terms, parts, mine); });
}

void Communicator::all_gather_parts(std::span<std::byte> all, std::span<const std::size_t> parts,
                                    std::string_view what) {
  check_parts(parts, all.size(), what);
  run_call("all_gather", what, all.size(), [&] { do_all_gather_parts(all, parts); });
}

void Communicator::send(std::span<const std::byte> bytes, int to, std::string_view what) {
  check_peer(to, what);
  run_call("send", what, bytes.size(), [&] { do_send(bytes, to); });
}

void Communicator::receive(std::span<std::byte> bytes, int from, std::string_view what) {
  check_peer(from, what);
  run_call("receive", what, bytes.size(), [&] { do_receive(bytes, from); });
}

std::unique_ptr<Communicator> Communicator::split(int colour, std::string_view name) {
  if (colour < 0) throw InternalError("split into {}: {} is no colour", name, colour);
  std::unique_ptr<Communicator> group;
  run_call("split", name, 0, [&] {
    const std::int64_t mine = colour;
    std::vector<std::int64_t> colours(members_.size());
    do_all_gather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(colours)));
    group = do_split(colours, name);
  });
  group->join_rank(groups_);
  return group;
}

void Communicator::check_parts(std::span<const std::size_t> parts, std::size_t all, std::string_view what) const {
  if (parts.size() != std::size_t(size()) || std::reduce(parts.begin(), parts.end()) != all)
    throw InternalError("{}: {} parts of {} together are not the {} parts of {}", what, parts.size(),
                        std::reduce(parts.begin(), parts.end()), size(), all);
}

void Communicator::check_peer(int peer, std::string_view what) const {
  if (peer < 0 || peer >= size() || peer == rank())
    throw InternalError("{}: rank {} of {} has no message partner {}", what, rank(), size(), peer);
}

void Communicator::set_waiting(Waiting) {}

void Communicator::interrupt(std::string_view) {}

void Communicator::on_failure(std::string_view) {}

bool Communicator::all_agree(bool mine, std::string_view what) {
  std::int64_t agreed = mine ? 1 : 0;
  run_call("all_agree", what, sizeof agreed, [&] { do_all_reduce(std::span(&agreed, 1), ReduceOp::kMin); });
  return agreed == 1;
}

std::unique_ptr<CommunicatorMemory> Communicator::allocate(std::size_t bytes, std::string_view what) {
  return std::make_unique<PrivateMemory>(bytes, what);
}

}  // namespace stoa::parallel
