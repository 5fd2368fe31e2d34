// RotaryEmbedding out of gathers, slices and arithmetic.
#include "base/error.h"
#include "onnx/lowering.h"

namespace tenon::onnx {
namespace {

constexpr std::int64_t kToTheEnd = std::numeric_limits<std::int64_t>::max();

std::int64_t fixed_size(const Dim& dim, const char* what) {
  const auto number = dim.constant();
  if (!number) bad_input("RotaryEmbedding needs a known {}, found {}", what, dim.to_string());
  return *number;
}

std::string slice_last(NodeEmitter& emitter, const std::string& x, std::int64_t start,
                       std::int64_t end, std::int64_t step) {
  return emitter.add("Slice", {x, emitter.ints({start}), emitter.ints({end}), emitter.ints({-1}),
                               emitter.ints({step})});
}

// The factors as [B, S, 1, half] or [B, 1, S, half]: a head axis of size 1 where x has its heads.
std::string factors(NodeEmitter& emitter, std::size_t index, std::int64_t head_axis) {
  std::string cache = emitter.input(index);
  if (emitter.has_input(3)) {
    cache = emitter.add("Gather", {cache, emitter.input(3)}, {{"axis", std::int64_t{0}}});
  }
  return emitter.add("Unsqueeze", {cache, emitter.ints({head_axis})});
}

struct Parts {
  std::string first;
  std::string second;
};

Parts rotate(NodeEmitter& emitter, const Parts& x, const std::string& cos, const std::string& sin) {
  return {
      emitter.add("Sub", {emitter.add("Mul", {x.first, cos}), emitter.add("Mul", {x.second, sin})}),
      emitter.add("Add",
                  {emitter.add("Mul", {x.first, sin}), emitter.add("Mul", {x.second, cos})})};
}

}  // namespace

void lower_rotary_embedding(NodeEmitter& emitter) {
  const graph::Value& input = emitter.input_value(0);
  const bool flat =
      input.shape.size() == 3;  // [B, S, heads * size] rather than [B, heads, S, size]
  const std::int64_t heads = flat ? emitter.attributes().get_int("num_heads", 0) : 0;
  if (flat && heads <= 0) bad_input("RotaryEmbedding of rank 3 needs the attribute num_heads");
  const std::int64_t size = fixed_size(input.shape.back(), "width") / (flat ? heads : 1);
  std::int64_t rotated = emitter.attributes().get_int("rotary_embedding_dim", 0);
  if (rotated == 0) rotated = size;
  const Attributes last = {{"axis", std::int64_t{-1}}};

  std::string x = emitter.input(0);
  if (flat) x = emitter.add("Reshape", {x, emitter.ints({0, 0, heads, size})});
  const std::int64_t head_axis = flat ? 2 : 1;
  const std::string cos = factors(emitter, 1, head_axis);
  const std::string sin = factors(emitter, 2, head_axis);
  const std::string turning = rotated < size ? slice_last(emitter, x, 0, rotated, 1) : x;
  std::string turned;
  if (emitter.attributes().get_int("interleaved", 0) != 0) {
    const Parts pair = rotate(emitter,
                              {slice_last(emitter, turning, 0, kToTheEnd, 2),
                               slice_last(emitter, turning, 1, kToTheEnd, 2)},
                              cos, sin);
    const std::string stacked =
        emitter.add("Concat",
                    {emitter.add("Unsqueeze", {pair.first, emitter.ints({-1})}),
                     emitter.add("Unsqueeze", {pair.second, emitter.ints({-1})})},
                    last);
    turned = emitter.add("Reshape", {stacked, emitter.ints({0, 0, 0, rotated})});
  } else {
    const Parts pair = rotate(emitter,
                              {slice_last(emitter, turning, 0, rotated / 2, 1),
                               slice_last(emitter, turning, rotated / 2, kToTheEnd, 1)},
                              cos, sin);
    turned = emitter.add("Concat", {pair.first, pair.second}, last);
  }
  std::vector<std::string> parts = {turned};
  if (rotated < size) parts.push_back(slice_last(emitter, x, rotated, kToTheEnd, 1));
  if (flat) {
    const std::string joined = parts.size() == 1 ? turned : emitter.add("Concat", parts, last);
    return emitter.finish("Reshape", {joined, emitter.ints({0, 0, heads * size})});
  }
  // One part alone is joined too: the last node has to be there to carry the output's name.
  emitter.finish("Concat", parts, last);
}

}  // namespace tenon::onnx
