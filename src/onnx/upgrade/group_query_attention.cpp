// com.microsoft.GroupQueryAttention in standard operators: rotation, cache, causal mask, attention.
#include <cmath>

#include "onnx/upgrade.h"

namespace tenon::onnx {
namespace {

using graph::Graph;
using graph::kNoValue;
using graph::ValueId;

// The operator knows the length of each sequence only; what is padding says the mask that these
// lengths are the sums of.
ValueId mask_behind(OldNode& node) {
  const Graph& graph = node.graph();
  const auto mask = graph.find_value("attention_mask");
  ValueId at = node.input(5);
  for (const std::string_view op : {"Cast", "Sub", "Cast", "ReduceSum"}) {
    if (const graph::Node* step = graph.producer_of(at, op)) at = step->inputs[0];
  }
  if (!mask || at != *mask || graph.value(*mask).shape.size() != 2)
    bad_input("seqlens_k ({}) is not the sum of the input attention_mask", node.value(5).name);
  return *mask;
}

struct Sizes {
  std::int64_t heads = 0, kv_heads = 0, width = 0;
};

Sizes sizes_of(const OldNode& node) {
  Sizes sizes;
  sizes.heads = node.attributes.get_int("num_heads", 0);
  sizes.kv_heads = node.attributes.get_int("kv_num_heads", 0);
  if (node.rank(0) != 3 || node.rank(3) != 4)
    bad_input("query of rank {} and past_key of rank {}, expected 3 and 4", node.rank(0),
              node.rank(3));
  const auto width = node.value(3).shape[3].constant();
  if (!width || *width < 1 || *width > 65536 || sizes.heads < 1 || sizes.kv_heads < 1 ||
      sizes.heads > 65536 || sizes.heads % sizes.kv_heads != 0)
    bad_input("{} heads over {} of keys, of width {}", sizes.heads, sizes.kv_heads,
              node.value(3).shape[3].to_string());
  sizes.width = *width;
  return sizes;
}

class Rewrite {
 public:
  explicit Rewrite(OldNode& node) : node_(node), sizes_(sizes_of(node)), mask_(mask_behind(node)) {
    past_ = size(node.input(3), 2);
    fresh_ = size(node.input(0), 1);
    total_ = node.add("Add", {past_, fresh_});
  }

  void run() {
    split_heads();
    rotate();
    const ValueId keys = append(3, key_, 1);
    const ValueId values = append(4, value_, 2);
    const float given = node_.attributes.get_float("scale", 0);
    const auto natural = static_cast<float>(1 / std::sqrt(static_cast<double>(sizes_.width)));
    const ValueId attended = node_.add("Attention", {query_, keys, values, causal_mask()},
                                       {{"scale", given == 0 ? natural : given}});
    const ValueId rows = node_.add("Transpose", {attended}, {{"perm", order()}});
    const ValueId shape = node_.ints("rows", {0, 0, sizes_.heads * sizes_.width});
    node_.domain.clear();
    node_.op = "Reshape";
    node_.inputs = {rows, shape};
    node_.attributes = {};
    node_.outputs.resize(1);
  }

 private:
  static std::vector<std::int64_t> order() { return {0, 2, 1, 3}; }

  // A scalar.
  ValueId size(ValueId value, std::int64_t axis) {
    const ValueId shape = node_.add("Shape", {value});
    return node_.add("Gather", {shape, index(axis)}, {{"axis", std::int64_t{0}}});
  }
  ValueId index(std::int64_t number) {
    return node_.scalar("index", DType::i64, static_cast<double>(number));
  }
  ValueId range(ValueId from, ValueId to) { return node_.add("Range", {from, to, index(1)}); }

  ValueId heads_of(ValueId rows, std::int64_t heads) {
    const ValueId parted =
        node_.add("Reshape", {rows, node_.ints("heads", {0, 0, heads, sizes_.width})});
    return node_.add("Transpose", {parted}, {{"perm", order()}});
  }
  ValueId columns(std::int64_t begin, std::int64_t count) {
    return node_.add("Slice", {node_.input(0), node_.ints("begin", {begin}),
                               node_.ints("end", {begin + count}), node_.ints("axis", {2})});
  }

