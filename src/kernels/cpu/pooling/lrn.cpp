// LRN: y = x / (bias + alpha / size * sum of the squares of `size` neighbouring channels)^beta.
#include <cmath>

#include "kernels/cpu/pooling/rows.h"
#include "kernels/cpu/reference/accepts.h"
#include "kernels/cpu/reference/strided.h"

namespace tenon::kernels::cpu {
namespace {

using namespace reference;

struct Response {
  double alpha, beta, bias;
  std::int64_t size;

  explicit Response(const Attributes& attributes)
      : alpha(static_cast<double>(attributes.get_float("alpha", 0.0001F))),
        beta(static_cast<double>(attributes.get_float("beta", 0.75F))),
        bias(static_cast<double>(attributes.get_float("bias", 1.0F))),
        size(attributes.get_int("size", 1)) {}
};

// Elements [at, at + count) of one plane of `place` elements.
void normalize(const Invocation& call, const Response& response, std::int64_t plane,
               std::int64_t place, std::int64_t at, double* line, std::int64_t count) {
  const TensorView& x = call.inputs[0];
  const std::int64_t channels = x.shape[1];
  const std::int64_t channel = plane % channels;
  const std::int64_t first = std::max<std::int64_t>(0, channel - (response.size - 1) / 2);
  const std::int64_t last = std::min(channels, channel + response.size / 2 + 1);
  double squares[kBlock] = {};
  for (std::int64_t c = first; c < last; ++c) {
    load_real(x.dtype, x.data, (plane - channel + c) * place + at, 1, count, line);
    for (std::int64_t i = 0; i < count; ++i) squares[i] += line[i] * line[i];
  }
  load_real(x.dtype, x.data, plane * place + at, 1, count, line);
  const double factor = response.alpha / static_cast<double>(response.size);
  for (std::int64_t i = 0; i < count; ++i)
    line[i] /= std::pow(response.bias + factor * squares[i], response.beta);
}

BoundKernel bind_lrn(const StepDescription& step) {
  return [response = Response(*step.attributes)](const Invocation& call) {
    const TensorView& x = call.inputs[0];
    const MutableTensorView& y = call.outputs[0];
    const std::int64_t channels = x.shape[1];
    const std::int64_t place = product(x.shape, 2, x.shape.size());
    parallel(call, x.shape[0] * channels, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t plane = begin; plane < end; ++plane) {
        blocks(0, place, [&](std::int64_t at, std::int64_t count) {
          double line[kBlock];
          normalize(call, response, plane, place, at, line, count);
          store_real(y.dtype, y.data, plane * place + at, 1, count, line);
        });
      }
    });
  };
}

constexpr KernelRow kRows[] = {
    {.op = "LRN",
     .name = "lrn_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = all_float,
     .bind = bind_lrn},
};

}  // namespace

std::span<const KernelRow> lrn_rows() { return kRows; }

}  // namespace tenon::kernels::cpu
