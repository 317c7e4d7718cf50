#include "stoa/trainer/kernels/rope_loops.h"

#include "stoa/trainer/kernels/loop_values.h"

namespace stoa::trainer::cpu::STOA_ISA {
namespace {

template <typename T>
void turn_head(T* low, T* high, const float* cosine, const float* sine, float sine_sign, std::int64_t half) {
#pragma omp simd
  for (std::int64_t e = 0; e < half; ++e) {
    const float a = load(low, e);
    const float b = load(high, e);
    const float s = sine[e] * sine_sign;
    store(low, e, a * cosine[e] - b * s);
    store(high, e, b * cosine[e] + a * s);
  }
}

template <typename T>
void turn(const RopeRows& rows, T* x_nc, std::int64_t begin, std::int64_t end) {
  const HeadColumns& columns = rows.columns;
  const std::int64_t half = columns.head_width / 2;
  for (std::int64_t n = begin; n < end; ++n) {
    const std::int64_t position =
        rows.position_ids != nullptr ? rows.position_ids[n] : rows.first_position + n % rows.positions_per_sequence;
    const float* cosine = rows.table_te + position * columns.head_width;
    T* head = x_nc + n * columns.row_stride + columns.first_column;
    for (std::int64_t h = 0; h < columns.heads; ++h, head += columns.head_width)
      turn_head(head, head + half, cosine, cosine + half, rows.sine_sign, half);
  }
}

}  // namespace

const TypedLoops<RopeLoops> rope_loops = {{&turn<float>}, {&turn<bf16>}};

}  // namespace stoa::trainer::cpu::STOA_ISA
