// Statements: loops, conditions, assignments, macros and output.
#include "text/jinja/interpreter.h"

#include <algorithm>

#include "text/jinja/print.h"

namespace tenon::text::jinja {

std::string Interpreter::render(const Body& body) {
  std::string out;
  out_ = &out;
  try {
    // The template's own variables are in a scope below the globals, which keep the caller's.
    run(body, std::make_shared<Scope>(globals_));
  } catch (Error& error) {
    error.in(fmt::format("chat template, line {}", position_.line));
    throw;
  }
  return out;
}

void Interpreter::print(std::string_view text) {
  if (text.size() > kMaxOutput || out_->size() > kMaxOutput - text.size()) {
    bad_input("the chat template writes more than {} MiB", kMaxOutput >> 20);
  }
  budget_.step(text.size() / 256);
  *out_ += text;
}

Interpreter::Flow Interpreter::run(const Body& body, const ScopePtr& scope) {
  for (const auto& statement : body) {
    const Flow flow = run(*statement, scope);
    if (flow != Flow::normal) return flow;
  }
  return Flow::normal;
}

Interpreter::Flow Interpreter::run(const Statement& statement, const ScopePtr& scope) {
  using Kind = Statement::Kind;
  const DepthGuard guard(*this);
  position_ = statement.position;
  switch (statement.kind) {
    case Kind::text:
      print(statement.text);
      break;
    case Kind::output:
      for (const auto& node : statement.expressions) {
        print(to_text(evaluate(*node, scope), budget_));
      }
      break;
    case Kind::conditional:
      return run_conditional(statement, scope);
    case Kind::loop:
      return run_loop(statement, scope);
    case Kind::assign:
      assign(statement.targets[0], evaluate(*statement.expressions[0], scope), scope);
      break;
    case Kind::assign_block: {
      Value text = string_value(capture(statement.body, scope), budget_);
      const Expression* filter = statement.expressions[0].get();
      if (filter != nullptr) text = evaluate_native(*filter, std::move(text), scope);
      assign(statement.targets[0], std::move(text), scope);
      break;
    }
    case Kind::filter_block: {
      Value text = string_value(capture(statement.body, scope), budget_);
      print(to_text(evaluate_native(*statement.expressions[0], std::move(text), scope), budget_));
      break;
    }
    case Kind::macro:
      scope->variables.insert_or_assign(statement.text, make_macro(statement, scope));
      break;
    case Kind::call_block:
      run_call_block(statement, scope);
      break;
    case Kind::with:
      return run_with(statement, scope);
    case Kind::scope:
      return run(statement.body, std::make_shared<Scope>(scope));
    case Kind::break_loop:
      return Flow::broken;
    case Kind::continue_loop:
      return Flow::continued;
  }
  return Flow::normal;
}

Interpreter::Flow Interpreter::run_conditional(const Statement& statement, const ScopePtr& scope) {
  for (const auto& [condition, body] : statement.branches) {
    if (condition == nullptr || truth(evaluate(*condition, scope))) return run(body, scope);
  }
  return Flow::normal;
}

/// What the loop runs over: the iterable, or what its condition keeps of it.
std::shared_ptr<const List> Interpreter::loop_items(const Statement& statement,
                                                    const ScopePtr& scope) {
  auto items = iterate(evaluate(*statement.expressions[0], scope), budget_);
  if (statement.expressions[1] == nullptr) return items;
  std::vector<Value> kept;
  for (const Value& item : items->items) {
    const auto inner = std::make_shared<Scope>(scope);
    assign(statement.targets[0], item, inner);
    if (truth(evaluate(*statement.expressions[1], inner))) kept.push_back(item);
  }
  return make_list(std::move(kept), budget_);
}

Interpreter::Flow Interpreter::run_loop(const Statement& statement, const ScopePtr& scope) {
  const auto items = loop_items(statement, scope);
  if (items->items.empty()) return run(statement.otherwise, std::make_shared<Scope>(scope));
  for (std::size_t i = 0; i < items->items.size(); ++i) {
    budget_.step();
    const auto inner = std::make_shared<Scope>(scope);
    auto loop = std::make_shared<Loop>();
    loop->items = items;
    loop->index = i;
    inner->variables.emplace("loop", Value(std::shared_ptr<const Loop>(std::move(loop))));
    assign(statement.targets[0], items->items[i], inner);
    if (run(statement.body, inner) == Flow::broken) break;
  }
  return Flow::normal;
}

void Interpreter::run_call_block(const Statement& statement, const ScopePtr& scope) {
  const Expression& node = *statement.expressions[0];
  const Value callee = evaluate(*node.children[0], scope);
  Arguments arguments = evaluate_arguments(node, scope);
  arguments.named.emplace_back("caller", make_macro(statement, scope));
  print(to_text(call(callee, std::move(arguments)), budget_));
}

Interpreter::Flow Interpreter::run_with(const Statement& statement, const ScopePtr& scope) {
  const auto inner = std::make_shared<Scope>(scope);
  for (std::size_t i = 0; i < statement.targets.size(); ++i) {
    assign(statement.targets[i], evaluate(*statement.expressions[i], scope), inner);
  }
  return run(statement.body, inner);
}

void Interpreter::assign(const Target& target, Value value, const ScopePtr& scope) {
  if (target.is_tuple) {
    const auto items = iterate(value, budget_);
    if (items->items.size() != target.several.size()) {
      bad_input("{} values cannot be assigned to {} names", items->items.size(),
                target.several.size());
    }
    for (std::size_t i = 0; i < target.several.size(); ++i) {
      assign(target.several[i], items->items[i], scope);
    }
  } else if (target.attribute.empty()) {
    scope->variables.insert_or_assign(target.name, std::move(value));
  } else {
    Expression name;
    name.name = target.name;
    const Value space = evaluate_name(name, scope);
    if (space.name_space() == nullptr) {
      bad_input("cannot assign to {}.{}: it is a {}, only members of a namespace can be set",
                target.name, target.attribute, space.type_name());
    }
    check_storable(value);
    budget_.allocate(sizeof(Value) + target.attribute.size());
    space.name_space()->attributes.insert_or_assign(target.attribute, std::move(value));
  }
}

std::string Interpreter::capture(const Body& body, const ScopePtr& scope) {
  std::string text;
  std::string* const outer = std::exchange(out_, &text);
  try {
    run(body, std::make_shared<Scope>(scope));
  } catch (...) {
    out_ = outer;
    throw;
  }
  out_ = outer;
  return text;
}

Value Interpreter::make_macro(const Statement& statement, const ScopePtr& scope) {
  auto macro = std::make_shared<Callable>();
  macro->name = statement.text;
  macro->macro = &statement;
  macro->scope = scope;
  return Value(std::shared_ptr<const Callable>(std::move(macro)));
}

Value Interpreter::call_macro(const Callable& callable, Arguments arguments) {
  const Statement& macro = *callable.macro;
  const ScopePtr outer = callable.scope.lock();
  if (outer == nullptr) bad_input("macro {} is called outside of its block", callable.name);
  const auto scope = std::make_shared<Scope>(outer);
  auto& variables = scope->variables;

  const std::size_t given = std::min(arguments.positional.size(), macro.parameters.size());
  for (std::size_t i = 0; i < given; ++i) {
    variables[macro.parameters[i].name] = std::move(arguments.positional[i]);
  }
  std::vector<Value> rest(std::make_move_iterator(arguments.positional.begin() + given),
                          std::make_move_iterator(arguments.positional.end()));
  if (!rest.empty() && !macro.uses_varargs) {
    bad_input("macro {} takes at most {} arguments", callable.name, macro.parameters.size());
  }
  if (macro.uses_varargs) {
    variables["varargs"] = list_value(std::move(rest), budget_, List::Kind::tuple);
  }
  DictBuilder others(budget_);
  for (auto& [name, value] : arguments.named) {
    const auto known = std::find_if(macro.parameters.begin(), macro.parameters.end(),
                                    [&, &key = name](const Parameter& p) { return p.name == key; });
    if (known != macro.parameters.end()) {
      if (!variables.emplace(name, std::move(value)).second) {
        bad_input("macro {} got two values for {}", callable.name, name);
      }
    } else if (name == "caller" && macro.uses_caller) {
      variables["caller"] = std::move(value);
    } else if (macro.uses_kwargs) {
      others.set(Value(name), std::move(value));
    } else {
      bad_input("macro {} has no parameter named {}", callable.name, name);
    }
  }
  if (macro.uses_kwargs) variables["kwargs"] = others.finish();
  if (macro.uses_caller && macro.kind == Statement::Kind::macro) {
    variables.try_emplace("caller", Value::undefined("no caller defined"));
  }
  for (const Parameter& parameter : macro.parameters) {
    if (variables.contains(parameter.name)) continue;
    variables[parameter.name] =
        parameter.fallback != nullptr
            ? evaluate(*parameter.fallback, scope)
            : Value::undefined(fmt::format("parameter '{}' was not provided", parameter.name));
  }
  return string_value(capture(macro.body, scope), budget_);
}

}  // namespace tenon::text::jinja
