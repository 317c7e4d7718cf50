#include "stoa/trainer/kernels/rms_norm_loops.h"

#include "stoa/trainer/kernels/loop_values.h"

namespace stoa::trainer::cpu::STOA_ISA {
namespace {

/// One copy, not inlined: forward and recompute must give the same bits.
template <typename T>
[[gnu::noinline]] void scale_row(const float* x, const float* w, float inv_rms, std::int64_t width, T* y) {
#pragma omp simd
  for (std::int64_t d = 0; d < width; ++d) store(y, d, w[d] * (x[d] * inv_rms));
}

template <typename T>
void forward(const RmsNormRows<T>& rows, std::int64_t begin, std::int64_t end) {
  const std::int64_t width = rows.width;
  for (std::int64_t n = begin; n < end; ++n) {
    const float* x = rows.x_nd + n * width;
    if (rows.branch_nd != nullptr) {
      add_branch(x, rows.branch_nd + n * width, width, rows.sum_nd + n * width);
      x = rows.sum_nd + n * width;
    }
    float squares = 0;
#pragma omp simd reduction(+ : squares)
    for (std::int64_t d = 0; d < width; ++d) squares += x[d] * x[d];
    const float inv_rms = 1.0F / __builtin_sqrtf(squares / static_cast<float>(width) + rows.epsilon);
    rows.inv_rms_n[n] = inv_rms;
    scale_row(x, rows.w_d, inv_rms, width, rows.y_nd + n * width);
  }
}

template <typename T>
void recompute(const RmsNormRows<T>& rows, const float* inv_rms_n, std::int64_t begin, std::int64_t end) {
  for (std::int64_t n = begin; n < end; ++n)
    scale_row(rows.x_nd + n * rows.width, rows.w_d, inv_rms_n[n], rows.width, rows.y_nd + n * rows.width);
}

template <typename T>
void backward(const RmsNormGradientRows<T>& rows, std::int64_t begin, std::int64_t end, float* partial) {
  const std::int64_t width = rows.width;
  const float* w = rows.w_d;
  for (std::int64_t d = 0; d < width; ++d) partial[d] = 0;
  for (std::int64_t n = begin; n < end; ++n) {
    const T* dy = rows.dy_nd + n * width;
    const float* x = rows.x_nd + n * width;
    float* dx = rows.dx_nd + n * width;
    float dot = 0;
#pragma omp simd reduction(+ : dot)
    for (std::int64_t d = 0; d < width; ++d) dot += load(dy, d) * w[d] * x[d];
    const float inv_rms = rows.inv_rms_n[n];
    const float along_x = dot * inv_rms * inv_rms * inv_rms / static_cast<float>(width);
#pragma omp simd
    for (std::int64_t d = 0; d < width; ++d) {
      const float dy_d = load(dy, d);
      dx[d] += inv_rms * (w[d] * dy_d) - along_x * x[d];
      partial[d] += dy_d * (x[d] * inv_rms);
    }
  }
}

}  // namespace

const TypedLoops<RmsNormLoops> rms_norm_loops = {{&forward<float>, &recompute<float>, &backward<float>},
                                                 {&forward<bf16>, &recompute<bf16>, &backward<bf16>}};

}  // namespace stoa::trainer::cpu::STOA_ISA
