// One tenon.Attention step on operands made up for it, for tests and benches: guarded output and
// workspace.
#pragma once

#include <algorithm>
#include <cmath>
#include <random>
#include <stdexcept>
#include <vector>

#include "kernels/kernel.h"

namespace tenon::kernels::cpu::attention {

struct FlashCase {
  std::int64_t batch = 1, heads = 1, kv_heads = 1, queries = 1, keys = 1, dim = 8;
  bool merged = false;  ///< q, k and v are views of one tensor; needs as many keys as queries
  bool rank_four = false;
  bool causal = false;
  bool narrow = true;   ///< precision "bf16"
  float spread = 1.0F;  ///< queries are uniform in [-spread, spread], keys and values in [-1, 1]
};

class FlashHarness {
 public:
  explicit FlashHarness(const FlashCase& c) : case_(c) {
    std::minstd_rand random(17);
    std::uniform_real_distribution<float> uniform(-1.0F, 1.0F);
    const auto tensor = [&](Shape shape, float spread) {
      Tensor made(DType::f32, std::move(shape));
      for (float& x : made.as<float>()) x = spread * uniform(random);
      return made;
    };
    const std::int64_t q_width = c.heads * c.dim;
    const std::int64_t kv_width = c.kv_heads * c.dim;
    attributes_.set("scale", 1.0F / std::sqrt(static_cast<float>(c.dim)));
    if (c.causal) attributes_.set("is_causal", std::int64_t{1});
    if (c.narrow) attributes_.set("precision", "bf16");
    if (c.rank_four) {
      inputs_.push_back(tensor({c.batch, c.heads, c.queries, c.dim}, c.spread));
      inputs_.push_back(tensor({c.batch, c.kv_heads, c.keys, c.dim}, 1.0F));
      inputs_.push_back(tensor({c.batch, c.kv_heads, c.keys, c.dim}, 1.0F));
      out_ = Tensor(DType::f32, {c.batch, c.heads, c.queries, c.dim});
      return;
    }
    attributes_.set("q_heads", c.heads);
    attributes_.set("kv_heads", c.kv_heads);
    attributes_.set("head_dim", c.dim);
    out_ = Tensor(DType::f32, {c.batch, c.queries, q_width});
    if (c.merged) {
      inputs_.push_back(tensor({c.batch, c.queries, q_width + 2 * kv_width}, 1.0F));
      attributes_.set("k_offset", q_width);
      attributes_.set("v_offset", q_width + kv_width);
      return;
    }
    inputs_.push_back(tensor({c.batch, c.queries, q_width}, c.spread));
    inputs_.push_back(tensor({c.batch, c.keys, kv_width}, 1.0F));
    inputs_.push_back(tensor({c.batch, c.keys, kv_width}, 1.0F));
  }

  Attributes& attributes() { return attributes_; }
  std::vector<Tensor>& inputs() { return inputs_; }
  void set_mask(Tensor mask) { mask_ = std::move(mask); }
  const Tensor& mask() const { return mask_; }
  const Tensor& out() const { return out_; }

  StepDescription step() const {
    StepDescription made;
    made.op = "tenon.Attention";
    made.attributes = &attributes_;
    for (const TensorView& view : views()) {
      StepDescription::Operand operand;
      operand.dtype = view.dtype;
      operand.shape = view.shape;
      operand.present = view.data != nullptr;
      made.inputs.push_back(operand);
    }
    made.outputs.resize(1);
    made.outputs[0].dtype = out_.dtype();
    made.outputs[0].shape = out_.shape();
    return made;
  }

  std::vector<TensorView> views() const {
    std::vector<TensorView> made;
    for (const std::size_t i : {std::size_t{0}, std::size_t{1}, std::size_t{2}})
      made.push_back(inputs_[inputs_.size() == 1 ? 0 : i].view());
    if (mask_.data() != nullptr) made.push_back(mask_.view());
    return made;
  }

  /// Binds once; `invoke` then runs.
  void bind(const KernelRow& row, int threads) {
    const StepDescription description = step();
    if (!row.accepts(description)) throw std::runtime_error("the row does not accept the case");
    pool_ = std::make_unique<ThreadPool>(threads);
    std::vector<Shape> shapes;
    for (const TensorView& view : views()) shapes.push_back(view.shape);
    const std::size_t bytes = row.workspace(description, shapes, pool_->size());
    workspace_.assign(bytes + 2 * kGuard, kMark);
    room_ = reinterpret_cast<std::byte*>(
        (reinterpret_cast<std::uintptr_t>(workspace_.data()) + kGuard - 1) / kGuard * kGuard);
    room_end_ = room_ + bytes;
    kernel_ = row.bind(description);
  }

  void invoke() {
    const auto inputs = views();
    const MutableTensorView out{out_.dtype(), out_.shape(), out_.data()};
    kernel_(
        {.inputs = inputs, .outputs = std::span(&out, 1), .workspace = room_, .pool = pool_.get()});
  }

  bool guards_hold() const {
    const auto marked = [](const std::byte* begin, const std::byte* end) {
      return std::all_of(begin, end, [](std::byte b) { return b == kMark; });
    };
    return marked(workspace_.data(), room_) &&
           marked(room_end_, workspace_.data() + workspace_.size());
  }

 private:
  static constexpr std::size_t kGuard = 64;
  // A pattern of NaN: what is read before it was written shows.
  static constexpr std::byte kMark{0xff};

  FlashCase case_;
  Attributes attributes_;
  std::vector<Tensor> inputs_;
  Tensor mask_, out_;
  std::unique_ptr<ThreadPool> pool_;
  std::vector<std::byte> workspace_;
  std::byte* room_ = nullptr;
  std::byte* room_end_ = nullptr;
  BoundKernel kernel_;
};

}  // namespace tenon::kernels::cpu::attention
