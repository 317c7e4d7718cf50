#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "stoa/cluster/report.h"

namespace stoa::cluster {
namespace {

constexpr int kCurveRows = 12;
constexpr int kLeastColumns = 40;

/// Columns on the screen: the bytes that begin a character. Our own text has no wide or combining characters.
std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

/// Text that a terminal only shows: control characters (an escape sequence in a file name) become '?'.
std::string shown(std::string_view text, Charset charset) {
  static constexpr std::array<std::array<std::string_view, 2>, 3> kPlain{{{"→", "->"}, {"×", "x"}, {"–", "-"}}};
  std::string out;
  while (!text.empty()) {
    const auto plain =
        std::find_if(kPlain.begin(), kPlain.end(), [&](auto& pair) { return text.starts_with(pair[0]); });
    if (charset == Charset::kAscii && plain != kPlain.end()) {
      out += (*plain)[1];
      text.remove_prefix((*plain)[0].size());
      continue;
    }
    const auto byte = static_cast<unsigned char>(text.front());
    const bool is_control =
        byte < 0x20 || byte == 0x7f || (byte == 0xC2 && text.size() > 1 && (text[1] & 0xE0) == 0x80);
    if (is_control)
      out += byte == '\n' ? ' ' : '?';
    else if (byte < 0x80 || charset == Charset::kUtf8)
      out += text.front();
    else if ((byte & 0xC0) != 0x80)
      out += '?';
    text.remove_prefix(byte == 0xC2 && is_control ? 2 : 1);
  }
  return out;
}

/// Words filled into lines of at most `columns`; a longer word is cut.
std::vector<std::string> wrap(const std::string& text, std::size_t columns) {
  std::vector<std::string> lines(1);
  std::size_t used = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    std::string word = text.substr(at, end - at);
    at = end + 1;
    if (used > 0 && used + 1 + columns_of(word) > columns) {
      lines.emplace_back();
      used = 0;
    }
    while (columns_of(word) > columns) {
      std::size_t cut = 0;
      for (std::size_t seen = 0; cut < word.size() && (seen < columns || (word[cut] & 0xC0) == 0x80); ++cut)
        if ((word[cut] & 0xC0) != 0x80) ++seen;
      lines.back() = word.substr(0, cut);
      lines.emplace_back();
      word.erase(0, cut);
    }
    if (used > 0) lines.back() += ' ', ++used;
    lines.back() += word;
    used += columns_of(word);
  }
  for (std::string& line : lines) line.erase(line.find_last_not_of(' ') + 1);
  return lines;
}

/// A raster of dots, drawn as braille (2 x 4 dots a character) or as one star a character.
class DotRaster {
 public:
  DotRaster(int columns, int rows, Charset charset)
      : columns_(columns), rows_(rows), charset_(charset), cells_(static_cast<std::size_t>(columns * rows)) {}

  int width() const { return columns_ * across(); }
  int height() const { return rows_ * down(); }

