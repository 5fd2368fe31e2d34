#include "traffic/plots.h"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>

#include "base/html.h"

namespace tenon::traffic {
namespace {

constexpr double kWidth = 460;
constexpr double kHeight = 250;
constexpr double kLeft = 50;
constexpr double kRight = 14;
constexpr double kTop = 24;
constexpr double kBottom = 40;
constexpr double kInnerWidth = kWidth - kLeft - kRight;
constexpr double kInnerHeight = kHeight - kTop - kBottom;
constexpr std::size_t kColours = 8;

double nice_step(double span, int most) {
  const double raw = span / most;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= raw) return factor * power;
  return 10 * power;
}

/// Values to shares of the axis.
class Mapping {
 public:
  explicit Mapping(AxisScale scale) : log_(scale == AxisScale::logarithmic) {}

  bool takes(double value) const { return std::isfinite(value) && (!log_ || value > 0); }
  void include(double value) {
    if (!takes(value)) return;
    low_ = empty_ ? value : std::min(low_, value);
    high_ = empty_ ? value : std::max(high_, value);
    empty_ = false;
  }
  void settle() {
    if (log_) {
      if (high_ <= low_ * 1.0001) low_ /= 2, high_ *= 2;
    } else {
      low_ = std::min(low_, 0.0);
      if (high_ <= low_) high_ = low_ + 1;
      high_ = low_ + std::ceil((high_ - low_) / step() - 1e-9) * step();
    }
  }
  double share(double value) const {
    if (!log_) return (value - low_) / (high_ - low_);
    return (std::log(value) - std::log(low_)) / (std::log(high_) - std::log(low_));
  }
  std::vector<double> ticks() const {
    std::vector<double> found;
    if (!log_) {
      for (double at = low_; at <= high_ + step() / 2; at += step()) found.push_back(at);
      return found;
    }
    const double decades = std::log10(high_ / low_);
    if (decades < 0.8) {
      const double step = nice_step(high_ - low_, 5);
      for (double at = std::ceil(low_ / step) * step; at <= high_; at += step) found.push_back(at);
      return found;
    }
    for (int power = static_cast<int>(std::floor(std::log10(low_))); power <= 12; ++power) {
      for (const double factor : {1.0, 2.0, 5.0}) {
        if (factor > 1 && decades > 2.5) continue;
        const double at = factor * std::pow(10.0, power);
        if (at >= low_ * 0.999 && at <= high_ * 1.001) found.push_back(at);
      }
    }
    return found;
  }

 private:
  double step() const { return nice_step(high_ - low_, 5); }

  bool log_;
  bool empty_ = true;
  double low_ = 0;
  double high_ = 0;
};

std::string begin(std::string_view title, double height) {
  return fmt::format("<svg viewBox=\"0 0 {:g} {:g}\" role=\"img\" aria-label=\"{}\">", kWidth,
                     height, escaped(title));
}

std::string text(double x, double y, std::string_view anchor, std::string_view words) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>", x, y, anchor,
                     escaped(words));
}

std::string rule(double x1, double y1, double x2, double y2) {
  return fmt::format(
      "<line class=\"grid\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>", x1, y1, x2,
      y2);
}

double place_x(const Mapping& x, double value) { return kLeft + kInnerWidth * x.share(value); }
double place_y(const Mapping& y, double value) {
  return kTop + kInnerHeight * (1 - y.share(value));
}

std::string draw(const PlotLine& line, const Mapping& x, const Mapping& y) {
  std::string path;
  std::string dots;
  const std::size_t colour = line.colour % kColours;
  for (const auto& [px, py] : line.points) {
    if (!x.takes(px) || !y.takes(py)) continue;
    path +=
        fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", place_x(x, px), place_y(y, py));
    if (!line.dots) continue;
    dots += fmt::format(
        "<circle class=\"f{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.2\"><title>{}: {} at "
        "{}</title></circle>",
        colour, place_x(x, px), place_y(y, py), escaped(line.name), short_number(py),
        short_number(px));
  }
  if (path.empty()) return "";
  return fmt::format("<path class=\"s{}{}\" d=\"{}\"><title>{}</title></path>{}", colour,
                     line.dashed ? " dashed" : "", path, escaped(line.name), dots);
}

}  // namespace

