#include "stoa/parallel/node_collectives.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <optional>

#include "stoa/base/error.h"
#include "stoa/parallel/patience.h"
#include "stoa/parallel/shard.h"
#include "stoa/parallel/tree_reduce.h"

namespace stoa::parallel {
namespace {

constexpr std::size_t kCacheLine = 64;
constexpr std::size_t kSmallBytes = 4096;
constexpr std::size_t kStagingBytes = std::size_t{1} << 20;
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kPage = 4096;

// What all ranks must have in common in one meeting; a mixture of bits, so that different calls hardly ever look the
// same.
std::uint64_t signature(std::uint64_t collective, std::uint64_t size_bytes, std::uint64_t place = 0) {
  std::uint64_t mixed = 0x9e3779b97f4a7c15u;
  for (const std::uint64_t part : {collective, size_bytes, place})
    mixed = ((mixed ^ part) * 0xff51afd7ed558ccdu) ^ (mixed >> 29);
  return mixed;
}

enum Collective : std::uint64_t {
  kBarrier = 1,
  kReduce,
  kReduceDone,
  kGather,
  kGatherDone,
  kBroadcast,
  kBroadcastDone
};

// The part of [offset, offset + size) that one rank reduces: whole cache lines, so that no line is written by two
// ranks.
Slice cache_line_slice(std::size_t offset, std::size_t size, int ranks, int rank) {
  const auto begin = static_cast<std::int64_t>(offset);
  const auto end = static_cast<std::int64_t>(offset + size);
  constexpr auto kLine = static_cast<std::int64_t>(kCacheLine);
  const std::int64_t first_line = begin / kLine;
  const Slice lines = balanced_slice((end + kLine - 1) / kLine - first_line, ranks, rank);
  return {std::clamp((first_line + lines.begin) * kLine, begin, end),
          std::clamp((first_line + lines.end) * kLine, begin, end)};
}

}  // namespace

struct alignas(kCacheLine) NodeCollectives::Header {
  std::atomic<int> broken_by;  ///< rank + 1; 0 while the group is whole
};

// Written by one rank only. Signatures of two meetings, because a rank may be one meeting ahead of a reader.
struct alignas(kCacheLine) NodeCollectives::Seat {
  std::atomic<std::uint64_t> epoch;
  std::atomic<std::uint64_t> signature[2];
  std::atomic<int> left;
};

class NodeCollectives::SharedMemory final : public CommunicatorMemory {
 public:
  SharedMemory(NodeCollectives& node, NodeMemory memory, const Region& region, std::size_t size)
      : node_(node), memory_(std::move(memory)), number_(region.number), size_(size) {
    mine_ = region.base + static_cast<std::size_t>(node.rank_) * region.stride;
    node_.regions_.push_back(region);
  }
  ~SharedMemory() override {
    std::erase_if(node_.regions_, [&](const Region& region) { return region.number == number_; });
  }
  std::span<std::byte> bytes() override { return {mine_, size_}; }

 private:
  NodeCollectives& node_;
  NodeMemory memory_;
  std::uint64_t number_;
  std::byte* mine_ = nullptr;
  std::size_t size_;
};

// The memory: header, seats, two small slots a rank, staging of each rank.
std::size_t NodeCollectives::bytes_needed(int ranks) {
  const auto n = static_cast<std::size_t>(ranks);
  return sizeof(Header) + n * (sizeof(Seat) + 2 * kSmallBytes + kStagingBytes);
}

NodeCollectives::Header& NodeCollectives::header() const {
  return *reinterpret_cast<Header*>(const_cast<NodeMemory&>(memory_).bytes().data());
}

NodeCollectives::Seat& NodeCollectives::seat(int rank) const { return reinterpret_cast<Seat*>(&header() + 1)[rank]; }

std::byte* NodeCollectives::small_slot(int rank) const {
  const auto slot = static_cast<std::size_t>(2 * rank) + small_calls_ % 2;
  return reinterpret_cast<std::byte*>(&seat(ranks_)) + slot * kSmallBytes;
}

std::byte* NodeCollectives::staging(int rank) const {
  const auto slots = static_cast<std::size_t>(2 * ranks_) * kSmallBytes;
  return reinterpret_cast<std::byte*>(&seat(ranks_)) + slots + static_cast<std::size_t>(rank) * kStagingBytes;
}

NodeCollectives::NodeCollectives(NodeMemory memory, int rank, int ranks)
    : memory_(std::move(memory)), rank_(rank), ranks_(ranks), uncaught_at_start_(std::uncaught_exceptions()) {
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<int>::is_always_lock_free);
}

