#pragma once
/// The arithmetic of charts, the same for every renderer: which points to draw and where the ticks stand.
#include <span>
#include <string>
#include <vector>

namespace stoa::cluster {

struct ChartPoint {
  double x = 0;
  double y = 0;
};

/// At most `most` points (REQUIRES: most >= 2) that look the same: each of most/2 buckets keeps its lowest and its
/// highest point, in the order of x, so that a spike of one step survives. Points that are not finite are left out.
std::vector<ChartPoint> decimate(std::span<const ChartPoint> points, std::size_t most);

struct Axis {
  double low = 0;
  double high = 1;  ///< always above low
  std::vector<double> ticks;
  double tick_step = 1;

  /// 0 at low, 1 at high.
  double fraction(double value) const { return (value - low) / (high - low); }
  std::string label(double tick) const;
};

enum class AxisEnds {
  kExact,    ///< at the data; ticks inside
  kRounded,  ///< out to the next tick
};

/// Ticks at multiples of 1, 2 or 5 x a power of ten, at most `most_ticks` + 1 of them. Any input gives an axis: of
/// equal or non-finite ends it makes a range that holds them.
Axis make_axis(double low, double high, AxisEnds ends, int most_ticks = 5);

}  // namespace stoa::cluster
