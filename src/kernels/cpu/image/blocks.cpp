// DepthToSpace and SpaceToDepth: channels become blocks of pixels and the other way around.
#include "kernels/cpu/image/rows.h"
#include "kernels/cpu/reference/accepts.h"
#include "kernels/cpu/reference/strided.h"

namespace tenon::kernels::cpu {
namespace {

using namespace reference;

// y[n, c, h * b + i, w * b + j] = x[n, (i * b + j) * C + c, h, w] (DCR) or
// x[n, (c * b + i) * b + j, h, w] (CRD).
BoundKernel bind_depth_to_space(const StepDescription& step) {
  return
      [block = step.attributes->get_int("blocksize", 1),
       depth_first = step.attributes->get_string("mode", "DCR") == "DCR"](const Invocation& call) {
        const Shape& y = call.outputs[0].shape;
        const std::int64_t height = y[2] / block;
        const std::int64_t width = y[3] / block;
        const std::int64_t plane = height * width;
        const std::int64_t channel = depth_first ? plane : plane * block * block;
        const std::int64_t column = depth_first ? plane * y[1] : plane;
        Strided where;
        where.add_axis(y[0], y[1] * block * block * plane);
        where.add_axis(y[1], channel);
        where.add_axis(height, width);
        where.add_axis(block, column * block);
        where.add_axis(width, 1);
        where.add_axis(block, column);
        copy_strided(call, call.inputs[0].data, where, call.outputs[0].data);
      };
}

// y[n, (i * b + j) * C + c, h, w] = x[n, c, h * b + i, w * b + j]
BoundKernel bind_space_to_depth(const StepDescription& step) {
  return [block = step.attributes->get_int("blocksize", 1)](const Invocation& call) {
    const Shape& x = call.inputs[0].shape;
    Strided where;
    where.add_axis(x[0], x[1] * x[2] * x[3]);
    where.add_axis(block, x[3]);
    where.add_axis(block, 1);
    where.add_axis(x[1], x[2] * x[3]);
    where.add_axis(x[2] / block, x[3] * block);
    where.add_axis(x[3] / block, block);
    copy_strided(call, call.inputs[0].data, where, call.outputs[0].data);
  };
}

constexpr KernelRow row(std::string_view op, std::string_view name,
                        BoundKernel (*bind)(const StepDescription&)) {
  return {.op = op,
          .name = name,
          .isa = Isa::none,
          .weight_format = "",
          .accepts = moves_input,
          .bind = bind};
}

constexpr KernelRow kRows[] = {
    row("DepthToSpace", "depth_to_space_reference", bind_depth_to_space),
    row("SpaceToDepth", "space_to_depth_reference", bind_space_to_depth),
};

}  // namespace

std::span<const KernelRow> block_rows() { return kRows; }

}  // namespace tenon::kernels::cpu
