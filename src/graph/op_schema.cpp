#include "graph/op_schema.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "graph/ops/ops.h"

namespace tenon::graph {
namespace {

struct Registry {
  std::vector<const OpSchema*> list;
  std::map<std::string_view, const OpSchema*> by_name;
};

const Registry& registry() {
  static const Registry kRegistry = [] {
    Registry made;
    for (const auto family :
         {ops::activation_ops(), ops::arithmetic_ops(), ops::attention_ops(),
          ops::convolution_ops(), ops::einsum_ops(), ops::image_ops(),
          ops::image_channels_last_ops(), ops::linear_ops(), ops::normalization_ops(),
          ops::pooling_ops(), ops::reduction_ops(), ops::shape_ops(), ops::selection_ops()}) {
      for (const OpSchema& op : family) {
        made.list.push_back(&op);
        made.by_name.emplace(op.name, &op);
      }
    }
    return made;
  }();
  return kRegistry;
}

}  // namespace

const OpSchema& find_op(std::string_view name) {
  const auto found = registry().by_name.find(name);
  if (found == registry().by_name.end()) bad_input("operator {} is not supported", name);
  return *found->second;
}

bool has_op(std::string_view name) noexcept { return registry().by_name.contains(name); }

namespace {

struct OnnxType {
  std::int64_t number;
  DType type;
};
constexpr OnnxType kOnnxTypes[] = {
    {1, DType::f32}, {2, DType::u8},      {3, DType::i8},   {5, DType::i16},  {6, DType::i32},
    {7, DType::i64}, {9, DType::boolean}, {10, DType::f16}, {11, DType::f64}, {16, DType::bf16}};
constexpr std::string_view kOnnxTypeNames[] = {
    "undefined", "float32", "uint8",     "int8",       "uint16",  "int16",
    "int32",     "int64",   "string",    "bool",       "float16", "float64",
    "uint32",    "uint64",  "complex64", "complex128", "bfloat16"};

}  // namespace

DType dtype_from_onnx(std::int64_t number) {
  for (const OnnxType& row : kOnnxTypes) {
    if (row.number == number) return row.type;
  }
  const bool named = number >= 0 && number < static_cast<std::int64_t>(std::size(kOnnxTypeNames));
  bad_input("element type {} ({}) is not supported", number,
            named ? kOnnxTypeNames[static_cast<std::size_t>(number)] : "unknown");
}

std::int64_t dtype_to_onnx(DType type) noexcept {
  for (const OnnxType& row : kOnnxTypes) {
    if (row.type == type) return row.number;
  }
  return 0;
}

std::span<const OpSchema* const> all_ops() { return registry().list; }

const Value& InferenceContext::input(std::size_t index) const {
  if (!has_input(index)) bad_input("input {} is missing", index);
  return graph_.value(node_.inputs[index]);
}

std::optional<std::vector<Dim>> InferenceContext::try_content(std::size_t index) const {
  return has_input(index) ? input(index).content : std::nullopt;
}

std::vector<Dim> InferenceContext::content(std::size_t index) const {
  const Value& value = input(index);
  if (!value.content)
    bad_input("input {} ({}) must be computable from constants and shapes", index, value.name);
  return *value.content;
}

std::vector<std::int64_t> InferenceContext::numbers(std::size_t index) const {
  const auto dims = content(index);
  const auto shape = constant_shape(dims);
  if (!shape)
    bad_input("input {} ({}) must be constant, found {}", index, input(index).name,
              to_string(dims));
  return *shape;
}

void InferenceContext::set_content(std::size_t index, std::vector<Dim> content) {
  if (static_cast<std::int64_t>(content.size()) <= kMaxContent)
    outputs_.at(index).content = std::move(content);
}

Dim InferenceContext::require_equal(const Dim& a, const Dim& b) {
  if (a == b) return a;
  const auto difference = (a - b).constant();
  if (difference) bad_input("sizes {} and {} differ", a.to_string(), b.to_string());
  Constraint constraint{a, b, node_.name};
  if (std::find(constraints_.begin(), constraints_.end(), constraint) == constraints_.end()) {
    constraints_.push_back(std::move(constraint));
  }
  if (a.constant()) return a;
  if (b.constant()) return b;
  return b.to_string().size() < a.to_string().size() ? b : a;
}

DimShape InferenceContext::broadcast(const DimShape& a, const DimShape& b) {
  const std::size_t rank = std::max(a.size(), b.size());
  DimShape shape(rank);
  for (std::size_t i = 0; i < rank; ++i) {  // counted from the last dimension
    const Dim left = i < a.size() ? a[a.size() - 1 - i] : Dim(1);
    const Dim right = i < b.size() ? b[b.size() - 1 - i] : Dim(1);
    shape[rank - 1 - i] = left == Dim(1)    ? right
                          : right == Dim(1) ? left
                                            : require_equal(left, right);
  }
  return shape;
}

std::size_t InferenceContext::axis(std::int64_t axis, std::size_t rank) {
  const auto signed_rank = static_cast<std::int64_t>(rank);
  if (axis < -signed_rank || axis >= signed_rank)
    bad_input("axis {} of a tensor of rank {}", axis, rank);
  return static_cast<std::size_t>(axis < 0 ? axis + signed_rank : axis);
}

}  // namespace tenon::graph
