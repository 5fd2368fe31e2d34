// Plots of a load report as SVG: lines over an axis, and requests over time. Colours come from the
// page's style classes s0 to s7.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon::traffic {

enum class AxisScale { linear, logarithmic };

struct PlotLine {
  std::string name;        ///< shown when a point is pointed at
  std::size_t colour = 0;  ///< of the class s<colour % 8>
  bool dashed = false;
  bool dots = true;
  std::vector<std::pair<double, double>> points;  ///< in the order to draw; finite
};

struct PlotAxis {
  std::string label;  ///< with its unit
  AxisScale scale = AxisScale::linear;
  std::vector<double> ticks = {};  ///< values to mark; empty: round ones
};

/// "" when no line has a point. A linear axis begins at 0. On a logarithmic one, values of 0 and
/// below are left out.
std::string line_plot(std::string_view title, const PlotAxis& x, const PlotAxis& y,
                      const std::vector<PlotLine>& lines);

/// One request of a timeline, in seconds.
struct Bar {
  double begin = 0;
  double first = -1;  ///< first output; -1: none
  double end = 0;
  std::string failure;  ///< "" when it was answered
};

/// A row for each request: waiting for the first output pale, output strong, failed red.
std::string timeline_plot(std::string_view title, const std::vector<Bar>& bars);

/// `0.012`, `3.4`, `120`, `12k`: for tables and axes.
std::string short_number(double value);

}  // namespace tenon::traffic