NodeCollectives::~NodeCollectives() {
  if (std::uncaught_exceptions() > uncaught_at_start_) break_group();
  seat(rank_).left.store(1, std::memory_order_release);
}

void NodeCollectives::break_group() {
  int whole = 0;
  header().broken_by.compare_exchange_strong(whole, rank_ + 1);
}

void NodeCollectives::fail(const std::string& message) {
  break_group();
  throw CommError("{}", message);
}

void NodeCollectives::meet(std::uint64_t signature, TimePoint deadline) {
  Seat& mine = seat(rank_);
  ++epoch_;
  mine.signature[epoch_ % 2].store(signature, std::memory_order_relaxed);
  mine.epoch.store(epoch_, std::memory_order_release);
  for (int other = 0; other < ranks_; ++other) wait_for(other, deadline);
  for (int other = 0; other < ranks_; ++other)
    if (seat(other).signature[epoch_ % 2].load(std::memory_order_relaxed) != signature)
      fail(fmt::format("rank {} makes another call here, or one with other sizes or memory", other));
}

void NodeCollectives::wait_for(int other, TimePoint deadline) {
  Patience patience(deadline);
  const Seat& awaited = seat(other);
  const auto came = [&] { return awaited.epoch.load(std::memory_order_acquire) >= epoch_; };
  while (!came()) {
    const int broken_by = header().broken_by.load(std::memory_order_acquire);
    const bool left = awaited.left.load(std::memory_order_acquire) != 0;
    // It may have come and gone since the look above.
    if ((broken_by != 0 || left) && came()) return;
    if (broken_by != 0) throw CommError("rank {} broke the group", broken_by - 1);
    if (left) fail(fmt::format("rank {} has left the group", other));
    if (patience.wait_a_little()) continue;
    std::string missing;
    for (int late = 0; late < ranks_; ++late)
      if (seat(late).epoch.load(std::memory_order_acquire) < epoch_)
        missing += fmt::format("{}rank {}", missing.empty() ? "" : ", ", late);
    if (!missing.empty()) fail(missing + " did not come before the deadline");
  }
}

const NodeCollectives::Region* NodeCollectives::region_of(std::span<const std::byte> bytes) const {
  for (const Region& region : regions_) {
    const std::byte* const mine = region.base + static_cast<std::size_t>(rank_) * region.stride;
    if (bytes.data() >= mine && bytes.data() + bytes.size() <= mine + region.stride) return &region;
  }
  return nullptr;
}

void NodeCollectives::barrier(TimePoint deadline) { meet(signature(kBarrier, 0), deadline); }

// Afterwards every rank reads small_slot(r) of each rank. Two slots take turns: a rank writes one again only after a
// meeting to which the others came when they had read it.
void NodeCollectives::share_small(std::span<const std::byte> mine, std::uint64_t signature, TimePoint deadline) {
  ++small_calls_;
  if (!mine.empty()) std::memcpy(small_slot(rank_), mine.data(), mine.size());
  meet(signature, deadline);
}

template <typename T>
void NodeCollectives::reduce_in_place(const Region& region, std::size_t offset, std::size_t size_bytes, ReduceOp op,
                                      TimePoint deadline) {
  const std::uint64_t place = (region.number << 48) ^ offset;
  meet(signature(kReduce, size_bytes, place), deadline);
  const Slice slice = cache_line_slice(offset, size_bytes, ranks_, rank_);
  std::vector<T*> values;
  for (int rank = 0; rank < ranks_; ++rank)
    values.push_back(reinterpret_cast<T*>(region.base + static_cast<std::size_t>(rank) * region.stride + slice.begin));
  tree_reduce_in_place<T>(values, static_cast<std::size_t>(slice.size()) / sizeof(T), op);
  meet(signature(kReduceDone, size_bytes, place), deadline);
}

