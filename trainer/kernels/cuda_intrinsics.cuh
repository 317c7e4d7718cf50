#pragma once
/// All that kernels ask of the machine below C++: positions, barriers, shuffles and bf16. Blocks and grids have one
/// dim. Kernels use nothing else of CUDA, so this page is what another machine, or the emulator of the tests, has to
/// offer.
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include "stoa/trainer/kernels/bf16.h"

namespace stoa::trainer::cuda {

inline constexpr int kWarpLanes = 32;
inline constexpr unsigned kAllLanes = 0xffffffffU;

__device__ inline int thread_index() { return static_cast<int>(threadIdx.x); }
__device__ inline int block_threads() { return static_cast<int>(blockDim.x); }
__device__ inline long block_index() { return static_cast<long>(blockIdx.x); }
__device__ inline int lane() { return thread_index() % kWarpLanes; }
__device__ inline int warp() { return thread_index() / kWarpLanes; }

/// All threads of the block arrive before any goes on; what they wrote is seen.
__device__ inline void block_barrier() { __syncthreads(); }

/// The value of lane (own ^ lane_mask). All lanes of the warp take part.
__device__ inline float shuffle_xor(float value, int lane_mask) {
  return __shfl_xor_sync(kAllLanes, value, lane_mask, kWarpLanes);
}

__device__ inline float load(float value) { return value; }
__device__ inline float load(bf16 value) { return __bfloat162float(__nv_bfloat16(__nv_bfloat16_raw{value.bits})); }

/// Round to nearest, ties to even.
__device__ inline void store(float& to, float value) { to = value; }
__device__ inline void store(bf16& to, float value) {
  to.bits = static_cast<__nv_bfloat16_raw>(__float2bfloat16_rn(value)).x;
}

}  // namespace stoa::trainer::cuda
