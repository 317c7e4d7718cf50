#pragma once
/// Memory that processes of one node share: an unnamed memory file (memfd_create), which no crash leaves behind and no
/// size of /dev/shm limits. One process creates it, passes its name on, the others attach; afterwards each unmaps it by
/// itself, so that no process waits for another at the end.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "stoa/base/durable_file.h"

namespace stoa::parallel {

/// A further part of such memory in this process's addresses.
class NodePages {
 public:
  NodePages() = default;
  NodePages(std::byte* address, std::size_t size) : address_(address), size_(size) {}
  NodePages(NodePages&& other) noexcept { *this = std::move(other); }
  NodePages& operator=(NodePages&& other) noexcept;
  ~NodePages();

  std::span<std::byte> bytes() const { return {address_, size_}; }

 private:
  std::byte* address_ = nullptr;
  std::size_t size_ = 0;
};

/// Plain bytes to send to the other processes.
struct NodeMemoryName {
  std::int64_t process = 0;
  std::int64_t descriptor = -1;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
};

class NodeMemory {
 public:
  /// Zeroed. ResourceError when the system gives none.
  static NodeMemory create(std::size_t size);
  /// Nothing when that memory is out of reach: another user, another container. A look-alike is refused.
  static std::optional<NodeMemory> attach(const NodeMemoryName& name);

  NodeMemory(NodeMemory&& other) noexcept;
  NodeMemory& operator=(NodeMemory&& other) noexcept;
  ~NodeMemory();

  std::span<std::byte> bytes() { return {address_, size_}; }
  /// Good until forget_name().
  NodeMemoryName name() const;
  /// More memory behind its end, for all who attached and have not forgotten its name: [begin, begin + size) becomes
  /// part of it. Whole pages. False when there is not enough memory.
  [[nodiscard]] bool extend(std::size_t begin, std::size_t size) const;
  /// Maps such a part. ResourceError when the system refuses.
  NodePages map(std::size_t begin, std::size_t size) const;
  /// The system gets the pages of such a part back; nobody may need what they hold.
  void give_back(std::size_t begin, std::size_t size) const;
  /// Once everyone has attached: gives the file descriptor back; the memory stays.
  void forget_name() { file_.reset(); }

  /// Has the system find the pages of this part now, near the processor that asks. False when there is not enough
  /// memory.
  [[nodiscard]] bool populate(std::size_t begin, std::size_t size);

 private:
  /// address_ stays null when the system refuses, with errno set.
  NodeMemory(FileDescriptor file, std::size_t size);

  FileDescriptor file_;
  std::byte* address_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace stoa::parallel
