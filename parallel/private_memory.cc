#include "stoa/parallel/private_memory.h"

#include <sys/mman.h>

#include <cstdint>
#include <limits>

#include "stoa/base/error.h"
#include "stoa/base/units.h"

namespace stoa::parallel {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

}  // namespace

PrivateMemory::PrivateMemory(std::size_t bytes, std::string_view what) : size_(bytes) {
  if (bytes == 0) return;
  const std::size_t alignment = bytes >= kHugePage ? kHugePage : kPage;
  // One more, so that the begin can stand at a multiple; what is never touched costs addresses alone.
  const bool representable = bytes < std::numeric_limits<std::size_t>::max() - 2 * alignment;
  mapped_bytes_ = representable ? bytes / alignment * alignment + 2 * alignment : 0;
  if (representable) mapped_ = mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped_ == nullptr || mapped_ == MAP_FAILED)
    throw ResourceError("{}: this machine has no {} of memory", what, format_bytes(static_cast<double>(bytes)));
  const auto begin = reinterpret_cast<std::uintptr_t>(mapped_);
  address_ = static_cast<std::byte*>(mapped_) + (alignment - begin % alignment) % alignment;
  if (alignment == kHugePage) madvise(address_, bytes, MADV_HUGEPAGE);
}

PrivateMemory::~PrivateMemory() {
  if (mapped_ != nullptr) munmap(mapped_, mapped_bytes_);
}

}  // namespace stoa::parallel
