#include "stoa/trainer/model/memory_plan.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <map>
#include <utility>

#include "stoa/base/error.h"
#include "stoa/base/units.h"

namespace stoa::trainer {
namespace {

constexpr std::size_t kPartAlignment = 256;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

std::size_t round_up(std::size_t value, std::size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

/// Begins at a huge page's border.
void* reserve_pages(std::size_t size_bytes) {
  // Over-reserve by one huge page and give the unaligned ends back, so that the kernel can use huge pages throughout.
  const std::size_t wanted = round_up(size_bytes, kHugePage) + kHugePage;
  void* raw = mmap(nullptr, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED)
    throw ResourceError("cannot reserve {} of memory: {}", format_bytes(double(size_bytes)), errno_message(errno));
  const auto begin = reinterpret_cast<std::uintptr_t>(raw);
  const std::uintptr_t aligned = round_up(begin, kHugePage);
  const std::uintptr_t end = aligned + round_up(size_bytes, kHugePage);
  if (aligned > begin) munmap(raw, aligned - begin);
  if (begin + wanted > end) munmap(reinterpret_cast<void*>(end), begin + wanted - end);
  return reinterpret_cast<void*>(aligned);
}

}  // namespace

const char* memory_kind_name(MemoryKind kind) {
  switch (kind) {
    case MemoryKind::kParameters:
      return "parameters";
    case MemoryKind::kGradients:
      return "gradients";
    case MemoryKind::kOptimizer:
      return "optimizer";
    case MemoryKind::kActivations:
      return "activations";
    case MemoryKind::kCommunication:
      return "communication";
    case MemoryKind::kWorkspace:
      return "workspace";
    case MemoryKind::kRuntime:
      return "libraries and runtime";
    case MemoryKind::kNeighbours:
      return "shared by other ranks of the node";
  }
  return "";
}

std::string format_mib(std::size_t size_bytes) {
  const auto tenths = std::int64_t(std::llround(10 * double(size_bytes) / double(std::size_t{1} << 20)));
  return fmt::format("{}.{}", format_grouped(tenths / 10), tenths % 10);
}

std::size_t MemoryTable::total(MemoryKind kind) const {
  std::size_t sum = 0;
  for (const MemoryPart& part : parts)
    if (part.kind == kind) sum += part.size_bytes;
  return sum;
}

std::size_t MemoryTable::total() const { return resident() - total(MemoryKind::kNeighbours); }

std::size_t MemoryTable::resident() const {
  std::size_t sum = 0;
  for (const MemoryPart& part : parts) sum += part.size_bytes;
  return sum;
}

void MemoryTable::add(MemoryKind kind, std::string name, std::size_t size_bytes) {
  if (size_bytes > 0) parts.push_back({kind, std::move(name), size_bytes});
}

MemoryTable MemoryTable::merged() const {
  MemoryTable table;
  std::map<std::pair<MemoryKind, std::string>, std::size_t> at;
  std::vector<int> times;
  for (const MemoryPart& part : parts) {
    const auto [found, fresh] = at.try_emplace({part.kind, part.name}, table.parts.size());
    if (fresh) {
      table.parts.push_back({part.kind, part.name, 0});
      times.push_back(0);
    }
    table.parts[found->second].size_bytes += part.size_bytes;
    ++times[found->second];
  }
  for (std::size_t i = 0; i < times.size(); ++i)
    if (times[i] > 1) table.parts[i].name += fmt::format(", {} times", times[i]);
  return table;
}

std::string MemoryTable::describe() const {
  std::string text;
  const auto row = [&](std::string_view name, std::size_t bytes) {
    text += fmt::format("{:<56} {:>12} MiB\n", name, format_mib(bytes));
  };
  for (int number = 0; number < kMemoryKinds; ++number) {
    const auto kind = static_cast<MemoryKind>(number);
    if (kind == MemoryKind::kNeighbours) row("total per rank", total());
    for (const MemoryPart& part : parts)
      if (part.kind == kind) row("  " + part.name, part.size_bytes);
    row(memory_kind_name(kind), total(kind));
  }
  row("resident (VmHWM)", resident());
  return text;
}

PageBuffer::PageBuffer(std::size_t size_bytes) : size_(size_bytes) {
  if (size_bytes == 0) return;
  address_ = reserve_pages(size_bytes);
  advise(0, round_up(size_bytes, kHugePage), MADV_HUGEPAGE);
}

PageBuffer::PageBuffer(std::size_t size_bytes, std::span<const parallel::Slice> used_bytes) : size_(size_bytes) {
  if (size_bytes == 0) return;
  address_ = reserve_pages(size_bytes);
  // Where the system gives huge pages without being asked, it would give them here too.
  advise(0, round_up(size_bytes, kHugePage), MADV_NOHUGEPAGE);
  for (const parallel::Slice& range : used_bytes)
    advise(round_up(std::size_t(range.begin), kHugePage), std::size_t(range.end) / kHugePage * kHugePage,
           MADV_HUGEPAGE);
}

void PageBuffer::advise(std::size_t begin, std::size_t end, int advice) {
  if (begin < end) madvise(static_cast<std::byte*>(address_) + begin, end - begin, advice);
}

PageBuffer::PageBuffer(PageBuffer&& other) noexcept
    : address_(std::exchange(other.address_, nullptr)), size_(std::exchange(other.size_, 0)) {}

PageBuffer& PageBuffer::operator=(PageBuffer&& other) noexcept {
  std::swap(address_, other.address_);
  std::swap(size_, other.size_);
  return *this;
}

PageBuffer::~PageBuffer() {
  if (address_ != nullptr) munmap(address_, round_up(size_, kHugePage));
}

std::size_t committed_bytes(std::span<const parallel::Slice> used_bytes) {
  const auto page = std::size_t(sysconf(_SC_PAGESIZE));
  std::size_t pages = 0, counted_to = 0;
  for (const parallel::Slice& range : used_bytes) {
    const std::size_t begin = std::max(counted_to, std::size_t(range.begin) / page);
    counted_to = (std::size_t(range.end) + page - 1) / page;
    pages += counted_to - begin;
  }
  return pages * page;
}

std::size_t committed_bytes(std::size_t size_bytes) { return round_up(size_bytes, kHugePage); }

std::size_t committed_group_bytes(std::size_t size_bytes) {
  return round_up(size_bytes, size_bytes >= kHugePage ? kHugePage : std::size_t(sysconf(_SC_PAGESIZE)));
}

std::byte* Carver::reserve(const char* name, std::size_t size_bytes) {
  const std::size_t at = used_;
  used_ += round_up(size_bytes, kPartAlignment);
  if (table_ != nullptr && size_bytes > 0) table_->parts.push_back({kind_, name, round_up(size_bytes, kPartAlignment)});
  if (memory_.empty()) return nullptr;
  if (used_ > memory_.size()) throw InternalError("memory plan: '{}' does not fit into its buffer", name);
  return memory_.data() + at;
}

}  // namespace stoa::trainer
