#include "stoa/trainer/kernels/head_norm_loops.h"

#include "stoa/trainer/kernels/loop_values.h"

namespace stoa::trainer::cpu::STOA_ISA {
namespace {

template <typename T>
void forward_head(const T* x, const float* w, float epsilon, std::int64_t width, T* y, float* inv_rms_out) {
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (std::int64_t e = 0; e < width; ++e) squares += load(x, e) * load(x, e);
  const float inv_rms = 1.0F / __builtin_sqrtf(squares / static_cast<float>(width) + epsilon);
  *inv_rms_out = inv_rms;
#pragma omp simd
  for (std::int64_t e = 0; e < width; ++e) store(y, e, w[e] * (load(x, e) * inv_rms));
}

template <typename T>
void backward_head(const T* x, const float* w, float inv_rms, std::int64_t width, T* d, float* partial) {
  float dot = 0;
#pragma omp simd reduction(+ : dot)
  for (std::int64_t e = 0; e < width; ++e) dot += load(d, e) * w[e] * load(x, e);
  const float along_x = dot * inv_rms * inv_rms * inv_rms / static_cast<float>(width);
#pragma omp simd
  for (std::int64_t e = 0; e < width; ++e) {
    const float dy_e = load(d, e);
    const float x_e = load(x, e);
    store(d, e, inv_rms * (w[e] * dy_e) - along_x * x_e);
    partial[e] += dy_e * (x_e * inv_rms);
  }
}

template <typename T>
void forward(const HeadNormRows<T>& rows, const HeadColumns& columns, std::int64_t begin, std::int64_t end) {
  for (std::int64_t n = begin; n < end; ++n) {
    for (std::int64_t h = 0; h < columns.heads; ++h) {
      const std::int64_t at = n * columns.row_stride + columns.first_column + h * columns.head_width;
      forward_head(rows.x_nc + at, rows.w_e, rows.epsilon, columns.head_width, rows.y_nc + at,
                   rows.inv_rms_nh + n * columns.heads + h);
    }
  }
}

template <typename T>
void backward(const HeadNormGradientRows<T>& rows, const HeadColumns& columns, std::int64_t begin, std::int64_t end,
              float* partial) {
  for (std::int64_t e = 0; e < columns.head_width; ++e) partial[e] = 0;
  for (std::int64_t n = begin; n < end; ++n) {
    for (std::int64_t h = 0; h < columns.heads; ++h) {
      const std::int64_t at = n * columns.row_stride + columns.first_column + h * columns.head_width;
      backward_head(rows.x_nc + at, rows.w_e, rows.inv_rms_nh[n * columns.heads + h], columns.head_width,
                    rows.d_nc + at, partial);
    }
  }
}

}  // namespace

const TypedLoops<HeadNormLoops> head_norm_loops = {{&forward<float>, &backward<float>},
                                                   {&forward<bf16>, &backward<bf16>}};

}  // namespace stoa::trainer::cpu::STOA_ISA