std::string short_number(double value) {
  const double size = std::abs(value);
  if (value == 0) return "0";
  if (size >= 1e6) return fmt::format("{:.3g}M", value / 1e6);
  if (size >= 1e4) return fmt::format("{:.3g}k", value / 1e3);
  if (size >= 1000) return fmt::format("{:.0f}", value);
  return fmt::format("{:.3g}", value);
}

std::string line_plot(std::string_view title, const PlotAxis& x_axis, const PlotAxis& y_axis,
                      const std::vector<PlotLine>& lines) {
  Mapping x(x_axis.scale);
  Mapping y(y_axis.scale);
  bool any = false;
  for (const PlotLine& line : lines) {
    for (const auto& [px, py] : line.points) {
      if (!x.takes(px) || !y.takes(py)) continue;
      x.include(px);
      y.include(py);
      any = true;
    }
  }
  if (!any) return "";
  x.settle();
  y.settle();
  std::string svg = begin(title, kHeight);
  for (const double tick : y.ticks()) {
    svg += rule(kLeft, place_y(y, tick), kWidth - kRight, place_y(y, tick));
    svg += text(kLeft - 6, place_y(y, tick) + 4, "end", short_number(tick));
  }
  for (const double tick : x_axis.ticks.empty() ? x.ticks() : x_axis.ticks) {
    svg += rule(place_x(x, tick), kTop + kInnerHeight, place_x(x, tick), kTop + kInnerHeight + 4);
    svg += text(place_x(x, tick), kTop + kInnerHeight + 17, "middle", short_number(tick));
  }
  svg += text(kLeft - 6, 13, "start", y_axis.label);
  svg += text(kWidth - kRight, kHeight - 6, "end", x_axis.label);
  for (const PlotLine& line : lines) svg += draw(line, x, y);
  return svg + "</svg>";
}

std::string timeline_plot(std::string_view title, const std::vector<Bar>& bars) {
  if (bars.empty()) return "";
  Mapping x(AxisScale::linear);
  for (const Bar& bar : bars) x.include(bar.end);
  x.settle();
  const double row = std::clamp(260.0 / static_cast<double>(bars.size()), 0.8, 9.0);
  const double bottom = kTop + row * static_cast<double>(bars.size());
  std::string svg = begin(title, bottom + kBottom);
  for (const double tick : x.ticks()) {
    svg += rule(place_x(x, tick), kTop, place_x(x, tick), bottom + 4);
    svg += text(place_x(x, tick), bottom + 17, "middle", short_number(tick));
  }
  const auto bar_of = [&](const char* style, double from, double to, double y,
                          const std::string& tip) {
    return fmt::format(
        "<rect class=\"{}\" x=\"{:.1f}\" y=\"{:.2f}\" width=\"{:.1f}\" height=\"{:.2f}\">"
        "<title>{}</title></rect>",
        style, place_x(x, from), y, std::max(0.6, place_x(x, to) - place_x(x, from)), row * 0.85,
        escaped(tip));
  };
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const Bar& bar = bars[i];
    const double y = kTop + row * static_cast<double>(i);
    const std::string tip = fmt::format("request {}: {:.3g} s to {:.3g} s{}{}", i, bar.begin,
                                        bar.end, bar.failure.empty() ? "" : ", ", bar.failure);
    if (!bar.failure.empty()) {
      svg += bar_of("mark", bar.begin, bar.end, y, tip);
      continue;
    }
    const double first = bar.first < 0 ? bar.end : bar.first;
    svg += bar_of("wait", bar.begin, first, y, tip);
    if (bar.first >= 0) svg += bar_of("bar", first, bar.end, y, tip);
  }
  svg += text(kWidth - kRight, bottom + kBottom - 6, "end", "seconds");
  return svg + "</svg>";
}

}  // namespace tenon::traffic
