/// The functions of the CUDA runtime that Stoa calls, with the toolkit's own declarations.
#include <fmt/format.h>

#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "stoa/tests/cuda_emulation/emulator.h"

/// A stream is the work that was added and has not run.
struct CUstream_st {
  std::deque<std::function<cudaError_t()>> work;
};

namespace stoa::cuda_emulation {
namespace {

constexpr std::size_t kGuardBytes = 256;  // also keeps the toolkit's alignment
constexpr int kGuard = 0xA5;
constexpr int kFresh = 0xFF;  // a NaN as fp32 and as bf16
constexpr unsigned kMostThreads = 1024;
constexpr std::size_t kDeviceBytes = std::size_t{1} << 30;

struct Block {
  std::unique_ptr<std::byte, decltype(&std::free)> memory;
  std::size_t size;
};

std::map<void*, Block> device_memory;
std::string findings;
/// A device that failed stays failed, as a real one does, until the findings are taken.
cudaError_t device_status = cudaSuccess;

bool is_intact(const std::byte* guard) {
  for (std::size_t i = 0; i < kGuardBytes; ++i)
    if (guard[i] != static_cast<std::byte>(kGuard)) return false;
  return true;
}

/// Whether [address, address + size) lies in one piece of device memory.
bool on_device(const void* address, std::size_t size) {
  auto after = device_memory.upper_bound(const_cast<void*>(address));
  if (after == device_memory.begin()) return false;
  const auto& [begin, block] = *--after;
  const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(address) - static_cast<std::byte*>(begin));
  return offset <= block.size && size <= block.size - offset;
}

cudaError_t fail(cudaError_t status, const std::string& finding) {
  report(finding);
  device_status = status;
  return status;
}

}  // namespace

void report(const std::string& finding) { findings += finding + "\n"; }

std::string take_findings() {
  device_status = cudaSuccess;
  return std::exchange(findings, {});
}

cudaError_t enqueue_grid(const cudaLaunchConfig_t& config, std::function<void()> thread_body) {
  const dim3 threads = config.blockDim;
  if (config.gridDim.x == 0 || threads.x == 0 || threads.x > kMostThreads || threads.y != 1 || threads.z != 1 ||
      config.gridDim.y != 1 || config.gridDim.z != 1 || config.stream == nullptr)
    return cudaErrorInvalidConfiguration;
  config.stream->work.push_back([config, body = std::move(thread_body)] {
    if (run_grid(config, body)) return cudaSuccess;
    return device_status = cudaErrorLaunchFailure;
  });
  return cudaSuccess;
}

}  // namespace stoa::cuda_emulation

using namespace stoa::cuda_emulation;

extern "C" {

cudaError_t cudaSetDevice(int device) { return device == 0 ? cudaSuccess : cudaErrorInvalidDevice; }

cudaError_t cudaMalloc(void** address, size_t size) {
  if (size > kDeviceBytes) return cudaErrorMemoryAllocation;
  const std::size_t whole = (size + 2 * kGuardBytes + kGuardBytes - 1) / kGuardBytes * kGuardBytes;
  auto* memory = static_cast<std::byte*>(std::aligned_alloc(kGuardBytes, whole));
  if (memory == nullptr) return cudaErrorMemoryAllocation;
  std::memset(memory, kGuard, whole);
  *address = memory + kGuardBytes;
  std::memset(*address, kFresh, size);
  device_memory.emplace(*address, Block{{memory, &std::free}, size});
  return cudaSuccess;
}

cudaError_t cudaFree(void* address) {
  if (address == nullptr) return cudaSuccess;
  const auto found = device_memory.find(address);
  if (found == device_memory.end()) return fail(cudaErrorInvalidValue, "memory is freed that was not reserved");
  const auto* begin = static_cast<const std::byte*>(address);
  if (!is_intact(begin - kGuardBytes)) report("a write before the beginning of device memory");
  if (!is_intact(begin + found->second.size)) report("a write beyond the end of device memory");
  device_memory.erase(found);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind kind, cudaStream_t stream) {
  if (size == 0) return cudaSuccess;
  const bool to_device = kind == cudaMemcpyHostToDevice;
  const bool is_known = to_device || kind == cudaMemcpyDeviceToHost;
  if (!is_known || !on_device(to_device ? to : from, size) || on_device(to_device ? from : to, size))
    return cudaErrorInvalidValue;
  stream->work.push_back([=] {
    std::memcpy(to, from, size);
    return cudaSuccess;
  });
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned int) {
  *stream = new CUstream_st;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  while (!stream->work.empty() && device_status == cudaSuccess) {
    const auto work = std::move(stream->work.front());
    stream->work.pop_front();
    work();
  }
  stream->work.clear();
  return device_status;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}

const char* cudaGetErrorString(cudaError_t status) {
  switch (status) {
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorLaunchFailure:
      return "unspecified launch failure";
    default:
      return "unrecognized error code";
  }
}

}  // extern "C"
