#pragma once
/// Charts of the HTML report as inline SVG that stays legible at any width: only the plotted lines are stretched, text
/// and strokes keep their size.
#include <string>
#include <vector>

#include "stoa/cluster/chart.h"

namespace stoa::cluster {

struct ChartMark {
  double x = 0;
  std::string label;
};

struct Chart {
  std::string id;  ///< unique in the page, letters only
  std::string title;
  std::string description;  ///< what a reader who does not see it should know
  std::string x_title;
  std::string y_title;
  int height = 260;        ///< of the plot, in CSS pixels
  bool from_zero = false;  ///< the y axis begins at 0
  std::vector<ChartPoint> line;
  std::vector<ChartPoint> dots;
  std::vector<ChartMark> marks;  ///< vertical lines
};

/// & < > " ' as entities; control characters, which HTML forbids, as U+FFFD.
std::string html_escape(std::string_view text);

/// REQUIRES: at least one finite point.
std::string render_svg(const Chart& chart);

}  // namespace stoa::cluster
