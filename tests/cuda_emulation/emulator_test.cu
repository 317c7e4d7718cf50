/// The emulator finds what a device would leave to chance. Each test plants one mistake, or shows that correct code
/// passes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stoa/base/error.h"
#include "stoa/tests/cuda_emulation/device_vector.h"
#include "stoa/trainer/kernels/cuda_launch.cuh"
#include "stoa/trainer/kernels/cuda_reduce.cuh"

namespace stoa::cuda_emulation {
namespace {

using testing::HasSubstr;
using trainer::cuda::Queue;

__global__ void sums(float* sum_of_block, float* sum_of_warp) {
  const float value = static_cast<float>(trainer::cuda::thread_index() + 1);
  const float warp = trainer::cuda::warp_sum(value);
  const float block = trainer::cuda::block_sum(value) + trainer::cuda::block_sum(1);
  if (trainer::cuda::lane() == 0) sum_of_warp[trainer::cuda::warp()] = warp;
  sum_of_block[trainer::cuda::thread_index()] = block;
}

__global__ void half_a_barrier() {
  if (trainer::cuda::thread_index() < 33) trainer::cuda::block_barrier();
}

__global__ void barrier_against_shuffle(float* out) {
  if (trainer::cuda::lane() % 2 == 0)
    trainer::cuda::block_barrier();
  else
    *out = trainer::cuda::shuffle_xor(1, 1);
}

/// Each thread takes its left neighbour's number; without the barrier that is the number or what was there before.
template <bool kWithBarrier>
__global__ void neighbours(int* out) {
  __shared__ int numbers[64];
  const int own = trainer::cuda::thread_index();
  numbers[own] = -1;
  trainer::cuda::block_barrier();
  numbers[own] = own;
  if (kWithBarrier) trainer::cuda::block_barrier();
  out[own] = numbers[(own + 63) % 64];
}

__global__ void write_one_beyond(float* out, int size) { out[size] = 1; }

class Emulator : public testing::Test {
 protected:
  ~Emulator() override {
    set_thread_order(ThreadOrder::kAscending);
    take_findings();
  }

  template <bool kWithBarrier>
  std::vector<int> run_neighbours(ThreadOrder order) {
    set_thread_order(order);
    const DeviceVector<int> out(64);
    trainer::cuda::launch(queue_, "neighbours", {1, 64}, neighbours<kWithBarrier>, out.view().data());
    return out.host(queue_);
  }

  std::string error_of_wait() {
    try {
      queue_.wait();
    } catch (const InternalError& error) {
      return error.what();
    }
    return "no error";
  }

  Queue queue_;
};

TEST_F(Emulator, WarpsAndBlocksAddUp) {
  const DeviceVector<float> block(96), warps(3);
  trainer::cuda::launch(queue_, "sums", {1, 96}, sums, block.view().data(), warps.view().data());
  EXPECT_THAT(warps.host(queue_), testing::ElementsAre(528, 1552, 2576));
  EXPECT_THAT(block.host(queue_), testing::Each(96 * 97 / 2 + 96));
  EXPECT_EQ(take_findings(), "");
}

TEST_F(Emulator, ADivergentBarrierIsReportedAndDoesNotHang) {
  trainer::cuda::launch(queue_, "half_a_barrier", {2, 64}, half_a_barrier);
  EXPECT_THAT(error_of_wait(), HasSubstr("unspecified launch failure"));
  EXPECT_EQ(take_findings(), "block 0: threads diverge: 33 wait at a barrier, 0 at a shuffle, 31 have ended\n");
}

TEST_F(Emulator, ABarrierThatWaitsForAShuffleIsReported) {
  const DeviceVector<float> out(1);
  trainer::cuda::launch(queue_, "barrier_against_shuffle", {1, 32}, barrier_against_shuffle, out.view().data());
  EXPECT_THAT(error_of_wait(), HasSubstr("unspecified launch failure"));
  EXPECT_THAT(take_findings(), HasSubstr("16 wait at a barrier, 16 at a shuffle"));
}

TEST_F(Emulator, AMissingBarrierShowsInTheOrderOfThreads) {
  EXPECT_EQ(run_neighbours<true>(ThreadOrder::kAscending), run_neighbours<true>(ThreadOrder::kDescending));
  EXPECT_NE(run_neighbours<false>(ThreadOrder::kAscending), run_neighbours<false>(ThreadOrder::kDescending));
}

TEST_F(Emulator, AWriteBeyondTheEndIsReported) {
  {
    const DeviceVector<float> out(33);
    trainer::cuda::launch(queue_, "write_one_beyond", {1, 32}, write_one_beyond, out.view().data(), 33);
    queue_.wait();
  }
  EXPECT_EQ(take_findings(), "a write beyond the end of device memory\n");
}

TEST_F(Emulator, NothingRunsBeforeTheQueueIsWaitedFor) {
  const DeviceVector<float> device(queue_, {1, 2, 3});
  std::vector<float> host(3, 0);
  trainer::cuda::copy_to_host(queue_, std::as_bytes(device.view()), std::as_writable_bytes(std::span(host)));
  EXPECT_THAT(host, testing::Each(0));
  queue_.wait();
  EXPECT_THAT(host, testing::ElementsAre(1, 2, 3));
}

TEST_F(Emulator, WhatTheDeviceLacksIsAResourceErrorAndAWrongCallAnInternalOne) {
  EXPECT_THROW(Queue(1), ResourceError);
  EXPECT_THROW(trainer::cuda::DeviceBuffer(std::size_t{1} << 40), ResourceError);
  std::vector<std::byte> one(257), other(257);
  EXPECT_THROW(trainer::cuda::copy_to_device(queue_, one, other), InternalError);
  EXPECT_THROW(trainer::cuda::launch(queue_, "half_a_barrier", {1, 2048}, half_a_barrier), InternalError);
}

}  // namespace
}  // namespace stoa::cuda_emulation
