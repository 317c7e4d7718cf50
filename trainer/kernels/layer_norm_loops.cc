#include "stoa/trainer/kernels/layer_norm_loops.h"

#include "stoa/trainer/kernels/loop_values.h"

namespace stoa::trainer::cpu::STOA_ISA {
namespace {

/// One copy, not inlined: forward and recompute must give the same bits.
template <typename T>
[[gnu::noinline]] void scale_row(const LayerNormRows<T>& rows, const float* x, float mean, float inv_std, T* y) {
  const float* w = rows.w_d;
  const float* b = rows.b_d;
  const std::int64_t width = rows.width;
#pragma omp simd
  for (std::int64_t d = 0; d < width; ++d) store(y, d, w[d] * ((x[d] - mean) * inv_std) + b[d]);
}

float mean_of(const float* x, std::int64_t width) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t d = 0; d < width; ++d) sum += x[d];
  return sum / static_cast<float>(width);
}

/// The second pass over the row, which the cache holds, avoids the cancellation of E[x^2] - E[x]^2.
float variance_of(const float* x, float mean, std::int64_t width) {
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (std::int64_t d = 0; d < width; ++d) squares += (x[d] - mean) * (x[d] - mean);
  return squares / static_cast<float>(width);
}

template <typename T>
void forward(const LayerNormRows<T>& rows, std::int64_t begin, std::int64_t end) {
  const std::int64_t width = rows.width;
  for (std::int64_t n = begin; n < end; ++n) {
    const float* x = rows.x_nd + n * width;
    if (rows.branch_nd != nullptr) {
      add_branch(x, rows.branch_nd + n * width, width, rows.sum_nd + n * width);
      x = rows.sum_nd + n * width;
    }
    const float mean = mean_of(x, width);
    const float inv_std = 1.0F / __builtin_sqrtf(variance_of(x, mean, width) + rows.epsilon);
    rows.mean_n[n] = mean;
    rows.inv_std_n[n] = inv_std;
    scale_row(rows, x, mean, inv_std, rows.y_nd + n * width);
  }
}

template <typename T>
void recompute(const LayerNormRows<T>& rows, const float* mean_n, const float* inv_std_n, std::int64_t begin,
               std::int64_t end) {
  for (std::int64_t n = begin; n < end; ++n)
    scale_row(rows, rows.x_nd + n * rows.width, mean_n[n], inv_std_n[n], rows.y_nd + n * rows.width);
}

template <typename T>
void backward(const LayerNormGradientRows<T>& rows, std::int64_t begin, std::int64_t end, float* partial_w,
              float* partial_b) {
  const std::int64_t width = rows.width;
  const float* w = rows.w_d;
  for (std::int64_t d = 0; d < width; ++d) partial_w[d] = partial_b[d] = 0;
  for (std::int64_t n = begin; n < end; ++n) {
    const T* dy = rows.dy_nd + n * width;
    const float* x = rows.x_nd + n * width;
    float* dx = rows.dx_nd + n * width;
    const float mean = rows.mean_n[n];
    const float inv_std = rows.inv_std_n[n];
    float sum = 0;
    float dot = 0;
#pragma omp simd reduction(+ : sum, dot)
    for (std::int64_t d = 0; d < width; ++d) {
      const float dnormal = load(dy, d) * w[d];
      sum += dnormal;
      dot += dnormal * ((x[d] - mean) * inv_std);
    }
    const float mean_gradient = sum / static_cast<float>(width);
    const float along_x = dot / static_cast<float>(width);
#pragma omp simd
    for (std::int64_t d = 0; d < width; ++d) {
      const float dy_d = load(dy, d);
      const float normal = (x[d] - mean) * inv_std;
      dx[d] += inv_std * (dy_d * w[d] - mean_gradient - normal * along_x);
      partial_w[d] += dy_d * normal;
      partial_b[d] += dy_d;
    }
  }
}

}  // namespace

const TypedLoops<LayerNormLoops> layer_norm_loops = {{&forward<float>, &recompute<float>, &backward<float>},
                                                     {&forward<bf16>, &recompute<bf16>, &backward<bf16>}};

}  // namespace stoa::trainer::cpu::STOA_ISA
