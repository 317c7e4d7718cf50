#include <cmath>

#include "stoa/trainer/kernels/cuda_launch.cuh"
#include "stoa/trainer/kernels/cuda_reduce.cuh"
#include "stoa/trainer/kernels/rms_norm.h"

namespace stoa::trainer {
namespace {

constexpr int kThreads = 256;

template <typename T>
struct RmsNormForward {
  const float* x_nd;
  const T* branch_nd;  ///< null: there is none
  const float* w_d;
  float epsilon;
  long width;
  float* sum_nd;  ///< may be x_nd
  T* y_nd;
  float* inv_rms_n;
};

/// One block a token. A thread meets only its own elements again, so the sum needs no barrier.
template <typename T>
__global__ void rms_norm_forward_kernel(RmsNormForward<T> rows) {
  const long token = cuda::block_index();
  const long row = token * rows.width;
  float squares = 0;
  for (long d = cuda::thread_index(); d < rows.width; d += cuda::block_threads()) {
    float x = rows.x_nd[row + d];
    if (rows.branch_nd != nullptr) {
      x += cuda::load(rows.branch_nd[row + d]);
      rows.sum_nd[row + d] = x;
    }
    squares += x * x;
  }
  const float mean = cuda::block_sum(squares) / static_cast<float>(rows.width);
  const float inv_rms = 1.0F / sqrtf(mean + rows.epsilon);
  if (cuda::thread_index() == 0) rows.inv_rms_n[token] = inv_rms;

  const float* const sum_nd = rows.branch_nd != nullptr ? rows.sum_nd : rows.x_nd;
  for (long d = cuda::thread_index(); d < rows.width; d += cuda::block_threads())
    cuda::store(rows.y_nd[row + d], rows.w_d[d] * sum_nd[row + d] * inv_rms);
}

}  // namespace

template <typename T>
void rms_norm_forward(cuda::Queue& queue, std::span<const float> x_nd, std::span<const T> branch_nd,
                      std::span<const float> w_d, float epsilon, std::span<float> sum_nd, std::span<T> y_nd,
                      std::span<float> inv_rms_n) {
  const RmsNormForward<T> rows{.x_nd = x_nd.data(),
                               .branch_nd = branch_nd.empty() ? nullptr : branch_nd.data(),
                               .w_d = w_d.data(),
                               .epsilon = epsilon,
                               .width = static_cast<long>(w_d.size()),
                               .sum_nd = sum_nd.data(),
                               .y_nd = y_nd.data(),
                               .inv_rms_n = inv_rms_n.data()};
  cuda::launch(queue, "rms_norm_forward", {static_cast<std::int64_t>(inv_rms_n.size()), kThreads},
               rms_norm_forward_kernel<T>, rows);
}

template void rms_norm_forward<float>(cuda::Queue&, std::span<const float>, std::span<const float>,
                                      std::span<const float>, float, std::span<float>, std::span<float>,
                                      std::span<float>);
template void rms_norm_forward<bf16>(cuda::Queue&, std::span<const float>, std::span<const bf16>,
                                     std::span<const float>, float, std::span<float>, std::span<bf16>,
                                     std::span<float>);

}  // namespace stoa::trainer
