#include "verify/plots.h"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>

#include "base/html.h"

namespace tenon::verify {
namespace {

// Heights and margins in units of the drawing; a wide plot fills the page, a small one half of it.
constexpr double kWide = 720;
constexpr double kSmall = 460;
constexpr double kHeight = 240;
constexpr double kLeft = 52;
constexpr double kRight = 12;
constexpr double kTop = 14;
constexpr double kBottom = 30;
constexpr double kPlotHeight = kHeight - kTop - kBottom;
constexpr double plot_width(double width) { return width - kLeft - kRight; }
constexpr int kLowestDecade = -16;
constexpr int kHighestDecade = 6;

// Decades that hold all positive finite values.
struct LogScale {
  int low = 0;
  int high = 0;

  void include(double value) {
    if (!(value > 0) || !std::isfinite(value)) return;
    const double decade = std::log10(value);
    const int floor =
        std::clamp(static_cast<int>(std::floor(decade)), kLowestDecade, kHighestDecade - 1);
    const int ceil =
        std::clamp(static_cast<int>(std::ceil(decade)), kLowestDecade + 1, kHighestDecade);
    low = empty ? floor : std::min(low, floor);
    high = empty ? ceil : std::max(high, ceil);
    empty = false;
    if (high <= low) high = low + 1;
  }
  /// Values at and below the bottom, and zero, lie on it; what is infinite on the top.
  double y(double value) const {
    double share = 0;
    if (std::isnan(value) || std::isinf(value)) {
      share = 1;
    } else if (value > 0) {
      share = (std::log10(value) - low) / (high - low);
    }
    return kTop + kPlotHeight * (1 - std::clamp(share, 0.0, 1.0));
  }
  bool empty = true;
};

std::string begin(std::string_view label, double width) {
  return fmt::format(
      "<svg viewBox=\"0 0 {:g} {:g}\" role=\"img\" aria-label=\"{}\" "
      "preserveAspectRatio=\"xMidYMid meet\">",
      width, kHeight, escaped(label));
}

std::string text(double x, double y, std::string_view anchor, std::string_view words) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>", x, y, anchor,
                     escaped(words));
}

std::string line(std::string_view style, double x1, double y1, double x2, double y2) {
  return fmt::format("<line class=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>",
                     style, x1, y1, x2, y2);
}

std::string decades(const LogScale& scale, double width) {
  std::string svg;
  const int step = std::max(1, (scale.high - scale.low + 5) / 6);
  for (int decade = scale.low; decade <= scale.high; decade += step) {
    const double y = scale.y(std::pow(10.0, decade));
    svg += line("grid", kLeft, y, width - kRight, y);
    svg += text(kLeft - 6, y + 4, "end", fmt::format("1e{}", decade));
  }
  return svg;
}

double column(std::size_t i, std::size_t count) {
  const double share = count <= 1 ? 0.5 : static_cast<double>(i) / static_cast<double>(count - 1);
  return kLeft + plot_width(kWide) * share;
}

std::string path(std::string_view style, std::span<const double> values, const LogScale& scale) {
  std::string points;
  for (std::size_t i = 0; i < values.size(); ++i) {
    points += fmt::format("{}{:.1f} {:.1f}", i == 0 ? "M" : "L", column(i, values.size()),
                          scale.y(values[i]));
  }
  return fmt::format("<path class=\"{}\" d=\"{}\"/>", style, points);
}

double shown_error(const ValueError& error) {
  return error.not_finite + error.nan_in_both > 0 ? INFINITY : error.relative;
}

}  // namespace

std::string error_plot(std::span<const ValueError> values, const std::string& departure) {
  if (values.empty()) return "";
  LogScale scale;
  std::vector<double> errors;
  std::vector<double> explained;
  for (const ValueError& value : values) {
    errors.push_back(shown_error(value));
    explained.push_back(value.explained);
    scale.include(errors.back());
    scale.include(explained.back());
  }
  std::string svg = begin("relative error of each value in execution order", kWide);
  svg += decades(scale, kWide) + path("explained", explained, scale) + path("line", errors, scale);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool marked = values[i].value == departure;
    if (!marked && values.size() > 400) continue;
    svg += fmt::format(
        "<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\"><title>{}: {:.3g}</title>"
        "</circle>",
        marked ? "mark" : "dot", column(i, values.size()), scale.y(errors[i]), marked ? "6" : "2",
        escaped(values[i].value), errors[i]);
  }
  svg += text(kLeft, kHeight - 8, "start", "first value");
  svg += text(kWide - kRight, kHeight - 8, "end", fmt::format("logits ({} values)", values.size()));
  return svg + "</svg>";
}

