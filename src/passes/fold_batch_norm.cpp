// A BatchNormalization behind a convolution with constant weights becomes part of them:
// (w * x + b - mean) * f + beta = (w * f) * x + (b - mean) * f + beta, f = gamma / sqrt(variance +
// e).
#include <cmath>

#include "graph/op_schema.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace tenon::passes {
namespace {

// Weights times a factor for each output channel, multiplied in float64 as they are read.
class ScaledSource final : public TensorSource {
 public:
  /// The channel of element i of row r is (r / rows_per_group) * channels_per_group + c, where c is
  /// i / taps; or r itself when `channels_per_group` is 0.
  ScaledSource(SourcePtr base, std::vector<double> factors, std::int64_t rows_per_group,
               std::int64_t channels_per_group, std::int64_t taps)
      : TensorSource(DType::f32, base->shape()),
        base_(std::move(base)),
        factors_(std::move(factors)),
        rows_per_group_(rows_per_group),
        channels_per_group_(channels_per_group),
        taps_(taps) {}

  void read(std::int64_t begin, std::int64_t end, std::byte* out) const override {
    base_->read(begin, end, out);
    float* values = reinterpret_cast<float*>(out);
    const std::int64_t count = row_count();
    for (std::int64_t row = begin; row < end; ++row) {
      for (std::int64_t i = 0; i < count; ++i, ++values) {
        const std::int64_t channel = channels_per_group_ == 0
                                         ? row
                                         : row / rows_per_group_ * channels_per_group_ + i / taps_;
        const double factor = factors_[static_cast<std::size_t>(channel)];
        *values = static_cast<float>(static_cast<double>(*values) * factor);
      }
    }
  }
  void release() const override { base_->release(); }

 private:
  SourcePtr base_;
  std::vector<double> factors_;
  std::int64_t rows_per_group_;
  std::int64_t channels_per_group_;
  std::int64_t taps_;
};

// The elements of a constant of a known count; nullopt otherwise.
std::optional<std::vector<double>> numbers(const Graph& graph, ValueId value) {
  if (!graph.is_constant(value)) return std::nullopt;
  const Tensor wide = converted(graph.value(value).constant->load().view(), DType::f64);
  const auto span = wide.as<double>();
  return std::vector<double>(span.begin(), span.end());
}

struct Affine {
  std::vector<double> factor;
  std::vector<double> shift;
};

// y = x * factor + shift, of a BatchNormalization with constants.
std::optional<Affine> affine_of(const Graph& graph, const Node& norm) {
  const auto gamma = numbers(graph, norm.inputs[1]);
  const auto beta = numbers(graph, norm.inputs[2]);
  const auto mean = numbers(graph, norm.inputs[3]);
  const auto variance = numbers(graph, norm.inputs[4]);
  if (!gamma || !beta || !mean || !variance) return std::nullopt;
  const auto epsilon = static_cast<double>(norm.attributes.get_float("epsilon", 1e-5F));
  Affine affine;
  for (std::size_t i = 0; i < gamma->size(); ++i) {
    const double factor = (*gamma)[i] / std::sqrt((*variance)[i] + epsilon);
    if (!std::isfinite(factor)) return std::nullopt;
    affine.factor.push_back(factor);
    affine.shift.push_back((*beta)[i] - (*mean)[i] * factor);
  }
  return affine;
}

// The weight of Conv has a row for each output channel; that of ConvTranspose, [C, M / group, ...],
// one for each input channel.
SourcePtr scaled_weight(const SourcePtr& weight, const Node& conv, const Affine& affine) {
  const Shape& shape = weight->shape();
  if (conv.op->name == "Conv")
    return std::make_shared<ScaledSource>(weight, affine.factor, 1, 0, 1);
  const std::int64_t group = conv.attributes.get_int("group", 1);
  const std::int64_t taps = element_count(std::span(shape).subspan(2));
  return std::make_shared<ScaledSource>(weight, affine.factor, shape[0] / group, shape[1], taps);
}

Tensor folded_bias(const Affine& affine, const std::vector<double>& bias) {
  Tensor folded(DType::f32, {static_cast<std::int64_t>(affine.shift.size())});
  for (std::size_t i = 0; i < affine.shift.size(); ++i) {
    const double before = bias.empty() ? 0 : bias[i];
    folded.as<float>()[i] = static_cast<float>(before * affine.factor[i] + affine.shift[i]);
  }
  return folded;
}

bool fold(Graph& graph, const Readers& readers, const Node norm) {
  const ValueId inner = norm.inputs[0];
  const Node* found = graph.producer_of(inner, "Conv");
  if (found == nullptr) found = graph.producer_of(inner, "ConvTranspose");
  if (found == nullptr || readers.count(inner) != 1 || !graph.is_constant(found->inputs[1]))
    return false;
  const Node conv = *found;
  const SourcePtr weight = graph.value(conv.inputs[1]).constant;
  // A narrower type would be rounded a second time.
  if (weight->dtype() != DType::f32 || graph.value(norm.outputs[0]).dtype != DType::f32)
    return false;
  std::vector<double> bias;
  if (conv.inputs.size() > 2 && conv.inputs[2] != kNoValue) {
    const auto given = numbers(graph, conv.inputs[2]);
    if (!given) return false;
    bias = *given;
  }
  const auto affine = affine_of(graph, norm);
  if (!affine) return false;
  const std::string name = graph.value(conv.inputs[1]).name;
  const ValueId scaled =
      graph.add_constant(name + "_normalized", scaled_weight(weight, conv, *affine));
  const ValueId shifted = graph.add_constant(name + "_shift", folded_bias(*affine, bias));
  return replace_with(graph, norm.outputs[0], conv.op->name, conv.name,
                      {conv.inputs[0], scaled, shifted}, conv.attributes, conv.module);
}

}  // namespace

int fold_batch_norm(Graph& graph, const PassContext&) {
  const Readers readers(graph);
  int folded = 0;
  for (const NodeId id : graph.order()) {
    if (graph.node(id).op->name != "BatchNormalization") continue;
    if (fold(graph, readers, graph.node(id))) ++folded;
  }
  return folded;
}

}  // namespace tenon::passes
