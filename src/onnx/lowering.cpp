#include "onnx/lowering.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "graph/op_schema.h"

namespace tenon::onnx {
namespace {

// The graph's form differs from ONNX's in every opset.
constexpr int kNever = std::numeric_limits<int>::max();

constexpr std::array kLowerings = {
    Lowering{"RMSNormalization", 23, lower_rms_normalization},
    Lowering{"GroupNormalization", 21, lower_group_normalization},
    Lowering{"Gelu", 20, lower_gelu},
    Lowering{"Swish", 24, lower_swish},
    Lowering{"Mish", 18, lower_mish},
    Lowering{"RotaryEmbedding", 23, lower_rotary_embedding},
    Lowering{"ReduceMean", 18, lower_reduce},
    Lowering{"ReduceMax", 18, lower_reduce},
    Lowering{"ReduceMin", 18, lower_reduce},
    Lowering{"ReduceProd", 18, lower_reduce},
    Lowering{"ReduceL1", 18, lower_reduce},
    Lowering{"ReduceL2", 18, lower_reduce},
    Lowering{"ReduceLogSum", 18, lower_reduce},
    Lowering{"ReduceLogSumExp", 18, lower_reduce},
    Lowering{"ReduceSumSquare", 18, lower_reduce},
    Lowering{"Split", kNever, lower_split},
    Lowering{"ConstantOfShape", kNever, lower_constant_of_shape},
    Lowering{"Pad", 18, lower_pad},
    Lowering{"Resize", 18, lower_resize},
    Lowering{"GridSample", 20, lower_grid_sample},
};

struct Introduced {
  std::string_view op;
  int opset;
};
// Operators younger than the oldest opset that is written. Others of the graph's operators that
// carry a high version there gained types or attributes only.
constexpr std::array kIntroduced = {
    Introduced{"BitwiseAnd", 18},      Introduced{"BitwiseNot", 18},
    Introduced{"BitwiseOr", 18},       Introduced{"BitwiseXor", 18},
    Introduced{"CenterCropPad", 18},   Introduced{"Col2Im", 18},
    Introduced{"DeformConv", 19},      Introduced{"AffineGrid", 20},
    Introduced{"Attention", 23},       Introduced{"RMSNormalization", 23},
    Introduced{"RotaryEmbedding", 23}, Introduced{"TensorScatter", 24},
    Introduced{"Swish", 24},
};

}  // namespace

std::span<const Lowering> lowerings() { return kLowerings; }

void write_node(NodeEmitter& emitter) {
  const graph::OpSchema& op = *emitter.node().op;
  if (op.name.starts_with("tenon.")) {
    Error error(
        ErrorCode::bad_input,
        fmt::format("operator {} exists only inside an engine and has no ONNX form", op.name));
    throw error.hint("export the graph before the passes that fuse it");
  }
  check_bfloat16(emitter);
  for (const Lowering& row : kLowerings) {
    if (row.op == op.name && emitter.opset() < row.native_since) return row.lower(emitter);
  }
  for (const Introduced& row : kIntroduced) {
    if (row.op == op.name && emitter.opset() < row.opset) {
      Error error(ErrorCode::bad_input,
                  fmt::format("operator {} came with opset {}, the file is to have opset {}",
                              op.name, row.opset, emitter.opset()));
      throw error.hint(fmt::format("choose opset {} or later", row.opset));
    }
  }
  if (op.name == "Attention" && emitter.has_input(6) && emitter.opset() < 24) {
    bad_input("Attention with lengths came with opset 24, the file is to have opset {}",
              emitter.opset());
  }
  const std::size_t least_outputs = op.name == "TopK" ? 2 : 1;
  emitter.finish(op.name, emitter.inputs(), attributes_for_opset(emitter), least_outputs);
}

}  // namespace tenon::onnx
