#pragma once
/// A linear layer's three products, as sums in double. N rows, D inputs, F outputs.
#include "stoa/tests/reference/values.h"

namespace stoa::reference {

struct LinearSizes {
  std::size_t rows;
  std::size_t inputs;
  std::size_t outputs;
};

/// b_f may be empty.
inline Values linear_forward(const LinearSizes& sizes, const Values& x_nd, const Values& w_fd, const Values& b_f) {
  const auto [n_end, d_end, f_end] = sizes;
  Values y_nf(n_end * f_end);
  for (std::size_t n = 0; n < n_end; ++n)
    for (std::size_t f = 0; f < f_end; ++f) {
      double sum = b_f.empty() ? 0 : b_f[f];
      for (std::size_t d = 0; d < d_end; ++d) sum += x_nd[n * d_end + d] * w_fd[f * d_end + d];
      y_nf[n * f_end + f] = sum;
    }
  return y_nf;
}

inline Values linear_backward_input(const LinearSizes& sizes, const Values& dy_nf, const Values& w_fd) {
  const auto [n_end, d_end, f_end] = sizes;
  Values dx_nd(n_end * d_end);
  for (std::size_t n = 0; n < n_end; ++n)
    for (std::size_t f = 0; f < f_end; ++f)
      for (std::size_t d = 0; d < d_end; ++d) dx_nd[n * d_end + d] += dy_nf[n * f_end + f] * w_fd[f * d_end + d];
  return dx_nd;
}

/// dw_fd += dy^T x
inline void linear_backward_weight(const LinearSizes& sizes, const Values& dy_nf, const Values& x_nd, Values& dw_fd) {
  const auto [n_end, d_end, f_end] = sizes;
  for (std::size_t n = 0; n < n_end; ++n)
    for (std::size_t f = 0; f < f_end; ++f)
      for (std::size_t d = 0; d < d_end; ++d) dw_fd[f * d_end + d] += dy_nf[n * f_end + f] * x_nd[n * d_end + d];
}

}  // namespace stoa::reference
