#pragma once
/// Where CUDA kernels run: one stream of one device, and owners of device memory. No CUDA header is needed to use it.
/// Kernels are queued in order and run later; a failure on the device appears at the next `wait`. One caller thread at
/// a time.
#include <cstddef>
#include <span>

struct CUstream_st;  // what the toolkit's cudaStream_t points to

namespace stoa::trainer::cuda {

class Queue {
 public:
  /// ResourceError where there is no such device.
  explicit Queue(int device = 0);
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  CUstream_st* stream() const { return stream_; }
  /// Until all that was queued has run. InternalError with the device's reason where it failed.
  void wait();

 private:
  CUstream_st* stream_ = nullptr;
};

/// Move-only owner of device memory, aligned to 256 bytes. ResourceError where the device has not that much.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  explicit DeviceBuffer(std::size_t size_bytes);
  DeviceBuffer(DeviceBuffer&& other) noexcept;
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept;
  ~DeviceBuffer();

  /// Of device addresses: not to be read by the host.
  std::span<std::byte> bytes() const { return {address_, size_bytes_}; }

 private:
  std::byte* address_ = nullptr;
  std::size_t size_bytes_ = 0;
};

/// Queued; the host's memory must live and stay as it is until `wait`. REQUIRES: both spans have the same size.
void copy_to_device(Queue& queue, std::span<const std::byte> host, std::span<std::byte> device);
void copy_to_host(Queue& queue, std::span<const std::byte> device, std::span<std::byte> host);

}  // namespace stoa::trainer::cuda
