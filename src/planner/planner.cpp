#include "planner/planner.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "graph/op_schema.h"
#include "planner/describe.h"
#include "planner/evaluate.h"
#include "planner/kernel_choice.h"
#include "planner/step_order.h"
#include "planner/tuning.h"

namespace tenon::planner {
namespace {

using graph::Graph;
using graph::kNoValue;
using graph::Node;
using graph::NodeId;
using graph::ValueId;

bool is_view(const Node& node) {
  const std::string_view op = node.op->name;
  return op == "Reshape" || op == "Flatten" || op == "Squeeze" || op == "Unsqueeze" ||
         op == "Identity";
}

class Compilation {
 public:
  Compilation(const Graph& graph, const CompileOptions& options, ConstantStore& store,
              CompileReport& report)
      : graph_(graph),
        options_(options),
        report_(report),
        store_(store),
        pool_(options.threads),
        engine_(std::make_shared<engine::Engine>()) {}

  std::shared_ptr<engine::Engine> run() {
    engine_->name = options_.name;
    engine_->isa = isa_name(options_.target.isa);
    engine_->precision =
        options_.target.reference ? "reference" : precision_name(options_.target.precision);
    for (const auto& constraint : graph_.constraints)
      engine_->constraints.push_back({constraint.a, constraint.b, constraint.where});
    for (const ValueId id : graph_.inputs()) engine_->inputs.push_back(value_index(id));
    const std::vector<NodeId> order = step_order(graph_);
    choose_kernels(order);
    for (std::size_t i = 0; i < order.size(); ++i) add_step(graph_.node(order[i]), choices_[i]);
    for (const ValueId id : graph_.outputs()) engine_->outputs.push_back(output_index(id));
    store_constants();
    engine_->state.context_length = options_.context_length;
    return engine_;
  }

 private:
  // A constant as it is kept: packed for a kernel or plain.
  struct Stored {
    ValueId value;
    std::string format;
    DType dtype;
    bool operator==(const Stored&) const = default;
  };

  void choose_kernels(const std::vector<NodeId>& order) {
    std::optional<Tuner> tuner;
    if (options_.tune && !options_.target.reference) {
      const auto stopwatch = [this](const kernels::KernelRow& row, const Trial& trial) {
        check_interrupt();
        return measure(row, trial, pool_);
      };
      tuner.emplace(tuned_sizes(), pool_.size(), stopwatch, timing_cache());
    }
    for (const NodeId id : order) {
      const Node& node = graph_.node(id);
      choices_.push_back(
          is_view(node) ? KernelChoice{}
                        : choose_kernel(graph_, node, options_.target, tuner ? &*tuner : nullptr));
    }
    if (!tuner) return;
    if (!graph_.find_value(engine::decoder_inputs::kRows)) engine_->tuned = options_.profiles;
    tuner->save();
    report_.measured = tuner->measured();
  }

  // A decoder with state sees one token of one or of several sequences, or a chunk of a prompt.
  std::vector<Dim::Bindings> tuned_sizes() const {
    if (!graph_.find_value(engine::decoder_inputs::kRows)) return options_.profiles;
    std::vector<Dim::Bindings> sizes;
    for (const std::int64_t tokens : {1, 4, 16, 64, 256})
      sizes.push_back({{"tokens", tokens}, {"logit_rows", std::min<std::int64_t>(tokens, 16)}});
    return sizes;
  }

  engine::ValueIndex value_index(ValueId id) {
    const auto [known, inserted] =
        values_.emplace(id, static_cast<engine::ValueIndex>(engine_->values.size()));
    if (inserted) {
      const graph::Value& value = graph_.value(id);
      engine_->values.push_back({value.name, value.dtype, value.shape, -1});
    }
    return known->second;
  }

  engine::ValueIndex output_index(ValueId id) {
    return graph_.is_constant(id) ? constant_index(id, "", graph_.value(id).dtype)
                                  : value_index(id);
  }

  engine::ValueIndex constant_index(ValueId id, const std::string& format, DType dtype) {
    for (std::size_t i = 0; i < stored_.size(); ++i) {
      if (stored_[i] == Stored{id, format, dtype}) return stored_values_[i];
    }
    const graph::Value& value = graph_.value(id);
    engine::Value made{value.name, value.dtype, value.shape,
                       static_cast<std::int32_t>(engine_->constants.size())};
    engine::Constant constant;
    constant.dtype = dtype;
    constant.shape = value.constant->shape();
    constant.format = format;
    engine_->constants.push_back(std::move(constant));
    engine_->values.push_back(std::move(made));
    stored_.push_back({id, format, dtype});
    stored_values_.push_back(static_cast<engine::ValueIndex>(engine_->values.size()) - 1);
    return stored_values_.back();
  }

