#include "stoa/cluster/report_svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

namespace stoa::cluster {
namespace {

constexpr std::size_t kMostPoints = 1500;
/// The stretched drawing is this many units wide and high.
constexpr double kUnits = 1000;
/// Closer than this share of the width, a second label would overlap the first on a telephone.
constexpr double kLabelGap = 0.06;

struct Extent {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void hold(double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

struct Frame {
  Axis x;
  Axis y;
  double across(double value) const { return x.fraction(value); }
  double down(double value) const { return 1 - y.fraction(value); }
};

Frame make_frame(const Chart& chart) {
  Extent x, y;
  for (const auto* points : {&chart.line, &chart.dots}) {
    for (const ChartPoint& point : *points) {
      x.hold(point.x);
      y.hold(point.y);
    }
  }
  x.hold(0);  // steps and minutes count from there
  if (chart.from_zero) y.hold(0);
  const int y_ticks = chart.height < 200 ? 3 : 5;
  return {make_axis(x.low, x.high, AxisEnds::kExact), make_axis(y.low, y.high, AxisEnds::kRounded, y_ticks)};
}

std::string grid(const Chart& chart, const Frame& frame) {
  std::string svg;
  auto out = std::back_inserter(svg);
  for (const double tick : frame.y.ticks) {
    const double y = frame.down(tick) * chart.height;
    fmt::format_to(out, "<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"{0:.1f}\" y2=\"{0:.1f}\"/>", y);
    fmt::format_to(out, "<text class=\"tick\" x=\"-8\" y=\"{:.1f}\" dy=\".35em\" text-anchor=\"end\">{}</text>", y,
                   html_escape(frame.y.label(tick)));
  }
  for (const double tick : frame.x.ticks)
    fmt::format_to(out, "<text class=\"tick\" x=\"{:.2f}%\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                   100 * frame.across(tick), chart.height + 20, html_escape(frame.x.label(tick)));
  return svg;
}

std::string marks(const Chart& chart, const Frame& frame) {
  std::string svg;
  auto out = std::back_inserter(svg);
  double last_label = -1;
  for (const ChartMark& mark : chart.marks) {
    const double x = frame.across(mark.x);
    if (!(x >= 0 && x <= 1)) continue;
    fmt::format_to(out, "<line class=\"mark\" x1=\"{0:.2f}%\" x2=\"{0:.2f}%\" y1=\"0\" y2=\"{1}\"/>", 100 * x,
                   chart.height);
    if (x - last_label < kLabelGap) continue;
    last_label = x;
    const bool at_end = x > 0.9;
    fmt::format_to(out, "<text class=\"marklabel\" x=\"{:.2f}%\" dx=\"{}\" y=\"12\" text-anchor=\"{}\">{}</text>",
                   100 * x, at_end ? -5 : 5, at_end ? "end" : "start", html_escape(mark.label));
  }
  return svg;
}

/// A dot is a line of no length with round ends: it keeps its shape when the drawing is stretched.
std::string plotted(const Chart& chart, const Frame& frame) {
  std::string path;
  for (const ChartPoint& point : decimate(chart.line, kMostPoints))
    fmt::format_to(std::back_inserter(path), "{}{:.1f} {:.1f}", path.empty() ? "M" : "L",
                   kUnits * frame.across(point.x), kUnits * frame.down(point.y));
  std::string dots;
  for (const ChartPoint& point : decimate(chart.dots, kMostPoints))
    fmt::format_to(std::back_inserter(dots), "M{:.1f} {:.1f}h0", kUnits * frame.across(point.x),
                   kUnits * frame.down(point.y));
  std::string svg;
  if (!path.empty()) svg += fmt::format("<path class=\"curve\" d=\"{}\"/>", path);
  if (!dots.empty()) svg += fmt::format("<path class=\"dotrim\" d=\"{0}\"/><path class=\"dots\" d=\"{0}\"/>", dots);
  return svg;
}

}  // namespace

std::string html_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        if ((static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
          out += "\xEF\xBF\xBD";
        else
          out += c;
    }
  }
  return out;
}

std::string render_svg(const Chart& chart) {
  const Frame frame = make_frame(chart);
  return fmt::format(
      "<div class=\"plot\"><svg role=\"img\" aria-labelledby=\"{0}-title {0}-desc\" width=\"100%\" height=\"{1}\">"
      "<title id=\"{0}-title\">{2}</title><desc id=\"{0}-desc\">{3}</desc>"
      "<text class=\"axis\" x=\"-44\" y=\"-14\">{4}</text>{5}{6}"
      "<svg width=\"100%\" height=\"{7}\" viewBox=\"0 0 {8} {8}\" preserveAspectRatio=\"none\">{9}</svg>"
      "<text class=\"axis\" x=\"100%\" y=\"{10}\" text-anchor=\"end\">{11}</text></svg></div>\n",
      chart.id, chart.height + 44, html_escape(chart.title), html_escape(chart.description), html_escape(chart.y_title),
      grid(chart, frame), marks(chart, frame), chart.height, kUnits, plotted(chart, frame), chart.height + 40,
      html_escape(chart.x_title));
}

}  // namespace stoa::cluster
