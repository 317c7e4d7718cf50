#pragma once
/// Included before every CUDA source that the emulator compiles with g++ (-x c++ -include): what nvcc would have built
/// in. The toolkit's own headers stand beneath, so types, constants and bf16 are the real ones.
#include <cuda_runtime.h>

#include <tuple>
#include <utility>

#include "stoa/tests/cuda_emulation/emulator.h"

// Blocks run one after the other on one system thread, so a block's memory can be static.
#undef __shared__
#define __shared__ static

namespace stoa::cuda_emulation {

/// threadIdx.x and its like. There is no y and z: Stoa's kernels have one dim.
template <auto kOf>
struct Coordinate {
  struct {
    operator unsigned int() const { return kOf(current_thread()); }
  } x;
};

}  // namespace stoa::cuda_emulation

inline constexpr stoa::cuda_emulation::Coordinate<[](const auto& t) { return t.thread.x; }> threadIdx{};
inline constexpr stoa::cuda_emulation::Coordinate<[](const auto& t) { return t.block.x; }> blockIdx{};
inline constexpr stoa::cuda_emulation::Coordinate<[](const auto& t) { return t.block_size.x; }> blockDim{};

inline void __syncthreads() { ::stoa::cuda_emulation::wait_at_barrier(); }

inline float __shfl_xor_sync(unsigned lanes, float value, int lane_mask, int width) {
  return ::stoa::cuda_emulation::shuffle(lanes, value, lane_mask, width);
}

namespace stoa::cuda_emulation {

/// As the toolkit's template of this name, but the argument list keeps its types: a host function cannot be called
/// through void**.
template <typename... Parameters, typename... Arguments>
cudaError_t launch_kernel(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...), Arguments&&... arguments) {
  return enqueue_grid(*config, [kernel, values = std::tuple<Parameters...>(std::forward<Arguments>(arguments)...)] {
    std::apply(kernel, values);
  });
}

}  // namespace stoa::cuda_emulation

#define cudaLaunchKernelEx ::stoa::cuda_emulation::launch_kernel
