#pragma once
/// RMSNorm and LayerNorm, one row at a time as the papers write them. N rows of D = w.size() elements.
#include <cmath>

#include "stoa/tests/reference/values.h"

namespace stoa::reference {

struct NormResult {
  Values y;
  Values mean;     ///< of each row; zero for RMSNorm
  Values inverse;  ///< 1 / sqrt(mean square or variance + epsilon) of each row
};

struct NormGradients {
  Values dx;
  Values dw;
  Values db;
};

enum class Norm { kRms, kLayer };

inline NormResult norm(Norm kind, const Values& x, const Values& w, const Values& b, double epsilon) {
  const std::size_t width = w.size();
  const std::size_t rows = x.size() / width;
  NormResult result{Values(x.size()), Values(rows), Values(rows)};
  for (std::size_t n = 0; n < rows; ++n) {
    const double* row = x.data() + n * width;
    double mean = 0;
    if (kind == Norm::kLayer) {
      for (std::size_t d = 0; d < width; ++d) mean += row[d] / static_cast<double>(width);
    }
    double square = 0;
    for (std::size_t d = 0; d < width; ++d) square += (row[d] - mean) * (row[d] - mean) / static_cast<double>(width);
    const double inverse = 1 / std::sqrt(square + epsilon);
    for (std::size_t d = 0; d < width; ++d)
      result.y[n * width + d] = w[d] * (row[d] - mean) * inverse + (kind == Norm::kLayer ? b[d] : 0);
    result.mean[n] = mean;
    result.inverse[n] = inverse;
  }
  return result;
}

/// With z = (x - mean) * inverse and g = w dy:  dx = inverse * (g - mean(g) - z mean(g z)); RMSNorm has no mean(g).
inline NormGradients norm_gradients(Norm kind, const Values& dy, const Values& x, const Values& w, double epsilon) {
  const std::size_t width = w.size();
  const std::size_t rows = x.size() / width;
  const NormResult forward = norm(kind, x, w, Values(width), epsilon);
  NormGradients result{Values(x.size()), Values(width), Values(width)};
  for (std::size_t n = 0; n < rows; ++n) {
    Values z(width);
    double mean_g = 0;
    double mean_gz = 0;
    for (std::size_t d = 0; d < width; ++d) {
      z[d] = (x[n * width + d] - forward.mean[n]) * forward.inverse[n];
      const double g = w[d] * dy[n * width + d];
      mean_g += g / static_cast<double>(width);
      mean_gz += g * z[d] / static_cast<double>(width);
      result.dw[d] += dy[n * width + d] * z[d];
      result.db[d] += dy[n * width + d];
    }
    if (kind == Norm::kRms) mean_g = 0;
    for (std::size_t d = 0; d < width; ++d)
      result.dx[n * width + d] = forward.inverse[n] * (w[d] * dy[n * width + d] - mean_g - z[d] * mean_gz);
  }
  return result;
}

}  // namespace stoa::reference
