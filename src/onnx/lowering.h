// How operators are written for an opset older than the meaning that the graph gives them.
#pragma once

#include <span>
#include <string_view>

#include "onnx/emitter.h"

namespace tenon::onnx {

/// Writes the whole node, ending with NodeEmitter::finish; Error(bad_input) when the opset cannot
/// express it.
using Lower = void (*)(NodeEmitter&);

struct Lowering {
  std::string_view op;
  int native_since;  ///< first opset in which the graph's form is ONNX's own
  Lower lower;
};

std::span<const Lowering> lowerings();

/// Writes the node in the emitter's opset: as it is, in an older form, or as a sequence.
void write_node(NodeEmitter& emitter);

// One file each in lowerings/.
void lower_rms_normalization(NodeEmitter&);
void lower_group_normalization(NodeEmitter&);
void lower_gelu(NodeEmitter&);
void lower_swish(NodeEmitter&);
void lower_mish(NodeEmitter&);
void lower_rotary_embedding(NodeEmitter&);
void lower_reduce(NodeEmitter&);
void lower_split(NodeEmitter&);
void lower_constant_of_shape(NodeEmitter&);
void lower_pad(NodeEmitter&);
void lower_resize(NodeEmitter&);
void lower_grid_sample(NodeEmitter&);

/// The node's attributes without those that the opset does not know yet, which must have the value
/// that it takes for granted.
Attributes attributes_for_opset(const NodeEmitter& emitter);
/// Error(bad_input) when the opset has no bfloat16 form of an operator that the node uses.
void check_bfloat16(const NodeEmitter& emitter);

}  // namespace tenon::onnx
