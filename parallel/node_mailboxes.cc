#include "stoa/parallel/node_mailboxes.h"

#include <atomic>
#include <cstring>

#include "stoa/base/error.h"
#include "stoa/base/units.h"

namespace stoa::parallel {
namespace {

constexpr std::size_t kCacheLine = 64;
constexpr std::size_t kPage = 4096;
constexpr auto kSlots = static_cast<std::size_t>(Communicator::kWaitingMessages);

constexpr std::size_t whole_pages(std::size_t size) { return (size + kPage - 1) / kPage * kPage; }

}  // namespace

struct alignas(kCacheLine) NodeMailboxes::Header {
  std::atomic<std::uint64_t> added;  ///< bytes that slots have added to the memory
};

// Written by the sender, read by the receiver once `sent` counts the message.
struct NodeMailboxes::Slot {
  std::uint64_t begin;  ///< offset in the memory; 0 while it has no pages
  std::uint64_t capacity;
  std::uint64_t size;  ///< of the message
};

struct alignas(kCacheLine) NodeMailboxes::Channel {
  Slot slots[kSlots];
  std::atomic<std::uint64_t> sent;
  alignas(kCacheLine) std::atomic<std::uint64_t> received;
};

std::size_t NodeMailboxes::bytes_needed(int ranks) {
  const auto n = static_cast<std::size_t>(ranks);
  return sizeof(Header) + n * n * sizeof(Channel);
}

NodeMailboxes::NodeMailboxes(NodeMemory& memory, std::size_t at, NodeMeeting& meeting)
    : memory_(memory),
      at_(at),
      meeting_(meeting),
      sending_(kSlots * static_cast<std::size_t>(meeting.ranks())),
      receiving_(sending_.size()) {}

NodeMailboxes::Channel& NodeMailboxes::channel(int from, int to) const {
  auto* const channels = reinterpret_cast<Channel*>(memory_.bytes().data() + at_ + sizeof(Header));
  return channels[from * meeting_.ranks() + to];
}

// The pages of the message's slot, mapped here.
NodeMailboxes::Mapped& NodeMailboxes::mapped(int from, int to, std::uint64_t message) {
  const bool sends = from == meeting_.rank();
  const auto place = static_cast<std::size_t>(sends ? to : from) * kSlots + message % kSlots;
  Mapped& mapped = sends ? sending_[place] : receiving_[place];
  const Slot& slot = channel(from, to).slots[message % kSlots];
  if (mapped.begin != slot.begin) mapped = {slot.begin, memory_.map(slot.begin, slot.capacity)};
  return mapped;
}

// Nobody reads the slot now: what it held was received.
void NodeMailboxes::grow(Slot& slot, std::size_t size) {
  if (slot.capacity > 0) memory_.give_back(slot.begin, slot.capacity);
  auto& header = *reinterpret_cast<Header*>(memory_.bytes().data() + at_);
  const std::size_t capacity = whole_pages(size);
  const std::size_t begin = whole_pages(memory_.bytes().size()) + header.added.fetch_add(capacity);
  if (!memory_.extend(begin, capacity))
    throw ResourceError("this node gives no {} of memory for a message between its ranks",
                        format_bytes(static_cast<double>(capacity)));
  slot.begin = begin;
  slot.capacity = capacity;
}

void NodeMailboxes::send(std::span<const std::byte> bytes, int to, TimePoint deadline) {
  Channel& channel = this->channel(meeting_.rank(), to);
  const std::uint64_t message = channel.sent.load(std::memory_order_relaxed);
  const auto has_room = [&] { return message - channel.received.load(std::memory_order_acquire) < kSlots; };
  if (!meeting_.wait(to, deadline, has_room))
    meeting_.fail(fmt::format("rank {} took no message before the deadline", meeting_.member(to)));
  Slot& slot = channel.slots[message % kSlots];
  if (slot.capacity < bytes.size()) grow(slot, bytes.size());
  if (!bytes.empty())
    std::memcpy(mapped(meeting_.rank(), to, message).pages.bytes().data(), bytes.data(), bytes.size());
  slot.size = bytes.size();
  channel.sent.store(message + 1, std::memory_order_release);
}

void NodeMailboxes::receive(std::span<std::byte> bytes, int from, TimePoint deadline) {
  Channel& channel = this->channel(from, meeting_.rank());
  const std::uint64_t message = channel.received.load(std::memory_order_relaxed);
  const auto is_there = [&] { return channel.sent.load(std::memory_order_acquire) > message; };
  if (!meeting_.wait(from, deadline, is_there))
    meeting_.fail(fmt::format("rank {} sent nothing before the deadline", meeting_.member(from)));
  const std::uint64_t size = channel.slots[message % kSlots].size;
  if (size != bytes.size())
    meeting_.fail(
        fmt::format("rank {} sent {} bytes where {} were expected", meeting_.member(from), size, bytes.size()));
  if (size > 0) std::memcpy(bytes.data(), mapped(from, meeting_.rank(), message).pages.bytes().data(), size);
  channel.received.store(message + 1, std::memory_order_release);
}

}  // namespace stoa::parallel
