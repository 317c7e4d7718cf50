#pragma once
/// Small matrix products held in registers, for the loops that are compiled once per instruction set: C = A B or C += A
/// B with row-major B and C. A is read one element at a time, so it may stand in memory either way round.
#include <cstdint>

namespace stoa::trainer::cpu::STOA_ISA {

#if STOA_ISA_AVX512
constexpr int kLanes = 16;
constexpr int kWideVectors = 4;  // 6 x 4 sums, 4 of B: 28 of 32 registers
#elif STOA_ISA_AVX2
constexpr int kLanes = 8;
constexpr int kWideVectors = 2;  // 6 x 2 sums, 2 of B, 1 of A: 15 of 16
#else
constexpr int kLanes = 4;
constexpr int kWideVectors = 2;
#endif

typedef float Vector __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));

struct TileProduct {
  const float* a;
  std::int64_t a_row;     ///< distance in floats between rows of A
  std::int64_t a_column;  ///< and between its columns
  const float* b;
  std::int64_t b_row;
  float* c;
  std::int64_t c_row;
  std::int64_t rows;
  std::int64_t columns;  ///< a multiple of 16: B and C are padded
  std::int64_t inner;
};

enum class TileResult { kWritten, kAdded };

template <int kRows, int kVectors, TileResult kResult>
static void tile_block(const TileProduct& p, std::int64_t row, std::int64_t column) {
  const float* a = p.a + row * p.a_row;
  const float* b = p.b + column;
  float* c = p.c + row * p.c_row + column;
  Vector sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v)
      sums[r][v] =
          kResult == TileResult::kAdded ? *reinterpret_cast<const Vector*>(c + r * p.c_row + v * kLanes) : Vector{};
  for (std::int64_t k = 0; k < p.inner; ++k) {
    Vector values[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) values[v] = *reinterpret_cast<const Vector*>(b + k * p.b_row + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const float factor = a[r * p.a_row + k * p.a_column];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sums[r][v] += factor * values[v];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) *reinterpret_cast<Vector*>(c + r * p.c_row + v * kLanes) = sums[r][v];
}

template <int kVectors, TileResult kResult>
static void tile_columns(const TileProduct& p, std::int64_t column) {
  std::int64_t row = 0;
  for (; row + 6 <= p.rows; row += 6) tile_block<6, kVectors, kResult>(p, row, column);
  if (row + 4 <= p.rows) {
    tile_block<4, kVectors, kResult>(p, row, column);
    row += 4;
  }
  for (; row < p.rows; ++row) tile_block<1, kVectors, kResult>(p, row, column);
}

template <TileResult kResult>
static void multiply_tile(const TileProduct& p) {
  std::int64_t column = 0;
  for (; column + kWideVectors * kLanes <= p.columns; column += kWideVectors * kLanes)
    tile_columns<kWideVectors, kResult>(p, column);
  for (; column < p.columns; column += kLanes) tile_columns<1, kResult>(p, column);
}

}  // namespace stoa::trainer::cpu::STOA_ISA
