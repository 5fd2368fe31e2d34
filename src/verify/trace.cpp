#include "verify/trace.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "kernels/kernel.h"
#include "verify/source_values.h"

namespace tenon::verify {
namespace {

using engine::Engine;
using engine::Step;
using engine::Value;
using engine::ValueIndex;

// Differences of single elements spread further than their root mean square: five deviations are
// common among millions, and the outer values of a row are rounded in their own, larger steps.
constexpr double kPeakOverRelative = 12;
// A sum of values of opposite signs, a norm of nearly equal values and the exponential of a score
// enlarge relative errors; a step of a decoder seldom does so more than tenfold.
constexpr double kGrowth = 10;

const Value& value_at(const Engine& engine, ValueIndex index) {
  return engine.values[static_cast<std::size_t>(index)];
}

// Additive masks hide the size of what they are added to: -65504, -1e9, the lowest float.
bool is_mask(float value, double difference) {
  return value <= -1e4F && difference <= 1e-2 * -double{value};
}

Tensor as_floats(const TensorView& view) { return converted(view, DType::f32); }

// Values that steps of the engine write, by name.
std::map<std::string, const Step*, std::less<>> written_values(const Engine& engine) {
  std::map<std::string, const Step*, std::less<>> written;
  for (const Step& step : engine.steps) {
    for (const ValueIndex output : step.outputs) {
      if (output != engine::kAbsent && !step.kernels.empty() &&
          is_float(value_at(engine, output).dtype))
        written.emplace(source_name(value_at(engine, output).name), &step);
    }
  }
  return written;
}

class Walk {
 public:
  Walk(const Watched& a, const Watched& b, std::size_t max_bytes)
      : a_(a), b_(b), max_bytes_(max_bytes) {
    const auto in_b = written_values(b.engine);
    for (const auto& [name, step] : written_values(a.engine)) {
      if (in_b.contains(name)) remaining_.insert(name);
    }
  }

  std::vector<ValueError> run() {
    while (!remaining_.empty()) {
      capture();
      if (kept_.empty()) break;  // what remains never appears at run time
      compare();
      for (const auto& [name, tensor] : kept_) remaining_.erase(name);
      kept_.clear();
    }
    return in_order();
  }

 private:
  void capture() {
    std::size_t bytes = 0;
    a_.run([&](const Step&, const Value& value, const TensorView& view) {
      const std::string name(source_name(value.name));
      if (!remaining_.contains(name) || kept_.contains(name)) return;
      if (!kept_.empty() && bytes + view.bytes() > max_bytes_) return;
      bytes += view.bytes();
      kept_.emplace(name, in_source_order(value.name, view));
    });
  }

  void compare() {
    b_.run([&](const Step& step, const Value& value, const TensorView& view) {
      const std::string name(source_name(value.name));
      const auto kept = kept_.find(name);
      if (kept == kept_.end() || kept->second.count() != view.count()) return;
      ValueError error;
      error.value = name;
      error.module = step.module;
      error.op = step.op;
      error.dtype = computing_type(b_.engine, step);
      const bool turned = name.size() != value.name.size();
      const Tensor ordered = turned ? in_source_order(value.name, view) : Tensor();
      measure(kept->second.view(), turned ? ordered.view() : view, error);
      found_.insert_or_assign(name, std::move(error));
    });
  }

  std::vector<ValueError> in_order() {
    std::vector<ValueError> ordered;
    for (const Step& step : b_.engine.steps) {
      for (const ValueIndex output : step.outputs) {
        if (output == engine::kAbsent) continue;
        const auto found = found_.find(source_name(value_at(b_.engine, output).name));
        if (found == found_.end()) continue;
        ordered.push_back(std::move(found->second));
        found_.erase(found);
      }
    }
    return ordered;
  }

  const Watched& a_;
  const Watched& b_;
  std::size_t max_bytes_;
  std::set<std::string, std::less<>> remaining_;
  std::map<std::string, Tensor, std::less<>> kept_;
  std::map<std::string, ValueError, std::less<>> found_;
};

bool departs(const ValueError& error) {
  return error.not_finite > 0 || error.nan_in_both > 0 || error.relative > error.explained ||
         error.peak > kPeakOverRelative * error.explained;
}

}  // namespace

void measure(const TensorView& a, const TensorView& b, ValueError& error) {
  const Tensor wide_a = as_floats(a);
  const Tensor wide_b = as_floats(b);
  const auto x = wide_a.as<float>();
  const auto y = wide_b.as<float>();
  error.shape = b.shape;
  error.elements = static_cast<std::int64_t>(x.size());
  double squares = 0;
  double square_differences = 0;
  std::int64_t counted = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (std::isfinite(y[i])) error.max_abs = std::max(error.max_abs, std::abs(double{y[i]}));
    if (std::isnan(x[i]) && std::isnan(y[i]) && error.nan_in_both++ == 0 && error.not_finite == 0)
      error.where = static_cast<std::int64_t>(i);
    if (!std::isfinite(x[i])) continue;  // a mask, or A is wrong itself
    error.max_abs_a = std::max(error.max_abs_a, std::abs(double{x[i]}));
    if (!std::isfinite(y[i])) {
      if (error.not_finite++ == 0) error.where = static_cast<std::int64_t>(i);
      continue;
    }
    const double difference = std::abs(double{x[i]} - double{y[i]});
    if (is_mask(x[i], difference)) continue;
    squares += double{x[i]} * x[i];
    square_differences += difference * difference;
    counted += 1;
    if (difference > error.max_difference) {
      error.max_difference = difference;
      if (error.not_finite + error.nan_in_both == 0) error.where = static_cast<std::int64_t>(i);
    }
  }
  const double typical = counted > 0 ? std::sqrt(squares / static_cast<double>(counted)) : 0;
  if (square_differences > 0) {
    error.relative = squares > 0 ? std::sqrt(square_differences / squares) : INFINITY;
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double difference = std::abs(double{x[i]} - double{y[i]});
    const double size = std::abs(double{x[i]}) + typical;
    if (std::isfinite(x[i]) && std::isfinite(y[i]) && difference > 0)
      error.peak = std::max(error.peak, size > 0 ? difference / size : INFINITY);
  }
}

