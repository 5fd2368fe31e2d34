// Construction of expression nodes, which bounds the depth of their tree.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>

#include "text/jinja/ast.h"
#include "text/jinja/budget.h"

namespace tenon::text::jinja {

inline std::unique_ptr<Expression> make(Expression::Kind kind, Position position) {
  auto node = std::make_unique<Expression>();
  node->kind = kind;
  node->position = position;
  return node;
}

inline void grow(Expression& node, const ExpressionPtr& child) {
  if (child == nullptr) return;
  node.depth = std::max(node.depth, child->depth + 1);
  if (node.depth > kMaxTreeDepth) {
    fail_at(node.position, fmt::format("the expression is nested deeper than {}", kMaxTreeDepth));
  }
}

inline void add(Expression& node, ExpressionPtr child) {
  grow(node, child);
  node.children.push_back(std::move(child));
}

inline ExpressionPtr make_pair_of(Expression::Kind kind, Position position, ExpressionPtr left,
                                  ExpressionPtr right) {
  auto node = make(kind, position);
  add(*node, std::move(left));
  add(*node, std::move(right));
  return node;
}

inline ExpressionPtr make_constant(Value value, Position position) {
  auto node = make(Expression::Kind::constant, position);
  node->value = std::move(value);
  return node;
}

}  // namespace tenon::text::jinja
