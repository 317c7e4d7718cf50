#pragma once
/// Device memory of one type, with the copies that a test needs.
#include <span>
#include <vector>

#include "stoa/trainer/kernels/cuda_queue.h"

namespace stoa::cuda_emulation {

template <typename T>
class DeviceVector {
 public:
  explicit DeviceVector(std::size_t size) : buffer_(size * sizeof(T)), size_(size) {}
  DeviceVector(trainer::cuda::Queue& queue, const std::vector<T>& host) : DeviceVector(host.size()) {
    trainer::cuda::copy_to_device(queue, std::as_bytes(std::span(host)), buffer_.bytes());
    queue.wait();
  }

  std::span<T> view() const { return {reinterpret_cast<T*>(buffer_.bytes().data()), size_}; }

  std::vector<T> host(trainer::cuda::Queue& queue) const {
    std::vector<T> values(size_);
    trainer::cuda::copy_to_host(queue, buffer_.bytes(), std::as_writable_bytes(std::span(values)));
    queue.wait();
    return values;
  }

 private:
  trainer::cuda::DeviceBuffer buffer_;
  std::size_t size_;
};

}  // namespace stoa::cuda_emulation
