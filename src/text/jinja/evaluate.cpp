// Expressions.
#include "text/jinja/interpreter.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"

namespace tenon::text::jinja {

Value Interpreter::evaluate(const Expression& node, const ScopePtr& scope) {
  const DepthGuard guard(*this);
  position_ = node.position;
  return evaluate_kind(node, scope);
}

Value Interpreter::evaluate_kind(const Expression& node, const ScopePtr& scope) {
  using Kind = Expression::Kind;
  const auto child = [&](std::size_t i) { return evaluate(*node.children[i], scope); };
  switch (node.kind) {
    case Kind::constant:
      return node.value;
    case Kind::name:
      return evaluate_name(node, scope);
    case Kind::list:
    case Kind::tuple:
      return evaluate_sequence(node, scope);
    case Kind::dict:
      return evaluate_dict(node, scope);
    case Kind::attribute:
      return get_attribute(child(0), node.name, budget_);
    case Kind::item: {
      const Value container = child(0);
      return get_item(container, child(1), budget_);
    }
    case Kind::slice:
      return evaluate_slice(node, scope);
    case Kind::call:
      return evaluate_call(node, scope);
    case Kind::filter:
      return evaluate_native(node, {}, scope);
    case Kind::test:
      return evaluate_native(node, {}, scope);
    case Kind::negative:
      return negate(child(0));
    case Kind::positive:
      return negate(negate(child(0)));
    case Kind::logical_not:
      return Value(!truth(child(0)));
    case Kind::logical_and: {
      Value left = child(0);
      return truth(left) ? child(1) : left;
    }
    case Kind::logical_or: {
      Value left = child(0);
      return truth(left) ? left : child(1);
    }
    case Kind::arithmetic: {
      const Value left = child(0);
      return calculate(node.op, left, child(1), budget_);
    }
    case Kind::concat:
      return evaluate_concat(node, scope);
    case Kind::comparison:
      return evaluate_comparison(node, scope);
    case Kind::conditional:
      return evaluate_conditional(node, scope);
  }
  return {};
}

Value Interpreter::evaluate_name(const Expression& node, const ScopePtr& scope) {
  for (const Scope* place = scope.get(); place != nullptr; place = place->parent.get()) {
    const auto found = place->variables.find(node.name);
    if (found != place->variables.end()) return found->second;
  }
  if (const Native native = find_function(node.name)) {
    auto function = std::make_shared<Callable>();
    function->name = node.name;
    function->native = native;
    return Value(std::shared_ptr<const Callable>(std::move(function)));
  }
  return Value::undefined(fmt::format("'{}' is undefined", node.name.substr(0, 100)));
}

Value Interpreter::evaluate_sequence(const Expression& node, const ScopePtr& scope) {
  std::vector<Value> items;
  items.reserve(node.children.size());
  for (const auto& item : node.children) items.push_back(evaluate(*item, scope));
  return list_value(std::move(items), budget_,
                    node.kind == Expression::Kind::tuple ? List::Kind::tuple : List::Kind::list);
}

Value Interpreter::evaluate_dict(const Expression& node, const ScopePtr& scope) {
  DictBuilder dict(budget_);
  for (std::size_t i = 0; i < node.children.size(); i += 2) {
    Value key = evaluate(*node.children[i], scope);
    dict.set(std::move(key), evaluate(*node.children[i + 1], scope));
  }
  return dict.finish();
}

Value Interpreter::evaluate_slice(const Expression& node, const ScopePtr& scope) {
  const auto bound = [&](std::size_t i) {
    return node.children[i] == nullptr ? Value() : evaluate(*node.children[i], scope);
  };
  const Value container = bound(0);
  const Value start = bound(1);
  const Value stop = bound(2);
  return get_slice(container, start, stop, bound(3), budget_);
}

Value Interpreter::evaluate_concat(const Expression& node, const ScopePtr& scope) {
  std::string text;
  for (const auto& part : node.children) text += to_text(evaluate(*part, scope), budget_);
  return string_value(std::move(text), budget_);
}

Value Interpreter::evaluate_comparison(const Expression& node, const ScopePtr& scope) {
  Value left = evaluate(*node.children[0], scope);
  for (std::size_t i = 0; i < node.comparisons.size(); ++i) {
    Value right = evaluate(*node.children[i + 1], scope);
    if (!compare(node.comparisons[i], left, right, budget_)) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Value Interpreter::evaluate_conditional(const Expression& node, const ScopePtr& scope) {
  if (truth(evaluate(*node.children[1], scope))) return evaluate(*node.children[0], scope);
  if (node.children[2] != nullptr) return evaluate(*node.children[2], scope);
  return Value::undefined("the inline if has no else and its condition is false");
}

Arguments Interpreter::evaluate_arguments(const Expression& node, const ScopePtr& scope) {
  Arguments arguments;
  for (std::size_t i = 1; i < node.children.size(); ++i) {
    arguments.positional.push_back(evaluate(*node.children[i], scope));
  }
  if (node.star != nullptr) {
    const auto items = iterate(evaluate(*node.star, scope), budget_);
    budget_.allocate(items->items.size() * sizeof(Value));
    arguments.positional.insert(arguments.positional.end(), items->items.begin(),
                                items->items.end());
  }
  for (const auto& [name, value] : node.named) {
    arguments.named.emplace_back(name, evaluate(*value, scope));
  }
  if (node.star_star != nullptr) {
    const Value more = evaluate(*node.star_star, scope);
    if (more.dict() == nullptr) bad_input("** needs a mapping, found a {}", more.type_name());
    for (const auto& [key, value] : more.dict()->items) {
      if (key.string() == nullptr) bad_input("the keys of ** must be strings");
      budget_.step();
      arguments.named.emplace_back(*key.string(), value);
    }
  }
  return arguments;
}

/// A filter or test of what its first child says, or of `self` at the start of a filter block.
Value Interpreter::evaluate_native(const Expression& node, Value self, const ScopePtr& scope) {
  const Expression* inner = node.children[0].get();
  if (inner != nullptr) {
    // In a block, all links of the chain are filters, and the innermost takes the block's text.
    const bool is_chain = inner->kind == Expression::Kind::filter && !self.is_none();
    self = is_chain ? evaluate_native(*inner, std::move(self), scope) : evaluate(*inner, scope);
  }
  const Arguments arguments = evaluate_arguments(node, scope);
  position_ = node.position;
  return node.native(budget_, self, arguments);
}

Value Interpreter::evaluate_call(const Expression& node, const ScopePtr& scope) {
  const Value callee = evaluate(*node.children[0], scope);
  Arguments arguments = evaluate_arguments(node, scope);
  position_ = node.position;
  return call(callee, std::move(arguments));
}

Value Interpreter::call(const Value& callee, Arguments arguments) {
  if (const auto* undefined = std::get_if<Undefined>(&callee.data())) {
    bad_input("{}", *undefined->what);
  }
  const Callable* callable = callee.callable();
  if (callable == nullptr) bad_input("a {} cannot be called", callee.type_name());
  if (callable->macro != nullptr) return call_macro(*callable, std::move(arguments));
  return callable->native(budget_, callable->self, arguments);
}

}  // namespace tenon::text::jinja