template <typename T>
void NodeCollectives::all_reduce(std::span<T> values, ReduceOp op, TimePoint deadline) {
  const auto bytes = std::as_writable_bytes(values);
  if (bytes.size() <= kSmallBytes) {
    share_small(bytes, signature(kReduce, bytes.size()), deadline);
    std::vector<T*> slots;
    for (int rank = 0; rank < ranks_; ++rank) slots.push_back(reinterpret_cast<T*>(small_slot(rank)));
    tree_reduce<T>(slots, values.size(), op, values.data());
    return;
  }
  if (const Region* const region = region_of(bytes)) {
    const std::byte* const mine = region->base + static_cast<std::size_t>(rank_) * region->stride;
    return reduce_in_place<T>(*region, static_cast<std::size_t>(bytes.data() - mine), bytes.size(), op, deadline);
  }
  const Region staged{.number = 0, .base = staging(0), .stride = kStagingBytes};
  for (std::size_t at = 0; at < bytes.size(); at += kStagingBytes) {
    const auto chunk = bytes.subspan(at, std::min(kStagingBytes, bytes.size() - at));
    std::memcpy(staging(rank_), chunk.data(), chunk.size());
    reduce_in_place<T>(staged, 0, chunk.size(), op, deadline);
    std::memcpy(chunk.data(), staging(rank_), chunk.size());
  }
}

template void NodeCollectives::all_reduce(std::span<float>, ReduceOp, TimePoint);
template void NodeCollectives::all_reduce(std::span<double>, ReduceOp, TimePoint);
template void NodeCollectives::all_reduce(std::span<std::int64_t>, ReduceOp, TimePoint);

void NodeCollectives::all_gather(std::span<const std::byte> mine, std::span<std::byte> all, TimePoint deadline) {
  const auto part = [&](int rank) { return all.subspan(static_cast<std::size_t>(rank) * mine.size(), mine.size()); };
  if (mine.size() <= kSmallBytes) {
    share_small(mine, signature(kGather, mine.size()), deadline);
    for (int rank = 0; rank < ranks_; ++rank) std::copy_n(small_slot(rank), mine.size(), part(rank).begin());
    return;
  }
  for (std::size_t at = 0; at < mine.size(); at += kStagingBytes) {
    const std::size_t size = std::min(kStagingBytes, mine.size() - at);
    std::memcpy(staging(rank_), mine.data() + at, size);
    meet(signature(kGather, mine.size(), at), deadline);
    for (int rank = 0; rank < ranks_; ++rank) std::memcpy(part(rank).data() + at, staging(rank), size);
    meet(signature(kGatherDone, mine.size(), at), deadline);
  }
}

void NodeCollectives::broadcast(std::span<std::byte> bytes, int root, TimePoint deadline) {
  const auto root_bits = static_cast<std::uint64_t>(root) << 48;
  if (bytes.size() <= kSmallBytes) {
    const std::span<const std::byte> mine = rank_ == root ? bytes : bytes.first(0);
    share_small(mine, signature(kBroadcast, bytes.size(), root_bits), deadline);
    if (rank_ != root) std::copy_n(small_slot(root), bytes.size(), bytes.begin());
    return;
  }
  for (std::size_t at = 0; at < bytes.size(); at += kStagingBytes) {
    const auto chunk = bytes.subspan(at, std::min(kStagingBytes, bytes.size() - at));
    if (rank_ == root) std::memcpy(staging(root), chunk.data(), chunk.size());
    meet(signature(kBroadcast, bytes.size(), root_bits ^ at), deadline);
    if (rank_ != root) std::memcpy(chunk.data(), staging(root), chunk.size());
    meet(signature(kBroadcastDone, bytes.size(), root_bits ^ at), deadline);
  }
}

std::unique_ptr<CommunicatorMemory> NodeCollectives::allocate(std::size_t bytes, std::string_view what,
                                                              TimePoint deadline) {
  const std::size_t unit = bytes >= kHugePage ? kHugePage : kPage;
  const std::size_t stride = std::max(unit, (bytes + unit - 1) / unit * unit);
  std::optional<NodeMemory> memory;
  NodeMemoryName name;
  std::string reason = fmt::format("a rank of this node has no {} bytes to share", bytes);
  if (rank_ == 0) try {
      memory.emplace(NodeMemory::create(stride * static_cast<std::size_t>(ranks_)));
      name = memory->name();
    } catch (const Error& error) {
      reason = error.what();
    }
  broadcast(std::as_writable_bytes(std::span(&name, 1)), 0, deadline);
  if (rank_ != 0 && name.descriptor >= 0) memory = NodeMemory::attach(name);
  std::int64_t mapped = memory && memory->populate(static_cast<std::size_t>(rank_) * stride, stride) ? 1 : 0;
  all_reduce(std::span(&mapped, 1), ReduceOp::kMin, deadline);
  if (mapped == 0) throw ResourceError("{}: {}", what, reason);
  memory->forget_name();
  const Region region{.number = ++regions_made_, .base = memory->bytes().data(), .stride = stride};
  return std::make_unique<SharedMemory>(*this, std::move(*memory), region, bytes);
}

}  // namespace stoa::parallel