std::vector<ValueError> trace(const Watched& a, const Watched& b, std::size_t max_bytes) {
  return Walk(a, b, max_bytes).run();
}

std::optional<ValueError> first_not_finite(const Watched& watched) {
  std::optional<ValueError> first;
  const auto scan = [&](const Step& step, const Value& value, const TensorView& view) {
    if (first || !is_float(view.dtype)) return;
    const Tensor wide = as_floats(view);
    ValueError error;
    const auto numbers = wide.as<float>();
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      if (std::isfinite(numbers[i])) {
        error.max_abs = std::max(error.max_abs, std::abs(double{numbers[i]}));
      } else if (!(numbers[i] < 0) && error.nan_in_both++ == 0) {
        error.where = static_cast<std::int64_t>(i);
      }
    }
    if (error.nan_in_both == 0) return;
    error.value = source_name(value.name);
    error.module = step.module;
    error.op = step.op;
    error.dtype = computing_type(watched.engine, step);
    error.shape = view.shape;
    error.elements = view.count();
    first = std::move(error);
  };
  watched.run(scan);
  return first;
}

double rounding_of(std::string_view dtype) {
  if (dtype == "int8") return 3e-2;  // two operands of 0.009 each, and outliers twice that
  if (dtype == "bf16") return 1e-2;  // operands and output of 2^-9, and what cancels
  if (dtype == "fp16") return 1.5e-3;
  return 2e-5;  // float32 sums of up to some 10^4 terms
}

std::optional<std::size_t> find_departure(const Engine& engine, std::vector<ValueError>& values) {
  std::map<std::string_view, std::size_t> places;
  for (std::size_t i = 0; i < values.size(); ++i) places.emplace(values[i].value, i);
  std::vector<double> carried(engine.values.size(), 0.0);  // error that a value passes on
  std::optional<std::size_t> first;
  for (const Step& step : engine.steps) {
    double inputs = 0;
    for (const ValueIndex input : step.inputs) {
      if (input != engine::kAbsent)
        inputs = std::max(inputs, carried[static_cast<std::size_t>(input)]);
    }
    const double rounding = rounding_of(computing_type(engine, step));
    for (const ValueIndex output : step.outputs) {
      if (output == engine::kAbsent) continue;
      double& passed = carried[static_cast<std::size_t>(output)];
      const auto place = places.find(source_name(value_at(engine, output).name));
      // What cannot be compared passes on what it was given, and its own rounding.
      passed = step.kernels.empty() ? inputs : inputs + rounding / kGrowth;
      if (place == places.end()) continue;
      ValueError& error = values[place->second];
      error.explained = rounding + kGrowth * inputs;
      passed = std::max(error.relative, std::min(error.peak, 1.0) / kPeakOverRelative);
      if (!first && departs(error)) first = place->second;
    }
  }
  return first;
}

std::optional<std::size_t> most_suspect(const std::vector<ValueError>& values) {
  std::optional<std::size_t> worst;
  const auto share = [&](std::size_t i) {
    return values[i].explained > 0 ? values[i].relative / values[i].explained : 0.0;
  };
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i].relative > 0 && (!worst || share(i) > share(*worst))) worst = i;
  }
  return worst;
}

std::string computing_type(const Engine& engine, const Step& step) {
  for (const ValueIndex input : step.inputs) {
    if (input == engine::kAbsent || value_at(engine, input).constant < 0) continue;
    const engine::Constant& constant =
        engine.constants[static_cast<std::size_t>(value_at(engine, input).constant)];
    if (const auto* format = kernels::find_format(constant.format))
      return std::string(dtype_name(format->dtype));
    if (constant.shape.size() >= 2 && is_float(constant.dtype))
      return std::string(dtype_name(constant.dtype));
  }
  for (const ValueIndex output : step.outputs) {
    if (output != engine::kAbsent) return std::string(dtype_name(value_at(engine, output).dtype));
  }
  return "fp32";
}

std::vector<std::int64_t> coordinates(std::int64_t flat, std::span<const std::int64_t> shape) {
  std::vector<std::int64_t> at(shape.size(), 0);
  for (std::size_t i = shape.size(); i-- > 0;) {
    if (shape[i] <= 0) return {};
    at[i] = flat % shape[i];
    flat /= shape[i];
  }
  return at;
}

}  // namespace tenon::verify
