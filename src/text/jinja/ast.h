// The parsed template: statements and expressions as plain data.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/callable.h"
#include "text/jinja/lexer.h"
#include "text/jinja/operators.h"
#include "text/jinja/value.h"

namespace tenon::text::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<const Expression>;

struct Expression {
  enum class Kind {
    constant,     // value
    name,         // name
    list,         // children
    tuple,        // children
    dict,         // children: key, value, key, value ...
    attribute,    // children[0].name
    item,         // children[0][children[1]]
    slice,        // children[0][children[1] : children[2] : children[3]], null where omitted
    call,         // children[0](children[1...], named, star, star_star)
    filter,       // children[0] | name(...); children[0] is null in a filter block
    test,         // children[0] is name(...)
    negative,     // -children[0]
    positive,     // +children[0]
    logical_not,  // not children[0]
    logical_and,  // children[0] and children[1]
    logical_or,   // children[0] or children[1]
    arithmetic,   // children[0] op children[1]
    concat,       // children joined by ~
    comparison,   // children[0] comparisons[0] children[1] comparisons[1] ...
    conditional,  // children[0] if children[1] else children[2], null where omitted
  };
  Kind kind = Kind::constant;
  Position position;
  int depth = 1;
  std::string name;
  Value value;
  Operator op = Operator::add;
  Native native = nullptr;  // of a filter or test
  std::vector<Comparison> comparisons;
  std::vector<ExpressionPtr> children;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  ExpressionPtr star;
  ExpressionPtr star_star;
};

/// What an assignment writes to: a name, a member of a namespace, or several of them.
struct Target {
  std::string name;
  std::string attribute;        // of the namespace `name`, when not empty
  std::vector<Target> several;  // of a tuple, when is_tuple
  bool is_tuple = false;
};

struct Statement;
using Body = std::vector<std::unique_ptr<const Statement>>;

struct Parameter {
  std::string name;
  ExpressionPtr fallback;  // null: undefined
};

struct Statement {
  enum class Kind {
    text,          // text
    output,        // expressions, one after the other
    conditional,   // branches in order
    loop,          // targets[0] in expressions[0], if expressions[1] (may be null); body, otherwise
    assign,        // targets[0] = expressions[0]
    assign_block,  // targets[0] = body through expressions[0] (a filter, may be null)
    macro,         // text(parameters): body
    call_block,    // expressions[0] is the call; parameters and body are its caller
    filter_block,  // body through expressions[0]
    with,          // targets = expressions, then body
    scope,         // body in a scope of its own
    break_loop,
    continue_loop,
  };
  Kind kind = Kind::text;
  Position position;
  std::string text;
  std::vector<ExpressionPtr> expressions;
  std::vector<std::pair<ExpressionPtr, Body>> branches;  // a null condition is else
  std::vector<Target> targets;
  std::vector<Parameter> parameters;
  Body body;
  Body otherwise;
  bool uses_varargs = false;  // what a macro's body mentions decides what its calls may pass
  bool uses_kwargs = false;
  bool uses_caller = false;
};

}  // namespace tenon::text::jinja
