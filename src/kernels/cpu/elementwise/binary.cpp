#include "kernels/cpu/elementwise/binary.h"

#include "kernels/cpu/reference/strided.h"

namespace tenon::kernels::cpu {
namespace {

using namespace reference;

using SingleLoop = decltype(BinaryLoops::single);

// Walks stretches in which both operands advance evenly.
void run_single(const Invocation& call, SingleLoop loop) {
  const MutableTensorView& y = call.outputs[0];
  const float* a = call.inputs[0].as<float>().data();
  const float* b = call.inputs[1].as<float>().data();
  float* out = y.as<float>().data();
  const Strided in_a = Strided::broadcast(call.inputs[0].shape, y.shape);
  const Strided in_b = Strided::broadcast(call.inputs[1].shape, y.shape);
  parallel(call, y.count(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    while (begin < end) {
      const Strided::Run left = in_a.at(begin);
      const Strided::Run right = in_b.at(begin);
      const std::int64_t count = std::min({left.length, right.length, end - begin});
      loop(a + left.offset, left.stride, b + right.offset, right.stride, out + begin, count);
      begin += count;
    }
  });
}

template <typename Wide, typename Loop, typename Store>
void run_wide(const Invocation& call, Loop loop, Store store) {
  const MutableTensorView& y = call.outputs[0];
  const auto a = StridedOperand::broadcast(call.inputs[0], y.shape);
  const auto b = StridedOperand::broadcast(call.inputs[1], y.shape);
  parallel(call, y.count(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    blocks(begin, end, [&](std::int64_t at, std::int64_t count) {
      Wide left[kBlock];
      Wide right[kBlock];
      Wide out[kBlock];
      a.load(at, count, left);
      b.load(at, count, right);
      loop(left, right, out, count);
      store(y.dtype, y.data, at, 1, count, out);
    });
  });
}

}  // namespace

void run_binary(const Invocation& call, const BinaryLoops& loops) {
  const DType a = call.inputs[0].dtype;
  const DType b = call.inputs[1].dtype;
  if (loops.single != nullptr && a == DType::f32 && b == DType::f32 &&
      call.outputs[0].dtype == DType::f32) {
    run_single(call, loops.single);
  } else if (is_float(a) || is_float(b) || loops.integer == nullptr) {
    run_wide<double>(call, loops.real, store_real);
  } else {
    run_wide<std::int64_t>(call, loops.integer, store_integer);
  }
}

}  // namespace tenon::kernels::cpu
