#include "stoa/trainer/model/memory_plan.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
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
  }
  return "";
}

std::size_t MemoryTable::total(MemoryKind kind) const {
  std::size_t sum = 0;
  for (const MemoryPart& part : parts)
    if (part.kind == kind) sum += part.size_bytes;
  return sum;
}

std::size_t MemoryTable::total() const {
  std::size_t sum = 0;
  for (const MemoryPart& part : parts) sum += part.size_bytes;
  return sum;
}

std::string MemoryTable::describe() const {
  std::string text;
  for (int kind = 0; kind < kMemoryKinds; ++kind) {
    const auto asked = static_cast<MemoryKind>(kind);
    for (const MemoryPart& part : parts)
      if (part.kind == asked)
        text += fmt::format("  {:<48} {:>12}\n", part.name, format_bytes(double(part.size_bytes)));
    text += fmt::format("{:<50} {:>12}\n", memory_kind_name(asked), format_bytes(double(total(asked))));
  }
  text += fmt::format("{:<50} {:>12}\n", "total per rank", format_bytes(double(total())));
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

std::byte* Carver::reserve(const char* name, std::size_t size_bytes) {
  const std::size_t at = used_;
  used_ += round_up(size_bytes, kPartAlignment);
  if (table_ != nullptr && size_bytes > 0) table_->parts.push_back({kind_, name, round_up(size_bytes, kPartAlignment)});
  if (memory_.empty()) return nullptr;
  if (used_ > memory_.size()) throw InternalError("memory plan: '{}' does not fit into its buffer", name);
  return memory_.data() + at;
}

}  // namespace stoa::trainer
