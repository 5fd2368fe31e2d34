// Runs a parsed template over variables. One Interpreter serves one rendering, on one thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "text/jinja/ast.h"
#include "text/jinja/budget.h"

namespace tenon::text::jinja {

/// The variables of one block; reads fall through to the parents, writes do not.
struct Scope {
  explicit Scope(std::shared_ptr<Scope> outer) : parent(std::move(outer)) {}
  std::shared_ptr<Scope> parent;
  std::unordered_map<std::string, Value> variables;
};

class Interpreter {
 public:
  Interpreter() : globals_(std::make_shared<Scope>(nullptr)) {}

  Budget& budget() { return budget_; }
  void set_global(const std::string& name, Value value) {
    globals_->variables.insert_or_assign(name, std::move(value));
  }
  /// Error(bad_input) with the line that failed.
  std::string render(const Body& body);

 private:
  using ScopePtr = std::shared_ptr<Scope>;
  enum class Flow { normal, broken, continued };

  // Statements: interpreter.cpp
  Flow run(const Body& body, const ScopePtr& scope);
  Flow run(const Statement& statement, const ScopePtr& scope);
  Flow run_conditional(const Statement& statement, const ScopePtr& scope);
  Flow run_loop(const Statement& statement, const ScopePtr& scope);
  std::shared_ptr<const List> loop_items(const Statement& statement, const ScopePtr& scope);
  void run_call_block(const Statement& statement, const ScopePtr& scope);
  Flow run_with(const Statement& statement, const ScopePtr& scope);
  void assign(const Target& target, Value value, const ScopePtr& scope);
  std::string capture(const Body& body, const ScopePtr& scope);
  void print(std::string_view text);
  Value call_macro(const Callable& callable, Arguments arguments);
  Value make_macro(const Statement& statement, const ScopePtr& scope);

  // Expressions: evaluate.cpp
  Value evaluate(const Expression& node, const ScopePtr& scope);
  Value evaluate_kind(const Expression& node, const ScopePtr& scope);
  Value evaluate_name(const Expression& node, const ScopePtr& scope);
  Value evaluate_sequence(const Expression& node, const ScopePtr& scope);
  Value evaluate_dict(const Expression& node, const ScopePtr& scope);
  Value evaluate_slice(const Expression& node, const ScopePtr& scope);
  Value evaluate_concat(const Expression& node, const ScopePtr& scope);
  Value evaluate_comparison(const Expression& node, const ScopePtr& scope);
  Value evaluate_conditional(const Expression& node, const ScopePtr& scope);
  Value evaluate_call(const Expression& node, const ScopePtr& scope);
  Value evaluate_native(const Expression& node, Value self, const ScopePtr& scope);
  Arguments evaluate_arguments(const Expression& node, const ScopePtr& scope);
  Value call(const Value& callee, Arguments arguments);

  Budget budget_;
  ScopePtr globals_;
  std::string* out_ = nullptr;
  int depth_ = 0;
  Position position_;

  friend class DepthGuard;
};

/// Bounds the recursion of evaluation.
class DepthGuard {
 public:
  explicit DepthGuard(Interpreter& interpreter) : interpreter_(interpreter) {
    interpreter_.budget_.step();
    if (++interpreter_.depth_ > kMaxCallDepth) {
      --interpreter_.depth_;
      bad_input("the chat template calls itself too deeply (limit {})", kMaxCallDepth);
    }
  }
  ~DepthGuard() { --interpreter_.depth_; }
  DepthGuard(const DepthGuard&) = delete;
  DepthGuard& operator=(const DepthGuard&) = delete;

 private:
  Interpreter& interpreter_;
};

}  // namespace tenon::text::jinja
