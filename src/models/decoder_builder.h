// The parts that decoder architectures share, each adding its nodes to a graph under a module's
// name.
#pragma once

#include <string>
#include <vector>

#include "models/model.h"
#include "models/rotary.h"

namespace tenon::models {

struct DecoderShape {
  std::int64_t layers = 0;
  std::int64_t hidden = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t vocabulary = 0;
};

using graph::ValueId;

/// Creates the inputs, the mask and the rotary tables, then serves one layer after the other.
class DecoderBuilder {
 public:
  DecoderBuilder(const DecoderShape& shape, const Rotary& rotary, const Weights& weights,
                 const BuildOptions& options);

  /// Hidden states [batch, sequence, hidden] of the token ids.
  ValueId embed(const std::string& module);
  /// x W^T + b with W [out, in] as the source stores it.
  ValueId linear(const std::string& module, ValueId x, std::int64_t in, std::int64_t out,
                 bool bias);
  ValueId rms_norm(const std::string& module, ValueId x, double epsilon);
  ValueId layer_norm(const std::string& module, ValueId x, double epsilon);
  /// By transformers' name: silu, gelu, gelu_new, relu ...
  ValueId activation(const std::string& module, const std::string& function, ValueId x);
  ValueId add(const std::string& module, ValueId a, ValueId b);
  ValueId multiply(const std::string& module, ValueId a, ValueId b);
  /// [batch, sequence, heads * head_dim] -> [batch, heads, sequence, head_dim]
  ValueId split_heads(const std::string& module, ValueId x, std::int64_t heads,
                      std::int64_t head_dim);
  /// [batch, heads, sequence, 3 * head_dim] in three.
  std::vector<ValueId> split_qkv(const std::string& module, ValueId x);
  /// Rotates q and k, appends k and v to the past, and attends: all [batch, heads, sequence,
  /// head_dim] in, [batch, sequence, heads * head_dim] out.
  ValueId attend(const std::string& module, std::int64_t layer, ValueId q, ValueId k, ValueId v);
  /// Marks logits and present outputs, or with pooling the pooled states alone. `tied` takes the
  /// embedding's weight for the logits.
  graph::Graph finish(const std::string& head_module, ValueId hidden, bool tied, bool bias);

 private:
  ValueId node(const std::string& module, const char* op, std::vector<ValueId> inputs,
               Attributes attributes = {});
  ValueId ints(const std::vector<std::int64_t>& values);
  ValueId scalar_int(std::int64_t value);
  ValueId scalar_float(float value);
  ValueId slice_last(const std::string& module, ValueId x, std::int64_t begin, std::int64_t end);
  ValueId cast(const std::string& module, ValueId x, DType dtype);
  ValueId weight(const std::string& name, const Shape& shape);
  ValueId dimension_of(ValueId x, std::int64_t axis);
  ValueId frequencies();
  ValueId kept_tokens();
  ValueId positions_of_kept();
  ValueId pooled(ValueId hidden);
  void make_mask();
  void make_rotary_tables();
  ValueId rotate(const std::string& module, ValueId x);
  ValueId repeat_heads(const std::string& module, ValueId x);

  DecoderShape shape_;
  Rotary rotary_;
  const Weights& weights_;
  BuildOptions options_;
  graph::Graph graph_;
  std::string embedding_weight_;
  ValueId input_ids_;
  ValueId attention_mask_;
  ValueId position_ids_;
  std::vector<ValueId> past_;       // key and value of each layer
  std::vector<ValueId> present_;    // likewise
  ValueId mask_ = graph::kNoValue;  // additive float32 [batch, 1, sequence, past + sequence]
  ValueId cos_ = graph::kNoValue;   // [batch, 1, sequence, rotary dim]
  ValueId sin_ = graph::kNoValue;
};

}  // namespace tenon::models
