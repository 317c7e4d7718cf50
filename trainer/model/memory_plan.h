#pragma once
/// Memory planned once: a table of named parts of a few buffers. The same table is printed without running.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "stoa/parallel/shard.h"

namespace stoa::trainer {

enum class MemoryKind { kParameters, kGradients, kOptimizer, kActivations, kCommunication, kWorkspace };
inline constexpr int kMemoryKinds = 6;

const char* memory_kind_name(MemoryKind kind);

struct MemoryPart {
  MemoryKind kind;
  std::string name;  ///< "x_nd (attention input), 12 layers"
  std::size_t size_bytes;
};

/// One rank's memory, part by part.
struct MemoryTable {
  std::vector<MemoryPart> parts;
  std::size_t total(MemoryKind kind) const;
  std::size_t total() const;
  /// Aligned columns for a terminal, a subtotal per kind and the total.
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
