#include "verify/constants.h"

#include <cmath>

#include "base/error.h"
#include "kernels/kernel.h"
#include "verify/source_values.h"
#include "verify/trace.h"

namespace tenon::verify {
namespace {

using engine::Constant;
using engine::Engine;
using engine::Step;
using engine::ValueIndex;

const engine::Value& value_at(const Engine& engine, ValueIndex index) {
  return engine.values[static_cast<std::size_t>(index)];
}

struct Named {
  std::string name;
  const Constant* constant = nullptr;
};

std::vector<Named> constants_of(const Engine& engine, const Step& step) {
  std::vector<Named> found;
  for (const ValueIndex input : step.inputs) {
    if (input == engine::kAbsent || value_at(engine, input).constant < 0) continue;
    const auto index = static_cast<std::size_t>(value_at(engine, input).constant);
    found.push_back({value_at(engine, input).name, &engine.constants[index]});
  }
  return found;
}

const Constant* find_constant(const Engine& engine, const std::string& name) {
  for (const engine::Value& value : engine.values) {
    if (value.constant >= 0 && value.name == name)
      return &engine.constants[static_cast<std::size_t>(value.constant)];
  }
  return nullptr;
}

double kept_precision(const Constant& constant) {
  const auto* format = kernels::find_format(constant.format);
  return rounding_of(dtype_name(format != nullptr ? format->dtype : constant.dtype));
}

// Columns [K, N] of a matrix are rows of the source's weight; a vector has one element each.
std::optional<std::string> compare_channels(const Named& b, const Tensor& values_a,
                                            const Tensor& values_b, double precision) {
  const auto channels = static_cast<std::size_t>(values_a.shape().back());
  const auto x = values_a.as<float>();
  const auto y = values_b.as<float>();
  std::vector<double> squares(channels), products(channels), differences(channels);
  double all = 0;
  double all_differences = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double difference = double{x[i]} - double{y[i]};
    squares[i % channels] += double{x[i]} * x[i];
    products[i % channels] += double{x[i]} * y[i];
    differences[i % channels] += difference * difference;
    all += double{x[i]} * x[i];
    all_differences += difference * difference;
  }
  std::size_t worst = 0;
  std::int64_t wrong = 0;
  const auto relative = [&](std::size_t c) {
    const double typical = all / static_cast<double>(channels) * 1e-6;
    return std::sqrt(differences[c] / std::max(squares[c] + typical, 1e-300));
  };
  for (std::size_t c = 0; c < channels; ++c) {
    if (relative(c) > relative(worst)) worst = c;
    if (relative(c) > 4 * precision) ++wrong;
  }
  if (wrong == 0) return std::nullopt;
  std::string text = fmt::format(
      "the weight {} is another one in B: {} of {} {} differ, most of all {} {} (relative error "
      "{:.2g}",
      source_weight_name(b.name), wrong, channels, x.size() > channels ? "rows" : "elements",
      x.size() > channels ? "row" : "element", worst, relative(worst));
  const double factor = squares[worst] > 0 ? products[worst] / squares[worst] : 0;
  const double rest =
      differences[worst] - squares[worst] * (factor - 1) * (factor - 1);  // not explained by scale
  if (factor > 0 && rest < 0.01 * differences[worst])
    text += fmt::format("; it is {:.3g} times A's", factor);
  return text + ")";
}

}  // namespace

std::optional<Tensor> constant_values(const Constant& constant) {
  if (!is_float(constant.dtype) && constant.format.empty()) return std::nullopt;
  if (constant.data == nullptr || element_count(constant.shape) == 0) return std::nullopt;
  if (constant.format.empty())
    return converted({constant.dtype, constant.shape, constant.data.get()}, DType::f32);
  const auto* format = kernels::find_format(constant.format);
  if (format == nullptr || format->unpack == nullptr || constant.shape.size() != 2)
    return std::nullopt;
  Tensor values(DType::f32, constant.shape);
  format->unpack(constant.data.get(), constant.shape[0], constant.shape[1],
                 values.as<float>().data());
  return values;
}

std::string source_weight_name(const std::string& constant_name) {
  constexpr std::string_view kTransposed = ".transposed";
  if (!constant_name.ends_with(kTransposed)) return constant_name;
  return constant_name.substr(0, constant_name.size() - kTransposed.size());
}

std::optional<std::string> not_finite_constant(const Engine& engine, const Step& step) {
  for (const Named& named : constants_of(engine, step)) {
    const auto values = constant_values(*named.constant);
    if (!values) continue;
    std::int64_t count = 0;
    std::int64_t first = 0;
    const auto numbers = values->as<float>();
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      if (std::isfinite(numbers[i])) continue;
      if (count++ == 0) first = static_cast<std::int64_t>(i);
    }
    if (count == 0) continue;
    auto at = coordinates(first, values->shape());
    if (source_weight_name(named.name) != named.name) std::swap(at.front(), at.back());
    return fmt::format("the weight {} holds {} NaN or infinite elements of {}, the first at {}",
                       source_weight_name(named.name), count, values->count(), to_string(at));
  }
  return std::nullopt;
}

std::optional<std::string> different_constant(const Engine& a, const Engine& b, const Step& step) {
  for (const Named& named : constants_of(b, step)) {
    const Constant* other = find_constant(a, named.name);
    if (other == nullptr || other->shape != named.constant->shape || other->shape.empty()) continue;
    const auto values_a = constant_values(*other);
    const auto values_b = constant_values(*named.constant);
    if (!values_a || !values_b) continue;
    const double precision = std::max(kept_precision(*other), kept_precision(*named.constant));
    if (auto found = compare_channels(named, *values_a, *values_b, precision)) return found;
  }
  return std::nullopt;
}

const Step* writer_of(const Engine& engine, const std::string& value) {
  for (const Step& step : engine.steps) {
    for (const ValueIndex output : step.outputs) {
      if (output != engine::kAbsent && source_name(value_at(engine, output).name) == value)
        return &step;
    }
  }
  return nullptr;
}

}  // namespace tenon::verify
