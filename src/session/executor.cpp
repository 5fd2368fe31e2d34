#include "session/executor.h"

#include <algorithm>
#include <chrono>

#include "base/clock.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "session/memory_plan.h"

namespace tenon::session {
namespace {

using engine::kAbsent;
using engine::Step;
using engine::ValueIndex;

std::size_t at(ValueIndex index) { return static_cast<std::size_t>(index); }

// Symbols that stand alone in a dimension take that dimension's size; composite ones are checked
// afterwards.
void bind_symbols(const DimShape& shape, const TensorView& tensor, Dim::Bindings& sizes) {
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const auto names = shape[i].symbols();
    if (names.size() == 1 && shape[i] == Dim::symbol(names[0]))
      sizes.emplace(names[0], tensor.shape[i]);
  }
}

}  // namespace

Executor::Executor(const engine::Engine& engine, backend::Backend& backend,
                   std::shared_ptr<Arena> arena)
    : engine_(engine), backend_(backend), roots_(engine.values.size()), arena_(std::move(arena)) {
  for (std::size_t i = 0; i < roots_.size(); ++i) roots_[i] = static_cast<std::int32_t>(i);
  for (const Step& step : engine_.steps) {
    std::vector<Bound> choices;
    if (step.kernels.empty()) roots_[at(step.outputs[0])] = roots_[at(step.inputs[0])];
    for (const engine::Choice& choice : step.kernels) {
      const kernels::KernelRow* row = backend_.find(choice.kernel);
      if (row == nullptr) {
        Error error(ErrorCode::bad_input,
                    fmt::format("step {}: kernel {} does not run on this machine ({})", step.name,
                                choice.kernel, isa_name(native_isa())));
        throw error.hint("build the bundle again on this machine");
      }
      choices.push_back({row, row->bind(describe(step))});
    }
    bound_.push_back(std::move(choices));
  }
  reset_timings();
}

kernels::StepDescription Executor::describe(const Step& step) const {
  kernels::StepDescription description;
  description.op = step.op;
  description.attributes = &step.attributes;
  const auto operand = [&](ValueIndex index) {
    kernels::StepDescription::Operand made;
    if (index == kAbsent) {
      made.present = false;
      return made;
    }
    const engine::Value& value = engine_.values[at(index)];
    made.dtype = value.dtype;
    for (const Dim& dim : value.shape) made.shape.push_back(dim.constant().value_or(-1));
    if (value.constant >= 0) {
      const engine::Constant& constant = engine_.constants[at(value.constant)];
      made.constant = true;
      made.format = constant.format;
      made.dtype = constant.dtype;
    }
    return made;
  };
  for (const ValueIndex index : step.inputs) description.inputs.push_back(operand(index));
  for (const ValueIndex index : step.outputs) description.outputs.push_back(operand(index));
  return description;
}

Dim::Bindings Executor::sizes_of(std::span<const TensorView> inputs) const {
  if (inputs.size() != engine_.inputs.size()) {
    bad_input("{} inputs were given, the model has {}", inputs.size(), engine_.inputs.size());
  }
  Dim::Bindings sizes;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const engine::Value& value = engine_.values[at(engine_.inputs[i])];
    if (inputs[i].dtype != value.dtype || inputs[i].shape.size() != value.shape.size()) {
      bad_input("input {} is {} {}, expected {} {}", value.name, dtype_name(inputs[i].dtype),
                to_string(inputs[i].shape), dtype_name(value.dtype), to_string(value.shape));
    }
    bind_symbols(value.shape, inputs[i], sizes);
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const engine::Value& value = engine_.values[at(engine_.inputs[i])];
    const Shape expected = evaluate(value.shape, sizes);
    if (expected != inputs[i].shape) {
      bad_input("input {} is {}, expected {} = {}", value.name, to_string(inputs[i].shape),
                to_string(value.shape), to_string(expected));
    }
  }
  return sizes;
}

