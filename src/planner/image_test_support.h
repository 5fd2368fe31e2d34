// Texts of small convolutional graphs for the tests of the passes over pictures.
#pragma once

#include <string>
#include <string_view>

#include <fmt/format.h>

#include "planner/pass_test_support.h"

namespace tenon::planner {

/// A float constant with numbers of the order of 1 / 2 that do not repeat.
inline std::string numbers(std::string_view name, const Shape& shape) {
  std::string text = fmt::format("constant \"{}\" fp32{} =", name, to_string(shape));
  std::uint32_t state = static_cast<std::uint32_t>(std::hash<std::string_view>()(name));
  for (std::int64_t i = 0; i < element_count(shape); ++i) {
    state = state * 1664525U + 1013904223U;
    text += fmt::format(" {}", static_cast<double>(state >> 20) / 4096.0 - 0.5);
  }
  return text + "\n";
}

/// `to` = a convolution of `from` with `channels` inputs and `results` outputs.
inline std::string convolution(std::string_view name, std::string_view from, std::string_view to,
                               std::int64_t channels, std::int64_t results, std::int64_t kernel = 3,
                               std::string_view attributes = "") {
  const std::string plain = kernel == 3 && attributes.empty() ? " pads=[1, 1, 1, 1]" : "";
  return numbers(fmt::format("{}.weight", name), {results, channels, kernel, kernel}) +
         numbers(fmt::format("{}.bias", name), {results}) +
         fmt::format(
             "node \"{0}\" = Conv(\"{1}\", \"{0}.weight\", \"{0}.bias\"){3} {4} -> \"{2}\"\n", name,
             from, to, plain, attributes);
}

inline std::int64_t count_ops(const std::string& text, std::string_view op) {
  const graph::Graph graph = graph::from_text(text);
  std::int64_t count = 0;
  for (const graph::NodeId id : graph.order()) count += graph.node(id).op->name == op;
  return count;
}

/// Sums of a 3x3 convolution over 8 channels are of 72 products below 1/2; a chain of four of them,
/// normalised in between or not, stays below 64 in size, and the order of float64 sums differs.
inline constexpr double kConvolutions = 16 * kRounding;

}  // namespace tenon::planner
