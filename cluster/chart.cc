#include "stoa/cluster/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace stoa::cluster {
namespace {

double nice_step(double range, int most_ticks) {
  const double least = range / most_ticks;
  const double power = std::pow(10, std::floor(std::log10(least)));
  // A hair of slack: 0.1 * 3 must not count as more than 0.3.
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= least * (1 - 1e-9)) return factor * power;
  return 10 * power;
}

}  // namespace

std::vector<ChartPoint> decimate(std::span<const ChartPoint> points, std::size_t most) {
  std::vector<ChartPoint> finite;
  for (const ChartPoint& point : points)
    if (std::isfinite(point.x) && std::isfinite(point.y)) finite.push_back(point);
  if (finite.size() <= most) return finite;

  const std::size_t buckets = most / 2;
  const auto lower = [](const ChartPoint& a, const ChartPoint& b) { return a.y < b.y; };
  std::vector<ChartPoint> kept;
  for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
    const auto begin = finite.begin() + static_cast<std::ptrdiff_t>(bucket * finite.size() / buckets);
    const auto end = finite.begin() + static_cast<std::ptrdiff_t>((bucket + 1) * finite.size() / buckets);
    auto [lowest, highest] = std::minmax_element(begin, end, lower);
    if (lowest > highest) std::swap(lowest, highest);
    kept.push_back(*lowest);
    if (lowest != highest) kept.push_back(*highest);
  }
  return kept;
}

std::string Axis::label(double tick) const {
  if (std::abs(tick) < tick_step / 2) return "0";
  const double largest = std::max(std::abs(low), std::abs(high));
  const char* unit = largest >= 1e6 ? " M" : largest >= 1e4 ? " k" : "";
  const double scale = largest >= 1e6 ? 1e6 : largest >= 1e4 ? 1e3 : 1;
  if (largest < 1e-3) return fmt::format("{:.3g}", tick);
  const int decimals = std::max(0, -static_cast<int>(std::floor(std::log10(tick_step / scale) + 1e-9)));
  return fmt::format("{:.{}f}{}", tick / scale, decimals, unit);
}

Axis make_axis(double low, double high, AxisEnds ends, int most_ticks) {
  if (!std::isfinite(low) || !std::isfinite(high)) low = 0, high = 1;
  if (low > high) std::swap(low, high);
  const double size = std::max(std::abs(low), std::abs(high));
  if (high - low <= 1e-9 * size || high == low) {
    const double margin = size > 0 ? 0.05 * size : 1;
    low -= margin;
    high += margin;
  }
  Axis axis;
  axis.tick_step = nice_step(high - low, most_ticks);
  const double slack = 1e-9;
  double first = std::ceil(low / axis.tick_step - slack);
  double last = std::floor(high / axis.tick_step + slack);
  if (ends == AxisEnds::kRounded) {
    first = std::floor(low / axis.tick_step + slack);
    last = std::ceil(high / axis.tick_step - slack);
  }
  for (double tick = first; tick <= last; ++tick) axis.ticks.push_back(tick * axis.tick_step + 0.0);
  axis.low = ends == AxisEnds::kRounded ? first * axis.tick_step : low;
  axis.high = ends == AxisEnds::kRounded ? last * axis.tick_step : high;
  return axis;
}

}  // namespace stoa::cluster