void Executor::prepare(std::span<const TensorView> inputs) {
  Dim::Bindings sizes = sizes_of(inputs);
  const auto known = std::find_if(plans_.begin(), plans_.end(),
                                  [&](const Plan& plan) { return plan.sizes == sizes; });
  if (known != plans_.end()) {
    plans_.splice(plans_.begin(), plans_, known);
  } else {
    plans_.push_front(make_plan(std::move(sizes)));
    if (plans_.size() > kPlans) plans_.pop_back();
  }
  // Also of a plan that is known: another one may have lost the arena by asking for too much.
  arena_->reserve(plans_.front().bytes, backend_);
  // Without activations there is no arena, and the views must be set once all the same.
  if (!plans_.front().pointed || plans_.front().base != arena_->data()) point(plans_.front());
}

std::size_t Executor::required_bytes(std::span<const TensorView> inputs) const {
  return make_plan(sizes_of(inputs)).bytes;
}

Executor::Plan Executor::make_plan(Dim::Bindings sizes) const {
  Plan plan;
  for (const auto& constraint : engine_.constraints) {
    const std::int64_t a = constraint.a.evaluate(sizes);
    const std::int64_t b = constraint.b.evaluate(sizes);
    if (a != b) {
      bad_input("{}: {} is {} and {} is {}, they must be equal", constraint.where,
                constraint.a.to_string(), a, constraint.b.to_string(), b);
    }
  }
  for (const auto& value : engine_.values) {
    plan.views.push_back({value.dtype, evaluate(value.shape, sizes), nullptr});
    if (value.constant >= 0) {
      const engine::Constant& constant = engine_.constants[at(value.constant)];
      plan.views.back().dtype = constant.dtype;
      plan.views.back().data = constant.data.get();
    }
  }
  plan.sizes = std::move(sizes);
  std::vector<std::size_t> workspace_bytes;
  for (std::size_t s = 0; s < engine_.steps.size(); ++s) {
    const Step& step = engine_.steps[s];
    if (step.kernels.empty()) continue;
    const Bound& bound = bound_[s][chosen_kernel(step, plan)];
    std::vector<TensorView> inputs;
    std::vector<Shape> shapes;
    for (const ValueIndex index : step.inputs) {
      inputs.push_back(index == kAbsent ? TensorView{} : plan.views[at(index)]);
      shapes.push_back(inputs.back().shape);
    }
    std::vector<kernels::MutableTensorView> outputs;
    for (const ValueIndex index : step.outputs) {
      outputs.emplace_back();
      if (index != kAbsent)
        outputs.back() = {plan.views[at(index)].dtype, plan.views[at(index)].shape, nullptr};
    }
    workspace_bytes.push_back(
        bound.row->workspace == nullptr
            ? 0
            : bound.row->workspace(describe(step), shapes, backend_.threads()));
    plan.inputs.push_back(std::move(inputs));
    plan.outputs.push_back(std::move(outputs));
    plan.launches.push_back({&bound.run, {}});
    plan.steps.push_back(s);
  }
  place(plan, workspace_bytes);
  return plan;
}

std::size_t Executor::chosen_kernel(const Step& step, const Plan& plan) const {
  std::int64_t rows = 1;
  const Shape& shape = plan.views[at(step.inputs.empty() ? step.outputs[0] : step.inputs[0])].shape;
  for (std::size_t i = 0; i + 1 < shape.size(); ++i) rows *= shape[i];
  for (std::size_t i = 0; i < step.kernels.size(); ++i) {
    if (rows <= step.kernels[i].max_rows) return i;
  }
  return step.kernels.size() - 1;
}

void Executor::place(Plan& plan, const std::vector<std::size_t>& workspace_bytes) const {
  // Lifetimes of all roots, then one short one for each launch's workspace.
  constexpr int kNever = -1;
  std::vector<Lifetime> lifetimes(engine_.values.size(), {0, kNever, kNever});
  const auto touch = [&](ValueIndex index, int step) {
    if (index == kAbsent) return;
    const auto root = at(roots_[at(index)]);
    if (engine_.values[root].constant >= 0) return;
    Lifetime& life = lifetimes[root];
    if (life.first == kNever) life.first = step;
    life.last = step;
    life.bytes = std::max(life.bytes, plan.views[at(index)].bytes());
  };
  const int steps = static_cast<int>(engine_.steps.size());
  for (int s = 0; s < steps; ++s) {
    for (const ValueIndex output : engine_.steps[at(s)].outputs) touch(output, s);
    for (const ValueIndex input : engine_.steps[at(s)].inputs) touch(input, s);
  }
  for (const ValueIndex output : engine_.outputs) touch(output, steps);
  for (const ValueIndex input : engine_.inputs)
    lifetimes[at(input)].bytes = 0;  // read where the caller has them
  for (std::size_t i = 0; i < workspace_bytes.size(); ++i) {
    const int step = static_cast<int>(plan.steps[i]);
    lifetimes.push_back({workspace_bytes[i], step, step});
  }
  MemoryPlan memory = plan_memory(lifetimes);
  plan.bytes = memory.bytes;
  plan.workspaces.assign(
      memory.offsets.begin() + static_cast<std::ptrdiff_t>(engine_.values.size()),
      memory.offsets.end());
  memory.offsets.resize(engine_.values.size());
  plan.offsets = std::move(memory.offsets);
}

