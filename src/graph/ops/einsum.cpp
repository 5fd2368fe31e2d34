// Einsum: sums of products over named indices.
#include <map>

#include "graph/ops/common.h"
#include "graph/ops/ops.h"
#include "tensor/einsum_equation.h"

namespace tenon::graph::ops {
namespace {

constexpr int kMostOperands = 16;

void infer_einsum(InferenceContext& context) {
  std::vector<std::size_t> ranks;
  for (std::size_t i = 0; i < context.input_count(); ++i) {
    number_input(context, i);
    require_same_type(context, 0, i);
    ranks.push_back(context.input(i).shape.size());
  }
  const auto equation =
      EinsumEquation::read(context.attributes().get_string("equation", ""), ranks);
  std::map<int, Dim> sizes;
  for (std::size_t i = 0; i < equation.operands.size(); ++i) {
    for (std::size_t axis = 0; axis < equation.operands[i].size(); ++axis) {
      const int label = equation.operands[i][axis];
      const Dim& size = context.input(i).shape[axis];
      const auto [known, added] = sizes.emplace(label, size);
      if (added) continue;
      known->second = label >= EinsumEquation::kFirstEllipsis
                          ? context.broadcast({known->second}, {size})[0]
                          : context.require_equal(known->second, size);
    }
  }
  DimShape shape;
  for (const int label : equation.output) shape.push_back(sizes.at(label));
  context.set_output(0, context.input(0).dtype, std::move(shape));
}

const OpSchema kOps[] = {
    {"Einsum", 12, 1, kMostOperands, 1, 1, {"equation"}, infer_einsum},
};

}  // namespace

std::span<const OpSchema> einsum_ops() { return kOps; }

}  // namespace tenon::graph::ops
