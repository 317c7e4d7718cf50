#include "stoa/parallel/node_collectives.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>
#include <utility>

#include "stoa/base/error.h"
#include "stoa/parallel/shard.h"
#include "stoa/parallel/tree_reduce.h"

namespace stoa::parallel {
namespace {

constexpr std::size_t kCacheLine = 64;
constexpr std::size_t kSmallBytes = 4096;
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
  kBroadcastDone,
  kScatter,
  kScatterDone,
  kParts,
  kPartsDone
};

std::uint64_t signature_of_parts(std::uint64_t collective, std::span<const std::size_t> parts, std::uint64_t place) {
  for (const std::size_t part : parts) place = signature(collective, part, place);
  return place;
}

std::size_t begin_of(std::span<const std::size_t> parts, int rank) {
  return std::reduce(parts.begin(), parts.begin() + rank, std::size_t{0});
}

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

class NodeCollectives::SharedMemory final : public CommunicatorMemory {
 public:
  SharedMemory(NodeCollectives& node, NodeMemory memory, const Region& region, std::size_t size)
      : node_(node), memory_(std::move(memory)), number_(region.number), size_(size) {
    mine_ = region.of(node.rank());
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

// The memory: the meeting, the mailboxes, two small slots a rank, staging of each rank.
std::size_t NodeCollectives::bytes_needed(int ranks) {
  const auto n = static_cast<std::size_t>(ranks);
  return NodeMeeting::bytes_needed(ranks) + NodeMailboxes::bytes_needed(ranks) + n * (2 * kSmallBytes + kStagingBytes);
}

NodeCollectives::NodeCollectives(NodeMemory memory, std::vector<int> members, int rank)
    : memory_(std::move(memory)),
      meeting_(memory_.bytes().data(), std::move(members), rank),
      mailboxes_(memory_, NodeMeeting::bytes_needed(meeting_.ranks()), meeting_) {}

std::byte* NodeCollectives::small_slot(int rank) const {
  const auto slot = static_cast<std::size_t>(2 * rank) + small_calls_ % 2;
  std::byte* const slots = staging().base - static_cast<std::size_t>(2 * ranks()) * kSmallBytes;
  return slots + slot * kSmallBytes;
}

NodeCollectives::Region NodeCollectives::staging() const {
  const std::span<std::byte> memory = const_cast<NodeMemory&>(memory_).bytes();
  return {.number = 0,
          .base = memory.data() + bytes_needed(ranks()) - static_cast<std::size_t>(ranks()) * kStagingBytes,
          .stride = kStagingBytes};
}

NodeCollectives::Place NodeCollectives::place_of(std::span<const std::byte> bytes) const {
  // No bytes may begin where one region ends and, on this rank only, another begins.
  if (bytes.empty()) return {};
  for (const Region& region : regions_) {
    const std::byte* const mine = region.of(rank());
    if (bytes.data() >= mine && bytes.data() + bytes.size() <= mine + region.stride)
      return {.region = &region, .offset = static_cast<std::size_t>(bytes.data() - mine)};
  }
  return {};
}

void NodeCollectives::barrier(TimePoint deadline) { meeting_.meet(signature(kBarrier, 0), deadline); }

// Afterwards every rank reads small_slot(r) of each rank. Two slots take turns: a rank writes one again only after a
// meeting to which the others came when they had read it.
void NodeCollectives::share_small(std::span<const std::byte> mine, std::uint64_t signature, TimePoint deadline) {
  ++small_calls_;
  if (!mine.empty()) std::memcpy(small_slot(rank()), mine.data(), mine.size());
  meeting_.meet(signature, deadline);
}

template <typename T>
std::vector<T*> NodeCollectives::ranks_values(const Region& region, std::size_t offset) const {
  std::vector<T*> values;
  for (int rank = 0; rank < ranks(); ++rank) values.push_back(reinterpret_cast<T*>(region.of(rank) + offset));
  return values;
}

template <typename T>
void NodeCollectives::reduce_in_place(const Region& region, std::size_t offset, std::size_t size_bytes, ReduceOp op,
                                      TimePoint deadline) {
  const std::uint64_t place = (region.number << 48) ^ offset;
  meeting_.meet(signature(kReduce, size_bytes, place), deadline);
  const Slice slice = cache_line_slice(offset, size_bytes, ranks(), rank());
  const std::vector<T*> values = ranks_values<T>(region, static_cast<std::size_t>(slice.begin));
  tree_reduce_in_place<T>(values, static_cast<std::size_t>(slice.size()) / sizeof(T), op);
  meeting_.meet(signature(kReduceDone, size_bytes, place), deadline);
}

template <typename T>
void NodeCollectives::all_reduce(std::span<T> values, ReduceOp op, TimePoint deadline) {
  const auto bytes = std::as_writable_bytes(values);
  if (bytes.size() <= kSmallBytes) {
    share_small(bytes, signature(kReduce, bytes.size()), deadline);
    std::vector<T*> slots;
    for (int rank = 0; rank < ranks(); ++rank) slots.push_back(reinterpret_cast<T*>(small_slot(rank)));
    tree_reduce<T>(slots, values.size(), op, values.data());
    return;
  }
  if (const Place place = place_of(bytes); place.region != nullptr)
    return reduce_in_place<T>(*place.region, place.offset, bytes.size(), op, deadline);
  const Region staged = staging();
  for (std::size_t at = 0; at < bytes.size(); at += kStagingBytes) {
    const auto chunk = bytes.subspan(at, std::min(kStagingBytes, bytes.size() - at));
    std::memcpy(staged.of(rank()), chunk.data(), chunk.size());
    reduce_in_place<T>(staged, 0, chunk.size(), op, deadline);
    std::memcpy(chunk.data(), staged.of(rank()), chunk.size());
  }
}

template void NodeCollectives::all_reduce(std::span<float>, ReduceOp, TimePoint);
template void NodeCollectives::all_reduce(std::span<double>, ReduceOp, TimePoint);
template void NodeCollectives::all_reduce(std::span<std::int64_t>, ReduceOp, TimePoint);

void NodeCollectives::all_gather(std::span<const std::byte> mine, std::span<std::byte> all, TimePoint deadline) {
  const auto part = [&](int rank) { return all.subspan(static_cast<std::size_t>(rank) * mine.size(), mine.size()); };
  if (mine.size() <= kSmallBytes) {
    share_small(mine, signature(kGather, mine.size()), deadline);
    for (int rank = 0; rank < ranks(); ++rank) std::copy_n(small_slot(rank), mine.size(), part(rank).begin());
    return;
  }
  for (std::size_t at = 0; at < mine.size(); at += kStagingBytes) {
    const std::size_t size = std::min(kStagingBytes, mine.size() - at);
    std::memcpy(staging().of(rank()), mine.data() + at, size);
    meeting_.meet(signature(kGather, mine.size(), at), deadline);
    for (int rank = 0; rank < ranks(); ++rank) std::memcpy(part(rank).data() + at, staging().of(rank), size);
    meeting_.meet(signature(kGatherDone, mine.size(), at), deadline);
  }
}

void NodeCollectives::broadcast(std::span<std::byte> bytes, int root, TimePoint deadline) {
  const auto root_bits = static_cast<std::uint64_t>(root) << 48;
  if (bytes.size() <= kSmallBytes) {
    const std::span<const std::byte> mine = rank() == root ? bytes : bytes.first(0);
    share_small(mine, signature(kBroadcast, bytes.size(), root_bits), deadline);
    if (rank() != root) std::copy_n(small_slot(root), bytes.size(), bytes.begin());
    return;
  }
  for (std::size_t at = 0; at < bytes.size(); at += kStagingBytes) {
    const auto chunk = bytes.subspan(at, std::min(kStagingBytes, bytes.size() - at));
    if (rank() == root) std::memcpy(staging().of(root), chunk.data(), chunk.size());
    meeting_.meet(signature(kBroadcast, bytes.size(), root_bits ^ at), deadline);
    if (rank() != root) std::memcpy(chunk.data(), staging().of(root), chunk.size());
    meeting_.meet(signature(kBroadcastDone, bytes.size(), root_bits ^ at), deadline);
  }
}

template <typename T>
void NodeCollectives::reduce_scatter(std::span<T> terms, std::span<const std::size_t> parts, std::span<T> mine,
                                     ReduceOp op, TimePoint deadline) {
  const Place place = place_of(std::as_bytes(terms));
  if (place.region == nullptr) return reduce_scatter_staged(terms, parts, mine, op, deadline);
  const std::uint64_t where = (place.region->number << 48) ^ place.offset;
  meeting_.meet(signature_of_parts(kScatter, parts, where), deadline);
  const std::size_t begin = begin_of(parts, rank());
  tree_reduce<T>(ranks_values<T>(*place.region, place.offset + begin * sizeof(T)), mine.size(), op, mine.data());
  meeting_.meet(signature_of_parts(kScatterDone, parts, where), deadline);
}

// In rounds, each over a piece of every rank's part, so that all ranks add in each round.
template <typename T>
void NodeCollectives::reduce_scatter_staged(std::span<T> terms, std::span<const std::size_t> parts, std::span<T> mine,
                                            ReduceOp op, TimePoint deadline) {
  const Region staged = staging();
  const std::size_t piece = kStagingBytes / static_cast<std::size_t>(ranks()) / kCacheLine * kCacheLine / sizeof(T);
  const std::size_t longest = *std::max_element(parts.begin(), parts.end());
  std::size_t at = 0;
  do {
    const auto size = [&](std::size_t rank) { return at < parts[rank] ? std::min(piece, parts[rank] - at) : 0; };
    std::size_t begin = at;
    for (std::size_t rank = 0; rank < parts.size(); begin += parts[rank++])
      if (size(rank) > 0)
        std::memcpy(staged.of(this->rank()) + rank * piece * sizeof(T), terms.data() + begin, size(rank) * sizeof(T));
    meeting_.meet(signature_of_parts(kScatter, parts, at), deadline);
    const auto me = static_cast<std::size_t>(rank());
    if (size(me) > 0) tree_reduce<T>(ranks_values<T>(staged, me * piece * sizeof(T)), size(me), op, mine.data() + at);
    meeting_.meet(signature_of_parts(kScatterDone, parts, at), deadline);
    at += piece;
  } while (at < longest);
}

template void NodeCollectives::reduce_scatter(std::span<float>, std::span<const std::size_t>, std::span<float>,
                                              ReduceOp, TimePoint);
template void NodeCollectives::reduce_scatter(std::span<double>, std::span<const std::size_t>, std::span<double>,
                                              ReduceOp, TimePoint);
template void NodeCollectives::reduce_scatter(std::span<std::int64_t>, std::span<const std::size_t>,
                                              std::span<std::int64_t>, ReduceOp, TimePoint);

void NodeCollectives::all_gather_parts(std::span<std::byte> all, std::span<const std::size_t> parts,
                                       TimePoint deadline) {
  const Place place = place_of(all);
  if (place.region == nullptr) return all_gather_parts_staged(all, parts, deadline);
  const std::uint64_t where = (place.region->number << 48) ^ place.offset;
  meeting_.meet(signature_of_parts(kParts, parts, where), deadline);
  std::size_t begin = 0;
  for (int other = 0; other < ranks(); begin += parts[static_cast<std::size_t>(other++)])
    if (other != rank())
      std::memcpy(all.data() + begin, place.region->of(other) + place.offset + begin,
                  parts[static_cast<std::size_t>(other)]);
  meeting_.meet(signature_of_parts(kPartsDone, parts, where), deadline);
}

void NodeCollectives::all_gather_parts_staged(std::span<std::byte> all, std::span<const std::size_t> parts,
                                              TimePoint deadline) {
  const Region staged = staging();
  const std::size_t longest = *std::max_element(parts.begin(), parts.end());
  std::size_t at = 0;
  do {
    const auto size = [&](int rank) {
      const std::size_t part = parts[static_cast<std::size_t>(rank)];
      return at < part ? std::min(kStagingBytes, part - at) : 0;
    };
    if (size(rank()) > 0) std::memcpy(staged.of(rank()), all.data() + begin_of(parts, rank()) + at, size(rank()));
    meeting_.meet(signature_of_parts(kParts, parts, at), deadline);
    std::size_t begin = at;
    for (int other = 0; other < ranks(); begin += parts[static_cast<std::size_t>(other++)])
      if (other != rank() && size(other) > 0) std::memcpy(all.data() + begin, staged.of(other), size(other));
    meeting_.meet(signature_of_parts(kPartsDone, parts, at), deadline);
    at += kStagingBytes;
  } while (at < longest);
}

std::unique_ptr<CommunicatorMemory> NodeCollectives::allocate(std::size_t bytes, std::string_view what,
                                                              TimePoint deadline) {
  const std::size_t unit = bytes >= kHugePage ? kHugePage : kPage;
  const std::size_t stride = std::max(unit, (bytes + unit - 1) / unit * unit);
  std::optional<NodeMemory> memory;
  NodeMemoryName name;
  std::string reason = fmt::format("a rank of this node has no {} bytes to share", bytes);
  if (rank() == 0) try {
      memory.emplace(NodeMemory::create(stride * static_cast<std::size_t>(ranks())));
      name = memory->name();
    } catch (const Error& error) {
      reason = error.what();
    }
  broadcast(std::as_writable_bytes(std::span(&name, 1)), 0, deadline);
  if (rank() != 0 && name.descriptor >= 0) memory = NodeMemory::attach(name);
  std::int64_t mapped = memory && memory->populate(static_cast<std::size_t>(rank()) * stride, stride) ? 1 : 0;
  all_reduce(std::span(&mapped, 1), ReduceOp::kMin, deadline);
  if (mapped == 0) throw ResourceError("{}: {}", what, reason);
  memory->forget_name();
  const Region region{.number = ++regions_made_, .base = memory->bytes().data(), .stride = stride};
  return std::make_unique<SharedMemory>(*this, std::move(*memory), region, bytes);
}

}  // namespace stoa::parallel
