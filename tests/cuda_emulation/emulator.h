#pragma once
/// A CUDA device without a device: enough of one to run the kernels of trainer/kernels under test, and stricter than a
/// real one.
///
/// A thread of a block is a fiber that runs until its next barrier or shuffle, in an order the test chooses; so a
/// missing barrier gives a different result in another order. Streams run nothing before they are waited for; so a
/// missing wait reads old bytes. New device memory holds NaNs; guard bytes around it are checked when it is freed.
/// Divergent barriers and shuffles are reported as failures of the launch. One system thread.
#include <cuda_runtime.h>

#include <functional>
#include <string>

namespace stoa::cuda_emulation {

struct DeviceThread {
  uint3 thread;
  uint3 block;
  dim3 block_size;
};

enum class ThreadOrder { kAscending, kDescending };
/// Of the threads of a block between two barriers, and of the blocks of a grid.
void set_thread_order(ThreadOrder order);

/// What was found wrong since the last call, one finding a line; empty: nothing.
std::string take_findings();

// What kernels and the runtime call.

/// REQUIRES: called from a kernel.
const DeviceThread& current_thread();
void wait_at_barrier();
float shuffle(unsigned lanes, float value, int lane_mask, int width);

/// Adds the grid to the stream of `config`; `thread_body` is one thread's work.
cudaError_t enqueue_grid(const cudaLaunchConfig_t& config, std::function<void()> thread_body);

// Between the two halves of the emulator.

void report(const std::string& finding);
/// Runs all blocks. False where a block was stopped by a finding.
bool run_grid(const cudaLaunchConfig_t& config, const std::function<void()>& thread_body);

}  // namespace stoa::cuda_emulation