void Executor::point(Plan& plan) {
  for (std::size_t i = 0; i < engine_.values.size(); ++i) {
    const auto root = at(roots_[i]);
    if (engine_.values[root].constant >= 0) {
      plan.views[i].data = engine_.constants[at(engine_.values[root].constant)].data.get();
    } else {
      plan.views[i].data = arena_->data() + plan.offsets[root];
    }
  }
  for (std::size_t i = 0; i < plan.launches.size(); ++i) {
    const Step& step = engine_.steps[plan.steps[i]];
    for (std::size_t j = 0; j < step.inputs.size(); ++j) {
      if (step.inputs[j] != kAbsent) plan.inputs[i][j].data = plan.views[at(step.inputs[j])].data;
    }
    for (std::size_t j = 0; j < step.outputs.size(); ++j) {
      if (step.outputs[j] != kAbsent) {
        plan.outputs[i][j].data = const_cast<std::byte*>(plan.views[at(step.outputs[j])].data);
      }
    }
    kernels::Invocation& invocation = plan.launches[i].invocation;
    invocation.inputs = plan.inputs[i];
    invocation.outputs = plan.outputs[i];
    invocation.workspace = arena_->data() + plan.workspaces[i];
  }
  plan.base = arena_->data();
  plan.pointed = true;
}

void Executor::run(std::span<const TensorView> inputs, const kernels::RaggedBatch* batch) {
  check_interrupt();
  Plan& plan = plans_.front();
  // Inputs and what is the same memory under another shape are read where the caller has them.
  for (std::size_t i = 0; i < inputs.size(); ++i)
    plan.views[at(engine_.inputs[i])].data = inputs[i].data;
  for (std::size_t i = 0; i < roots_.size(); ++i)
    plan.views[i].data = plan.views[at(roots_[i])].data;
  for (std::size_t i = 0; i < plan.launches.size(); ++i) {
    const Step& step = engine_.steps[plan.steps[i]];
    for (std::size_t j = 0; j < step.inputs.size(); ++j) {
      if (step.inputs[j] != kAbsent) plan.inputs[i][j].data = plan.views[at(step.inputs[j])].data;
    }
    plan.launches[i].invocation.batch = batch;
  }
  if (!observer_ && !timing_) {
    backend_.submit(plan.launches);
    return;
  }
  for (std::size_t i = 0; i < plan.launches.size(); ++i) {
    const auto start = std::chrono::steady_clock::now();
    backend_.submit(std::span(plan.launches).subspan(i, 1));
    const std::size_t s = plan.steps[i];
    if (timing_) {
      timings_[s].seconds += seconds_since(start);
      timings_[s].runs += 1;
      timings_[s].kernel = engine_.steps[s].kernels[chosen_kernel(engine_.steps[s], plan)].kernel;
    }
    if (!observer_) continue;
    for (const ValueIndex output : engine_.steps[s].outputs) {
      if (output != kAbsent)
        observer_(engine_.steps[s], engine_.values[at(output)], plan.views[at(output)]);
    }
  }
}

TensorView Executor::output(std::size_t index) const {
  return plans_.front().views[at(engine_.outputs.at(index))];
}

void Executor::reset_timings() {
  timings_.assign(engine_.steps.size(), {});
  for (std::size_t i = 0; i < timings_.size(); ++i) timings_[i].step = &engine_.steps[i];
}

}  // namespace tenon::session