  void add_step(const Node& node, const KernelChoice& choice) {
    engine::Step step;
    step.op = node.op->name;
    step.name = node.name;
    step.module = node.module;
    step.kernels = choice.kernels;
    step.attributes = node.attributes;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId id = node.inputs[i];
      if (id == kNoValue) {
        step.inputs.push_back(engine::kAbsent);
      } else if (!graph_.is_constant(id)) {
        step.inputs.push_back(value_index(id));
      } else {
        const bool packed = i == 1 && !choice.weight_format.empty();
        step.inputs.push_back(
            constant_index(id, packed ? choice.weight_format : "",
                           i < choice.storage.size() ? choice.storage[i] : graph_.value(id).dtype));
      }
    }
    for (const ValueId id : node.outputs)
      step.outputs.push_back(id == kNoValue ? engine::kAbsent : value_index(id));
    if (choice.page_bytes > 0) {
      engine_->state.layers += 1;
      engine_->state.page_bytes = static_cast<std::int64_t>(choice.page_bytes);
    }
    engine_->steps.push_back(std::move(step));
  }

  std::size_t stored_bytes(const Stored& stored) const {
    const Shape& shape = graph_.value(stored.value).constant->shape();
    if (stored.format.empty())
      return static_cast<std::size_t>(element_count(shape)) * dtype_size(stored.dtype);
    return kernels::find_format(stored.format)->bytes(shape[0], shape[1]);
  }

  void store_constants() {
    std::uint64_t total = 0;
    std::uint64_t done = 0;
    for (const Stored& stored : stored_) total += stored_bytes(stored);
    std::shared_ptr<std::byte> scratch;
    std::size_t capacity = 0;
    for (std::size_t i = 0; i < stored_.size(); ++i) {
      check_interrupt();
      const std::size_t bytes = stored_bytes(stored_[i]);
      const std::string& name = graph_.value(stored_[i].value).name;
      if (!store_.restore(engine_->constants[i], name, bytes)) {
        auto place = store_.place(bytes);
        if (place == nullptr && bytes > capacity) {
          scratch = nullptr;  // before the larger one, not beside it
          scratch = backend::allocate_huge(bytes);
          capacity = bytes;
        }
        if (place == nullptr) place = scratch;
        with_context(name, [&] { pack(stored_[i], place.get(), bytes); });
        store_.put(engine_->constants[i], {place.get(), bytes});
        graph_.value(stored_[i].value).constant->release();
      }
      done += bytes;
      if (options_.progress) options_.progress(done, total);
    }
  }

  void pack(const Stored& stored, std::byte* out, std::size_t bytes) {
    const SourcePtr& source = graph_.value(stored.value).constant;
    if (!stored.format.empty()) {
      kernels::find_format(stored.format)->pack(*source, out, pool_);
      return;
    }
    const SourcePtr typed = cast_source(source, stored.dtype);
    if (typed->rows() > 0 && bytes > 0) typed->read(0, typed->rows(), out);
  }

  const Graph& graph_;
  const CompileOptions& options_;
  CompileReport& report_;
  ConstantStore& store_;
  ThreadPool pool_;
  std::shared_ptr<engine::Engine> engine_;
  std::vector<KernelChoice> choices_;
  std::map<ValueId, engine::ValueIndex> values_;
  std::vector<Stored> stored_;
  std::vector<engine::ValueIndex> stored_values_;
};

}  // namespace

std::shared_ptr<std::byte> MemoryStore::place(std::size_t bytes) {
  placed_ = backend::allocate_huge(bytes);
  return placed_;
}

void MemoryStore::put(engine::Constant& constant, std::span<const std::byte> bytes) {
  if (placed_ == nullptr || placed_.get() != bytes.data()) {
    const auto own = place(bytes.size());
    if (!bytes.empty()) std::memcpy(own.get(), bytes.data(), bytes.size());
  }
  constant.bytes = bytes.size();
  constant.sum = xxh3(bytes);
  constant.data = std::move(placed_);
  placed_ = nullptr;
}

std::shared_ptr<engine::Engine> compile(Graph& graph, const CompileOptions& options,
                                        ConstantStore& store, CompileReport* report) {
  CompileReport unused;
  CompileReport& notes = report != nullptr ? *report : unused;
  if (!options.target.reference) {
    const passes::PassContext context{options.target, evaluate};
    notes.passes = passes::optimize(graph, context, options.dump);
  }
  auto engine = Compilation(graph, options, store, notes).run();
  engine::validate(*engine);
  return engine;
}

std::shared_ptr<const engine::Engine> compile(Graph& graph, const CompileOptions& options) {
  MemoryStore store;
  return compile(graph, options, store);
}

}  // namespace tenon::planner
