// Small SVG plots for the report's page. Colours come from the page's style classes.
#pragma once

#include <span>
#include <string>

#include "verify/report.h"

namespace tenon::verify {

/// Relative error of the values in execution order, log scale, and what was explained; the
/// departure is marked. "" for no values.
std::string error_plot(std::span<const ValueError> values, const std::string& departure);
/// KL of every position, log scale, with the budget's line; bounds between prompts. Many positions
/// share a column, which shows their largest.
std::string kl_plot(const Report& report);
/// Shares of |a - b| by size.
std::string histogram_plot(const Histogram& histogram);

}  // namespace tenon::verify
