// Which attributes and element types came with which opset.
#include <algorithm>
#include <array>

#include "base/error.h"
#include "graph/op_schema.h"
#include "onnx/lowering.h"

namespace tenon::onnx {
namespace {

struct NewAttribute {
  std::string_view op;
  std::string_view attribute;
  int since;
  Attribute taken_for_granted;
};

const std::vector<NewAttribute>& new_attributes() {
  static const std::vector<NewAttribute> kRows = {
      {"Cast", "saturate", 19, std::int64_t{1}},
      {"Cast", "round_mode", 24, std::string("up")},
      {"CastLike", "saturate", 19, std::int64_t{1}},
      {"CastLike", "round_mode", 24, std::string("up")},
      {"QuantizeLinear", "saturate", 19, std::int64_t{1}},
      {"QuantizeLinear", "block_size", 21, std::int64_t{0}},
      {"QuantizeLinear", "output_dtype", 21, std::int64_t{0}},
      {"QuantizeLinear", "precision", 23, std::int64_t{0}},
      {"DequantizeLinear", "block_size", 21, std::int64_t{0}},
      {"DequantizeLinear", "output_dtype", 23, std::int64_t{0}},
      {"ScatterND", "reduction", 16, std::string("none")},
      {"ScatterElements", "reduction", 16, std::string("none")},
      {"LpPool", "ceil_mode", 18, std::int64_t{0}},
      {"Resize", "antialias", 18, std::int64_t{0}},
      {"Resize", "keep_aspect_ratio_policy", 18, std::string("stretch")},
      {"RMSNormalization", "stash_type", 23, std::int64_t{1}},
      {"GroupNormalization", "stash_type", 21, std::int64_t{1}},
      {"Attention", "softcap", 23, 0.0F},
  };
  return kRows;
}

bool all_ones(const Attribute& value) {
  const auto* ints = std::get_if<std::vector<std::int64_t>>(&value);
  return ints != nullptr &&
         std::all_of(ints->begin(), ints->end(), [](std::int64_t i) { return i == 1; });
}

// First opset whose form of the operator takes bfloat16; absent where that was before 17.
struct BFloat16Row {
  std::string_view op;
  int since;
};
constexpr std::array kBFloat16 = {
    BFloat16Row{"Acos", 22},
    BFloat16Row{"Acosh", 22},
    BFloat16Row{"Asin", 22},
    BFloat16Row{"Asinh", 22},
    BFloat16Row{"Atan", 22},
    BFloat16Row{"Atanh", 22},
    BFloat16Row{"AveragePool", 22},
    BFloat16Row{"Celu", 28},
    BFloat16Row{"Conv", 22},
    BFloat16Row{"ConvTranspose", 22},
    BFloat16Row{"Cos", 22},
    BFloat16Row{"Cosh", 22},
    BFloat16Row{"Einsum", 28},
    BFloat16Row{"Elu", 22},
    BFloat16Row{"GlobalAveragePool", 22},
    BFloat16Row{"GlobalMaxPool", 22},
    BFloat16Row{"GridSample", 22},
    BFloat16Row{"HardSigmoid", 22},
    BFloat16Row{"HardSwish", 22},
    BFloat16Row{"InstanceNormalization", 22},
    BFloat16Row{"IsInf", 20},
    BFloat16Row{"LpNormalization", 22},
    BFloat16Row{"MaxPool", 22},
    BFloat16Row{"Range", 27},
    BFloat16Row{"Round", 22},
    BFloat16Row{"Selu", 22},
    BFloat16Row{"Sin", 22},
    BFloat16Row{"Sinh", 22},
    BFloat16Row{"Softplus", 22},
    BFloat16Row{"Softsign", 22},
    BFloat16Row{"Tan", 22},
    BFloat16Row{"ThresholdedRelu", 22},
    BFloat16Row{"TopK", 24},
};

}  // namespace

Attributes attributes_for_opset(const NodeEmitter& emitter) {
  Attributes kept = emitter.attributes();
  const std::string_view op = emitter.node().op->name;
  for (const auto& [name, value] : emitter.attributes()) {
    const int dilated = op == "AveragePool" ? 19 : op == "LpPool" ? 18 : 0;
    if (name == "dilations" && emitter.opset() < dilated) {
      if (!all_ones(value)) bad_input("{} with dilations came with opset {}", op, dilated);
      kept.erase(name);
    }
    for (const NewAttribute& row : new_attributes()) {
      if (row.op != op || row.attribute != name || emitter.opset() >= row.since) continue;
      if (value != row.taken_for_granted) {
        bad_input("attribute {} = {} of {} came with opset {}, the file is to have opset {}", name,
                  attribute_text(value), op, row.since, emitter.opset());
      }
      kept.erase(name);
    }
  }
  return kept;
}

void check_bfloat16(const NodeEmitter& emitter) {
  if (!emitter.has_input(0) || emitter.input_value(0).dtype != DType::bf16) return;
  for (const BFloat16Row& row : kBFloat16) {
    if (row.op != emitter.node().op->name || emitter.opset() >= row.since) continue;
    Error error(ErrorCode::bad_input,
                fmt::format("{} takes bfloat16 from opset {} on, the file is to have opset {}",
                            row.op, row.since, emitter.opset()));
    throw error.hint(row.since <= 25 ? fmt::format("choose opset {} or float16", row.since)
                                     : std::string("choose float16"));
  }
}

}  // namespace tenon::onnx
