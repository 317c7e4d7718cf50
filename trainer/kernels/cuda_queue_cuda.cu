#include <cstdint>
#include <utility>

#include "stoa/base/error.h"
#include "stoa/trainer/kernels/cuda_launch.cuh"
#include "stoa/trainer/kernels/cuda_queue.h"

namespace stoa::trainer::cuda {

void check(cudaError_t status, const char* action) {
  if (status == cudaSuccess) return;
  const char* reason = cudaGetErrorString(status);
  const bool is_absent = status == cudaErrorMemoryAllocation || status == cudaErrorNoDevice ||
                         status == cudaErrorInvalidDevice || status == cudaErrorInsufficientDriver;
  if (is_absent) throw ResourceError("CUDA: {} failed: {}", action, reason);
  throw InternalError("CUDA: {} failed: {}", action, reason);
}

Queue::Queue(int device) {
  check(cudaSetDevice(device), "choosing the device");
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream");
}

Queue::~Queue() { cudaStreamDestroy(stream_); }

void Queue::wait() { check(cudaStreamSynchronize(stream_), "the queued work"); }

DeviceBuffer::DeviceBuffer(std::size_t size_bytes) : size_bytes_(size_bytes) {
  if (size_bytes == 0) return;
  void* address = nullptr;
  check(cudaMalloc(&address, size_bytes), "reserving device memory");
  address_ = static_cast<std::byte*>(address);
}

DeviceBuffer::DeviceBuffer(DeviceBuffer&& other) noexcept
    : address_(std::exchange(other.address_, nullptr)), size_bytes_(std::exchange(other.size_bytes_, 0)) {}

DeviceBuffer& DeviceBuffer::operator=(DeviceBuffer&& other) noexcept {
  std::swap(address_, other.address_);
  std::swap(size_bytes_, other.size_bytes_);
  return *this;
}

DeviceBuffer::~DeviceBuffer() { cudaFree(address_); }

void copy_to_device(Queue& queue, std::span<const std::byte> host, std::span<std::byte> device) {
  check(cudaMemcpyAsync(device.data(), host.data(), host.size(), cudaMemcpyHostToDevice, queue.stream()),
        "copying to the device");
}

void copy_to_host(Queue& queue, std::span<const std::byte> device, std::span<std::byte> host) {
  check(cudaMemcpyAsync(host.data(), device.data(), device.size(), cudaMemcpyDeviceToHost, queue.stream()),
        "copying to the host");
}

}  // namespace stoa::trainer::cuda