std::string kl_plot(const Report& report) {
  const auto& series = report.kl_series;
  if (series.empty()) return "";
  const std::size_t columns = std::min<std::size_t>(series.size(), 360);
  std::vector<double> largest(columns, 0.0);
  LogScale scale;
  for (std::size_t i = 0; i < series.size(); ++i) {
    double& tallest = largest[i * columns / series.size()];
    tallest = std::max(tallest, static_cast<double>(series[i]));
    scale.include(static_cast<double>(series[i]));
  }
  if (report.budget.mean_kl) scale.include(*report.budget.mean_kl);
  std::string svg =
      begin("KL divergence of the next token by position", kSmall) + decades(scale, kSmall);
  const double width = plot_width(kSmall) / static_cast<double>(columns);
  for (std::size_t i = 0; i < columns; ++i) {
    const double y = scale.y(largest[i]);
    svg += fmt::format(
        "<rect class=\"bar\" x=\"{:.2f}\" y=\"{:.1f}\" width=\"{:.2f}\" height=\"{:.1f}\"/>",
        kLeft + width * static_cast<double>(i) + width * 0.1, y, width * 0.8,
        kTop + kPlotHeight - y);
  }
  std::int64_t position = 0;
  for (std::size_t i = 0; i + 1 < report.prompts.size() && report.prompts.size() < 40; ++i) {
    position += report.prompts[i].tokens;
    const double x = kLeft + plot_width(kSmall) * static_cast<double>(position) /
                                 static_cast<double>(series.size());
    svg += line("bound", x, kTop, x, kTop + kPlotHeight);
  }
  if (report.budget.mean_kl) {
    const double y = scale.y(*report.budget.mean_kl);
    svg += line("limit", kLeft, y, kSmall - kRight, y);
    svg += text(kSmall - kRight, std::max(y - 5, kTop + 10), "end", "budget of the mean");
  }
  svg += text(kLeft, kHeight - 8, "start", "first position");
  svg += text(kSmall - kRight, kHeight - 8, "end", fmt::format("{} positions", series.size()));
  return svg + "</svg>";
}

std::string histogram_plot(const Histogram& histogram) {
  std::int64_t most = 0;
  std::int64_t all = 0;
  std::size_t first = histogram.size();
  std::size_t last = 0;
  for (std::size_t i = 0; i < histogram.size(); ++i) {
    most = std::max(most, histogram[i]);
    all += histogram[i];
  }
  for (std::size_t i = 0; i < histogram.size(); ++i) {
    if (histogram[i] <= most / 500) continue;  // too little to be seen
    first = std::min(first, i);
    last = i;
  }
  if (most == 0) return "";
  first -= first % kHistogramBinsPerDecade;
  last =
      std::min(last - last % kHistogramBinsPerDecade + kHistogramBinsPerDecade, histogram.size());
  std::string svg = begin("how many logits differ by how much", kSmall);
  const double width = plot_width(kSmall) / static_cast<double>(last - first);
  for (const double share : {0.5, 1.0}) {
    const double y = kTop + kPlotHeight * (1 - share);
    const double percent = 100 * share * static_cast<double>(most) / static_cast<double>(all);
    svg += line("grid", kLeft, y, kSmall - kRight, y);
    svg += text(kLeft - 6, y + 4, "end", fmt::format("{:.0f} %", percent));
  }
  svg += line("grid", kLeft, kTop + kPlotHeight, kSmall - kRight, kTop + kPlotHeight);
  for (std::size_t i = first; i < last; ++i) {
    const double height =
        kPlotHeight * static_cast<double>(histogram[i]) / static_cast<double>(most);
    const double x = kLeft + width * static_cast<double>(i - first);
    svg += fmt::format(
        "<rect class=\"bar\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>",
        x + width * 0.05, kTop + kPlotHeight - height, width * 0.9, height);
    if (i % kHistogramBinsPerDecade == 0) {
      svg += text(
          x, kHeight - 10, "middle",
          fmt::format("1e{}", kHistogramLowest + static_cast<int>(i / kHistogramBinsPerDecade)));
    }
  }
  return svg + "</svg>";
}

}  // namespace tenon::verify
