#include "kernels/cpu/elementwise/unary.h"

#include "kernels/cpu/reference/strided.h"

namespace tenon::kernels::cpu {
namespace {

using namespace reference;

void run_single(const Invocation& call, const UnaryLoops& loops, const float* parameters) {
  const float* x = call.inputs[0].as<float>().data();
  float* y = call.outputs[0].as<float>().data();
  parallel(call, call.outputs[0].count(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    loops.single(x + begin, y + begin, end - begin, parameters);
  });
}

void run_real(const Invocation& call, const UnaryLoops& loops, const float* parameters) {
  const TensorView& x = call.inputs[0];
  const MutableTensorView& y = call.outputs[0];
  parallel(call, y.count(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    blocks(begin, end, [&](std::int64_t at, std::int64_t count) {
      double in[kBlock];
      double out[kBlock];
      load_real(x.dtype, x.data, at, 1, count, in);
      loops.real(in, out, count, parameters);
      store_real(y.dtype, y.data, at, 1, count, out);
    });
  });
}

void run_integer(const Invocation& call, const UnaryLoops& loops) {
  const TensorView& x = call.inputs[0];
  const MutableTensorView& y = call.outputs[0];
  parallel(call, y.count(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    blocks(begin, end, [&](std::int64_t at, std::int64_t count) {
      std::int64_t in[kBlock];
      std::int64_t out[kBlock];
      load_integer(x.dtype, x.data, at, 1, count, in);
      loops.integer(in, out, count);
      store_integer(y.dtype, y.data, at, 1, count, out);
    });
  });
}

}  // namespace

BoundKernel bind_unary(const UnaryLoops& loops, UnaryParameters parameters) {
  return [loops, parameters](const Invocation& call) {
    const DType from = call.inputs[0].dtype;
    if (from == DType::f32 && call.outputs[0].dtype == DType::f32 && loops.single != nullptr) {
      run_single(call, loops, parameters.values);
    } else if (is_float(from) || loops.integer == nullptr) {
      run_real(call, loops, parameters.values);
    } else {
      run_integer(call, loops);
    }
  };
}

}  // namespace tenon::kernels::cpu
