#pragma once
/// The one way a kernel is started, and the one way a failed call becomes an exception.
#include <cuda_runtime.h>

#include <cstdint>
#include <utility>

#include "stoa/trainer/kernels/cuda_queue.h"

namespace stoa::trainer::cuda {

/// InternalError "ACTION failed: REASON" unless the status is success; for memory and devices that are not there,
/// ResourceError.
void check(cudaError_t status, const char* action);

struct Grid {
  std::int64_t blocks = 0;  ///< below 2^31
  int threads = 0;          ///< of a block; a multiple of 32
};

/// Queues kernel(arguments...); nothing where the grid is empty. `name` is for the message.
template <typename... Parameters, typename... Arguments>
void launch(Queue& queue, const char* name, Grid grid, void (*kernel)(Parameters...), Arguments&&... arguments) {
  if (grid.blocks == 0) return;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(grid.blocks));
  config.blockDim = dim3(static_cast<unsigned>(grid.threads));
  config.stream = queue.stream();
  check(cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...), name);
}

}  // namespace stoa::trainer::cuda
