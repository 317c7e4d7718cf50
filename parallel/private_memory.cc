#include "stoa/parallel/private_memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "stoa/base/error.h"
#include "stoa/base/units.h"

namespace stoa::parallel {
namespace {

constexpr std::size_t kCacheLine = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

}  // namespace

PrivateMemory::PrivateMemory(std::size_t bytes, std::string_view what) : size_(bytes) {
  const std::size_t alignment = bytes >= kHugePage ? kHugePage : kCacheLine;
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  if (bytes == 0) return;
  if (rounded >= bytes) address_ = static_cast<std::byte*>(std::aligned_alloc(alignment, rounded));
  if (address_ == nullptr)
    throw ResourceError("{}: this machine has no {} of memory", what, format_bytes(static_cast<double>(bytes)));
  if (alignment == kHugePage) madvise(address_, rounded, MADV_HUGEPAGE);
  std::memset(address_, 0, rounded);
}

PrivateMemory::~PrivateMemory() { std::free(address_); }

}  // namespace stoa::parallel