  void set(int x, int y) {
    static constexpr unsigned kBits[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    const auto cell = static_cast<std::size_t>(y / down() * columns_ + x / across());
    cells_[cell] |= kBits[y % down()][x % across()];
  }

  std::string row(int at) const {
    std::string text;
    for (int column = 0; column < columns_; ++column) {
      const unsigned bits = cells_[static_cast<std::size_t>(at * columns_ + column)];
      if (bits == 0)
        text += ' ';
      else if (charset_ == Charset::kAscii)
        text += '*';
      else
        text += braille(bits);
    }
    return text.substr(0, text.find_last_not_of(' ') + 1);
  }

 private:
  int across() const { return charset_ == Charset::kAscii ? 1 : 2; }
  int down() const { return charset_ == Charset::kAscii ? 1 : 4; }
  /// U+2800 + bits in UTF-8.
  static std::string braille(unsigned bits) {
    return {'\xE2', static_cast<char>(0xA0 | (bits >> 6)), static_cast<char>(0x80 | (bits & 0x3F))};
  }

  int columns_;
  int rows_;
  Charset charset_;
  std::vector<unsigned> cells_;
};

struct Extent {
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
};

/// Joins neighbouring points, so that the curve has no holes where steps are fewer than dots.
void draw(DotRaster& raster, const std::vector<ChartPoint>& points, const Axis& x, const Axis& y) {
  const auto across = [&](const ChartPoint& p) {
    return static_cast<int>(std::lround(x.fraction(p.x) * (raster.width() - 1)));
  };
  const auto down = [&](const ChartPoint& p) {
    return static_cast<int>(std::lround((1 - y.fraction(p.y)) * (raster.height() - 1)));
  };
  for (std::size_t i = 0; i < points.size(); ++i) {
    const ChartPoint& to = points[i];
    const ChartPoint& from = points[i == 0 ? 0 : i - 1];
    const int dots = std::max({1, std::abs(across(to) - across(from)), std::abs(down(to) - down(from))});
    for (int dot = 0; dot <= dots; ++dot) {
      const double part = static_cast<double>(dot) / dots;
      raster.set(static_cast<int>(std::lround(std::lerp(across(from), across(to), part))),
                 static_cast<int>(std::lround(std::lerp(down(from), down(to), part))));
    }
  }
}

int fit_columns(const TerminalForm& form) { return std::max(form.columns, kLeastColumns); }

std::string section_text(const ReportSection& section, std::size_t columns, Charset charset) {
  constexpr std::size_t kLabel = 26;
  const std::size_t label_columns = columns >= 64 ? kLabel : 2;
  std::string text = "\n" + shown(section.title, charset) + "\n";
  for (const ReportFact& fact : section.facts) {
    const std::string label = "  " + shown(fact.label, charset);
    std::string value = shown(fact.value, charset);
    if (!fact.note.empty()) value += "  (" + shown(fact.note, charset) + ")";
    const bool own_line = columns_of(label) + 1 > label_columns;
    const std::size_t indent = own_line ? 4 : label_columns;
    text += own_line ? label + "\n" : label + std::string(label_columns - columns_of(label), ' ');
    bool first = !own_line;
    for (const std::string& line : wrap(value, columns - indent)) {
      text += (first ? "" : std::string(indent, ' ')) + line + "\n";
      first = false;
    }
  }
  return text;
}

}  // namespace

std::string render_loss_curve(const RunReport& report, const TerminalForm& form) {
  constexpr int kMargin = 9;
  const std::vector<ChartPoint> points = decimate(loss_series(report.metrics), 4096);
  if (points.empty()) return "";
  Extent extent;
  for (const ChartPoint& point : points) {
    extent.low = std::min(extent.low, point.y);
    extent.high = std::max(extent.high, point.y);
  }
  const Axis x = make_axis(points.front().x, points.back().x, AxisEnds::kExact);
  const Axis y = make_axis(extent.low, extent.high, AxisEnds::kRounded);
  DotRaster raster(fit_columns(form) - kMargin, kCurveRows, form.charset);
  draw(raster, points, x, y);

  const bool ascii = form.charset == Charset::kAscii;
  std::string text = "loss (nats per token)\n";
  for (int row = 0; row < kCurveRows; ++row) {
    std::string label;
    for (const double tick : y.ticks)
      if (std::lround((1 - y.fraction(tick)) * (kCurveRows - 1)) == row) label = y.label(tick);
    text += fmt::format("{:>7} {}{}\n", label, ascii ? "|" : label.empty() ? "│" : "┤", raster.row(row));
  }
  const std::string first = fmt::format("step {:.0f}", points.front().x);
  const std::string last = fmt::format("step {:.0f}", points.back().x);
  const auto gap = static_cast<std::size_t>(fit_columns(form) - kMargin) - first.size();
  return text + std::string(kMargin, ' ') + first + fmt::format("{:>{}}", last, gap) + "\n";
}

std::string render_terminal(const RunReport& report, const TerminalForm& form) {
  const auto columns = static_cast<std::size_t>(fit_columns(form));
  std::string text;
  for (const std::string& line : wrap(shown(report.name, form.charset), columns)) text += line + "\n";
  text += "\n" + render_loss_curve(report, form);
  for (const ReportSection& section : report.sections) text += section_text(section, columns, form.charset);
  return text;
}

}  // namespace stoa::cluster
