#pragma once
/// Ordinary memory of one rank behind the interface of Communicator::allocate: zeroed, aligned, in huge pages where
/// large. A page is taken when it is first touched.
#include <cstddef>
#include <span>
#include <string_view>

#include "stoa/parallel/communicator.h"

namespace stoa::parallel {

class PrivateMemory final : public CommunicatorMemory {
 public:
  /// ResourceError when the machine has no such memory; `what` stands in its message.
  PrivateMemory(std::size_t bytes, std::string_view what);
  ~PrivateMemory() override;
  PrivateMemory(const PrivateMemory&) = delete;
  PrivateMemory& operator=(const PrivateMemory&) = delete;

  std::span<std::byte> bytes() override { return {address_, size_}; }

 private:
  void* mapped_ = nullptr;
  std::size_t mapped_bytes_ = 0;
  std::byte* address_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace stoa::parallel
