#pragma once
/// Sums over rows whose bits do not depend on the number of threads: rows are cut into chunks of kRowsPerChunk, each
/// chunk is summed row by row into its own partial sum, and the partial sums are added in the order of the chunks.
#include <cstddef>
#include <cstdint>
#include <span>

#include "stoa/trainer/kernels/cpu_queue.h"

namespace stoa::trainer::cpu {

inline constexpr std::int64_t kRowsPerChunk = 64;

constexpr std::int64_t row_chunks(std::int64_t rows) { return (rows + kRowsPerChunk - 1) / kRowsPerChunk; }

/// sum_d[d] += sum over c of partial_cd[c * stride + d].
void add_partial_sums(Queue& queue, const float* partial_cd, std::int64_t chunks, std::int64_t stride,
                      std::span<float> sum_d);

/// body(chunk, first_row, end_row) for each chunk, on all threads.
template <typename Body>
void for_each_row_chunk(Queue& queue, std::int64_t rows, const Body& body) {
  queue.parallel_for(row_chunks(rows), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t chunk = begin; chunk < end; ++chunk) {
      const std::int64_t first = chunk * kRowsPerChunk;
      body(chunk, first, first + kRowsPerChunk < rows ? first + kRowsPerChunk : rows);
    }
  });
}

}  // namespace stoa::trainer::cpu
