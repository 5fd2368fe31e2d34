#include "onnx/symbols.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "onnx-ml.pb.h"

namespace tenon::onnx {
namespace {

constexpr std::size_t kLongestName = 256;
constexpr int kMaxRank = 32;

// Exporters write these where they know nothing.
bool says_nothing(std::string_view text) {
  return text.empty() || text == "?" || text == "None" || text == "-1";
}

std::optional<Dim> expression(std::string_view text) {
  try {
    return Dim::parse(text);
  } catch (const Error&) {
    return std::nullopt;  // too large a number or too long an expression: a name then
  }
}

}  // namespace

std::string symbol_name(std::string_view text) {
  std::string name(text.substr(0, kLongestName));
  for (char& letter : name) {
    if (std::isalnum(static_cast<unsigned char>(letter)) == 0 && letter != '.') letter = '_';
  }
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) != 0) name = "d_" + name;
  return name;
}

std::string module_of(std::string_view node_name) {
  if (node_name.starts_with('/')) node_name.remove_prefix(1);
  const auto last = node_name.rfind('/');
  if (last == std::string_view::npos) return {};
  std::string module(node_name.substr(0, last));
  std::replace(module.begin(), module.end(), '/', '.');
  return module;
}

DimShape ShapeReader::read(const ::onnx::TensorShapeProto& shape, std::string_view input) {
  if (shape.dim_size() > kMaxRank) {
    bad_input("{} dimensions, at most {} are supported", shape.dim_size(), kMaxRank);
  }
  DimShape dims;
  for (int axis = 0; axis < shape.dim_size(); ++axis) {
    const auto& dim = shape.dim(axis);
    const auto index = static_cast<std::size_t>(axis);
    if (dim.has_dim_value() && dim.dim_value() < -1) {
      bad_input("dimension {} is {}, a size was expected", axis, dim.dim_value());
    }
    if (dim.has_dim_value() && dim.dim_value() >= 0) {
      dims.emplace_back(dim.dim_value());
    } else if (says_nothing(dim.dim_param())) {
      dims.push_back(unnamed(input, index));
    } else {
      const std::string_view text(dim.dim_param());
      const auto value = text.size() <= kLongestName ? expression(text) : std::optional<Dim>();
      const bool usable = value && value->constant().value_or(0) >= 0;
      dims.push_back(usable ? *value : Dim::symbol(symbol_name(text)));
      for (const std::string& name : dims.back().symbols()) used_.insert(name);
    }
  }
  return dims;
}

Dim ShapeReader::unnamed(std::string_view input, std::size_t axis) {
  const std::string wanted = fmt::format("{}_dim_{}", symbol_name(input), axis);
  std::string name = wanted;
  for (int suffix = 1; !used_.insert(name).second; ++suffix) {
    name = fmt::format("{}_{}", wanted, suffix);
  }
  return Dim::symbol(name);
}

}  // namespace tenon::onnx
