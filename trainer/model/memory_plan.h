#pragma once
/// Memory planned once: a table of named parts of a few buffers. The same table is printed without running.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "stoa/parallel/shard.h"

namespace stoa::trainer {

enum class MemoryKind {
  kParameters,
  kGradients,
  kOptimizer,
  kActivations,
  kCommunication,
  kWorkspace,
  kRuntime,     ///< program and libraries: measured, not planned
  kNeighbours,  ///< memory of other ranks of the node that this one reaches into: its own there, resident here too
};
inline constexpr int kMemoryKinds = 8;

const char* memory_kind_name(MemoryKind kind);

/// "1,234.5": one unit for columns that are to be added up.
std::string format_mib(std::size_t size_bytes);

struct MemoryPart {
  MemoryKind kind;
  std::string name;  ///< "residual stream before attention"
  std::size_t size_bytes;
};

/// One rank's memory, part by part.
struct MemoryTable {
  std::vector<MemoryPart> parts;
  std::size_t total(MemoryKind kind) const;
  /// What this rank takes of its node: all but kNeighbours.
  std::size_t total() const;
  /// What the system counts as resident in its process (VmHWM): all.
  std::size_t resident() const;
  /// Nothing where size_bytes is 0.
  void add(MemoryKind kind, std::string name, std::size_t size_bytes);
  /// One line a name: parts of a kind that have the same name are one, "NAME, 12 times".
  MemoryTable merged() const;
  /// Aligned columns for a terminal, in MiB: a subtotal per kind, the total and what is resident.
  std::string describe() const;
};

/// Zeroed memory in huge pages where the kernel gives them, touched by its owner. Move-only.
class PageBuffer {
 public:
  PageBuffer() = default;
  /// ResourceError where the system refuses.
  explicit PageBuffer(std::size_t size_bytes);
  /// Addresses for all of it, of which the owner touches these bytes alone (ascending, apart from each other). Huge
  /// pages stand only where they lie inside a range, so that committed_bytes() tells what the memory costs.
  PageBuffer(std::size_t size_bytes, std::span<const parallel::Slice> used_bytes);
  PageBuffer(PageBuffer&& other) noexcept;
  PageBuffer& operator=(PageBuffer&& other) noexcept;
  ~PageBuffer();

  std::span<std::byte> bytes() { return {static_cast<std::byte*>(address_), size_}; }
  template <typename T>
  std::span<T> as() {
    return {static_cast<T*>(address_), size_ / sizeof(T)};
  }
  template <typename T>
  std::span<const T> as() const {
    return {static_cast<const T*>(address_), size_ / sizeof(T)};
  }

 private:
  void advise(std::size_t begin, std::size_t end, int advice);

  void* address_ = nullptr;
  std::size_t size_ = 0;
};

/// Of the pages that a sparse PageBuffer's owner touches.
std::size_t committed_bytes(std::span<const parallel::Slice> used_bytes);
/// Of a PageBuffer in use throughout: whole huge pages (transparent_hugepage/enabled is `madvise` or `always`; where a
/// system gives none, up to 2 MiB less).
std::size_t committed_bytes(std::size_t size_bytes);
/// Of memory from a group of ranks (Communicator::allocate), which is in huge pages only where there is one at least.
std::size_t committed_group_bytes(std::size_t size_bytes);

/// Carves one buffer into aligned parts and writes each into the table. First pass without memory (sizes only), second
/// pass with a buffer of size_bytes(): the same calls in the same order.
class Carver {
 public:
  Carver(MemoryKind kind, MemoryTable* table) : kind_(kind), table_(table) {}
  explicit Carver(std::span<std::byte> memory) : memory_(memory) {}

  template <typename T>
  std::span<T> take(const char* name, std::size_t count) {
    std::byte* at = reserve(name, count * sizeof(T));
    return at == nullptr ? std::span<T>() : std::span<T>(reinterpret_cast<T*>(at), count);
  }
  std::size_t size_bytes() const { return used_; }

 private:
  std::byte* reserve(const char* name, std::size_t size_bytes);

  MemoryKind kind_ = MemoryKind::kWorkspace;
  MemoryTable* table_ = nullptr;
  std::span<std::byte> memory_;
  std::size_t used_ = 0;
};

}  // namespace stoa::trainer
