#include "stoa/parallel/dry_run.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "stoa/base/error.h"

namespace stoa::parallel {
namespace {

std::vector<int> members_of_job(int size) {
  std::vector<int> members(static_cast<std::size_t>(size));
  std::iota(members.begin(), members.end(), 0);
  return members;
}

template <typename T>
std::span<T> part_of(std::span<T> all, std::span<const std::size_t> parts, int rank) {
  return all.subspan(std::reduce(parts.begin(), parts.begin() + rank, std::size_t{0}),
                     parts[static_cast<std::size_t>(rank)]);
}

}  // namespace

void TrafficLog::add(const Key& key, const Traffic& traffic) {
  const std::lock_guard lock(mutex_);
  Traffic& sum = entries_[key];
  sum.calls += traffic.calls;
  sum.messages += traffic.messages;
  sum.bytes += traffic.bytes;
}

std::map<TrafficLog::Key, TrafficLog::Traffic> TrafficLog::entries() const {
  const std::lock_guard lock(mutex_);
  return entries_;
}

std::uint64_t TrafficLog::total_bytes() const {
  const std::lock_guard lock(mutex_);
  std::uint64_t bytes = 0;
  for (const auto& [key, traffic] : entries_) bytes += traffic.bytes;
  return bytes;
}

DryRun::DryRun(int rank, int size, TrafficLog& log, ColourOf colour_of)
    : DryRun("job", members_of_job(size), rank, log, std::move(colour_of)) {}

DryRun::DryRun(std::string_view name, std::vector<int> members, int rank, TrafficLog& log, ColourOf colour_of)
    : Communicator(0, name, std::move(members)), rank_(rank), log_(log), colour_of_(std::move(colour_of)) {}

void DryRun::count(std::uint64_t messages, std::uint64_t bytes) {
  log_.add({.group = name(), .collective = std::string(call_collective()), .what = std::string(call_what())},
           {.calls = 1, .messages = messages, .bytes = bytes});
}

void DryRun::do_barrier() { count(members().size() - 1, 0); }

// Its slices differ by a value at most.
void DryRun::count_reduction(std::size_t size_bytes) {
  const std::size_t n = members().size();
  count(2 * (n - 1), 2 * (size_bytes - size_bytes / n));
}

void DryRun::do_all_reduce(std::span<float> values, ReduceOp) { count_reduction(values.size_bytes()); }
void DryRun::do_all_reduce(std::span<double> values, ReduceOp) { count_reduction(values.size_bytes()); }
void DryRun::do_all_reduce(std::span<std::int64_t> values, ReduceOp) { count_reduction(values.size_bytes()); }

void DryRun::do_all_gather(std::span<const std::byte> mine, std::span<std::byte> all) {
  std::fill(all.begin(), all.end(), std::byte{0});
  std::copy(mine.begin(), mine.end(), all.subspan(static_cast<std::size_t>(rank_) * mine.size()).begin());
  count(members().size() - 1, all.size() - mine.size());
}

void DryRun::do_broadcast(std::span<std::byte> bytes, int root) {
  if (root == rank_) return count(members().size() - 1, bytes.size() * (members().size() - 1));
  std::fill(bytes.begin(), bytes.end(), std::byte{0});
  count(0, 0);
}

void DryRun::do_reduce_scatter(std::span<float> terms, std::span<const std::size_t> parts, std::span<float> mine) {
  const std::span<float> own = part_of(terms, parts, rank_);
  if (own.data() != mine.data()) std::copy(own.begin(), own.end(), mine.begin());
  count(members().size() - 1, terms.size_bytes() - mine.size_bytes());
}

void DryRun::do_all_gather_parts(std::span<std::byte> all, std::span<const std::size_t> parts) {
  const std::span<std::byte> own = part_of(all, parts, rank_);
  std::fill(all.begin(), all.begin() + (own.data() - all.data()), std::byte{0});
  std::fill(all.begin() + (own.data() - all.data()) + std::ssize(own), all.end(), std::byte{0});
  count(members().size() - 1, own.size() * (members().size() - 1));
}

void DryRun::do_send(std::span<const std::byte> bytes, int) { count(1, bytes.size()); }

void DryRun::do_receive(std::span<std::byte> bytes, int) {
  std::fill(bytes.begin(), bytes.end(), std::byte{0});
  count(0, 0);
}

// Of the colours given, only this rank's is real.
std::unique_ptr<Communicator> DryRun::do_split(std::span<const std::int64_t> colours, std::string_view name) {
  const auto mine = static_cast<int>(colours[static_cast<std::size_t>(rank_)]);
  const int me = members()[static_cast<std::size_t>(rank_)];
  if (colour_of_(me, name) != mine)
    throw InternalError("split into {}: rank {} gives colour {}, but the dry run was told {}", name, me, mine,
                        colour_of_(me, name));
  std::vector<int> group;
  for (const int member : members())
    if (colour_of_(member, name) == mine) group.push_back(member);
  const auto place = static_cast<int>(std::find(group.begin(), group.end(), me) - group.begin());
  return std::unique_ptr<Communicator>(new DryRun(name, std::move(group), place, log_, colour_of_));
}

}  // namespace stoa::parallel