  void split_heads() {
    const std::int64_t q = sizes_.heads * sizes_.width;
    const std::int64_t kv = sizes_.kv_heads * sizes_.width;
    const bool packed = !node_.has_input(1) && !node_.has_input(2);
    query_ = heads_of(packed ? columns(0, q) : node_.input(0), sizes_.heads);
    key_ = heads_of(packed ? columns(q, kv) : node_.input(1), sizes_.kv_heads);
    value_ = heads_of(packed ? columns(q + kv, kv) : node_.input(2), sizes_.kv_heads);
  }

  // Places counted from the first that is not padding.
  ValueId positions() {
    const ValueId counted = node_.add("CumSum", {mask_, index(1)});
    const ValueId places = node_.add("Max", {node_.add("Sub", {counted, index(1)}), index(0)});
    return node_.add("Gather", {places, range(past_, total_)}, {{"axis", std::int64_t{1}}});
  }

  void rotate() {
    if (node_.attributes.get_int("do_rotary", 0) == 0) return;
    if (node_.rank(7) != 2 || node_.rank(8) != 2)
      bad_input("caches of cosines and sines of rank {} and {}, expected 2", node_.rank(7),
                node_.rank(8));
    const ValueId at = positions();
    const ValueId cos = node_.add("Gather", {node_.input(7), at}, {{"axis", std::int64_t{0}}});
    const ValueId sin = node_.add("Gather", {node_.input(8), at}, {{"axis", std::int64_t{0}}});
    Attributes attributes = {{"interleaved", node_.attributes.get_int("rotary_interleaved", 0)}};
    const auto half = node_.value(7).shape.back().constant();
    if (half && 2 * *half != sizes_.width) attributes.set("rotary_embedding_dim", 2 * *half);
    query_ = node_.add("RotaryEmbedding", {query_, cos, sin}, attributes);
    key_ = node_.add("RotaryEmbedding", {key_, cos, sin}, attributes);
  }

  ValueId append(std::size_t past, ValueId fresh, std::size_t output) {
    const bool named = node_.needs_output(output);
    return node_.add("Concat", {node_.input(past), fresh}, {{"axis", std::int64_t{2}}},
                     named ? std::string_view(node_.outputs[output]) : std::string_view());
  }

  // [batch, 1, new, all]
  ValueId causal_mask() {
    const ValueId all = range(index(0), total_);
    const ValueId own = node_.add("Unsqueeze", {range(past_, total_), node_.ints("axes", {1})});
    const ValueId earlier = node_.add("LessOrEqual", {all, own});
    const ValueId kept = node_.add("Gather", {mask_, all}, {{"axis", std::int64_t{1}}});
    const ValueId real = node_.add("Cast", {kept}, {{"to", onnx_type(DType::boolean)}});
    const ValueId wide = node_.add("Unsqueeze", {real, node_.ints("axes", {1, 2})});
    return node_.add("And", {wide, earlier});
  }

  OldNode& node_;
  Sizes sizes_;
  ValueId mask_;
  ValueId past_ = kNoValue, fresh_ = kNoValue, total_ = kNoValue;
  ValueId query_ = kNoValue, key_ = kNoValue, value_ = kNoValue;
};

}  // namespace

void upgrade_group_query_attention(OldNode& node) {
  node.drop_int("local_window_size", -1);
  node.drop_int("smooth_softmax", 0);
  node.drop_int("qk_output", 0);
  if (node.attributes.get_float("softcap", 0) != 0) bad_input("softcap is not supported");
  for (std::size_t i = 9; i < node.inputs.size(); ++i) {
    if (node.has_input(i)) bad_input("input {} ({}) is not supported", i, node.value(i).name);
  }
  Rewrite(node).run();
}

}  // namespace tenon::onnx
