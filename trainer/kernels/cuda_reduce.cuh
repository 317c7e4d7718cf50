#pragma once
/// Sums over a warp and over a block. The order of additions depends on the number of threads only: the same bits every
/// time.
#include "stoa/trainer/kernels/cuda_intrinsics.cuh"

namespace stoa::trainer::cuda {

/// Every lane gets the sum. All lanes take part.
__device__ inline float warp_sum(float value) {
  for (int distance = kWarpLanes / 2; distance > 0; distance /= 2) value += shuffle_xor(value, distance);
  return value;
}

/// Every thread gets the sum. All threads of the block take part. REQUIRES: whole warps, at most 32.
__device__ inline float block_sum(float value) {
  __shared__ float partial_of_warp[kWarpLanes];
  const float own_warp = warp_sum(value);
  if (lane() == 0) partial_of_warp[warp()] = own_warp;
  block_barrier();
  const float sum = warp_sum(lane() < block_threads() / kWarpLanes ? partial_of_warp[lane()] : 0.0F);
  // The next call writes the partial sums again.
  block_barrier();
  return sum;
}

}  // namespace stoa::trainer::cuda
