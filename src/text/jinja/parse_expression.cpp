// Expressions of a template, one function a level of precedence, loosest first.
#include <algorithm>

#include "text/jinja/ast_builder.h"
#include "text/jinja/nesting_guard.h"
#include "text/jinja/parser.h"

namespace tenon::text::jinja {
namespace {

using Kind = Expression::Kind;

ExpressionPtr make_arithmetic(Operator op, Position position, ExpressionPtr left,
                              ExpressionPtr right) {
  auto node = make(Kind::arithmetic, position);
  node->op = op;
  add(*node, std::move(left));
  add(*node, std::move(right));
  return node;
}

}  // namespace

ExpressionPtr Parser::parse_expression(Ternary ternary) {
  const NestingGuard guard(*this);
  if (ternary == Ternary::refused) return parse_or();
  Position position = current().position;
  ExpressionPtr value = parse_or();
  while (skip_name("if")) {
    auto node = make(Kind::conditional, position);
    add(*node, std::move(value));
    add(*node, parse_or());
    add(*node, skip_name("else") ? parse_expression() : nullptr);
    value = std::move(node);
    position = current().position;
  }
  return value;
}

bool Parser::is_tuple_end() const {
  return current().kind == Token::Kind::variable_end || current().kind == Token::Kind::block_end ||
         is_symbol(")") || is_name("recursive");
}

/// One expression, or a tuple when commas stand between several.
ExpressionPtr Parser::parse_tuple(Ternary ternary, bool parenthesized) {
  auto tuple = make(Kind::tuple, current().position);
  bool has_comma = false;
  while (!is_tuple_end()) {
    add(*tuple, parse_expression(ternary));
    if (!skip_symbol(",")) break;
    has_comma = true;
  }
  if (!has_comma && !tuple->children.empty()) return std::move(tuple->children[0]);
  if (!has_comma && !parenthesized) refuse("expected an expression, found " + describe_current());
  return tuple;
}

ExpressionPtr Parser::parse_or() {
  const Position position = current().position;
  ExpressionPtr left = parse_and();
  while (skip_name("or")) {
    left = make_pair_of(Kind::logical_or, position, std::move(left), parse_and());
  }
  return left;
}

ExpressionPtr Parser::parse_and() {
  const Position position = current().position;
  ExpressionPtr left = parse_not();
  while (skip_name("and")) {
    left = make_pair_of(Kind::logical_and, position, std::move(left), parse_not());
  }
  return left;
}

ExpressionPtr Parser::parse_not() {
  const Position position = current().position;
  if (!skip_name("not")) return parse_comparison();
  const NestingGuard guard(*this);
  auto node = make(Kind::logical_not, position);
  add(*node, parse_not());
  return node;
}

ExpressionPtr Parser::parse_comparison() {
  constexpr std::pair<std::string_view, Comparison> kSigns[] = {
      {"==", Comparison::equal},  {"!=", Comparison::not_equal},
      {"<", Comparison::less},    {"<=", Comparison::less_equal},
      {">", Comparison::greater}, {">=", Comparison::greater_equal},
  };
  auto node = make(Kind::comparison, current().position);
  add(*node, parse_sum());
  while (true) {
    const auto* sign = std::find_if(std::begin(kSigns), std::end(kSigns),
                                    [&](const auto& row) { return is_symbol(row.first); });
    if (sign != std::end(kSigns)) {
      advance();
      node->comparisons.push_back(sign->second);
    } else if (skip_name("in")) {
      node->comparisons.push_back(Comparison::in);
    } else if (is_name("not") && ahead().kind == Token::Kind::name && ahead().text == "in") {
      advance();
      advance();
      node->comparisons.push_back(Comparison::not_in);
    } else {
      break;
    }
    add(*node, parse_sum());
  }
  if (node->comparisons.empty()) return std::move(node->children[0]);
  return node;
}

ExpressionPtr Parser::parse_sum() {
  const Position position = current().position;
  ExpressionPtr left = parse_concat();
  while (is_symbol("+") || is_symbol("-")) {
    const Operator op = is_symbol("+") ? Operator::add : Operator::subtract;
    advance();
    left = make_arithmetic(op, position, std::move(left), parse_concat());
  }
  return left;
}

ExpressionPtr Parser::parse_concat() {
  auto node = make(Kind::concat, current().position);
  do {
    add(*node, parse_product());
  } while (skip_symbol("~"));
  if (node->children.size() == 1) return std::move(node->children[0]);
  return node;
}

ExpressionPtr Parser::parse_product() {
  constexpr std::pair<std::string_view, Operator> kSigns[] = {
      {"*", Operator::multiply},
      {"/", Operator::divide},
      {"//", Operator::floor_divide},
      {"%", Operator::modulo},
  };
  const Position position = current().position;
  ExpressionPtr left = parse_power();
  while (true) {
    const auto* sign = std::find_if(std::begin(kSigns), std::end(kSigns),
                                    [&](const auto& row) { return is_symbol(row.first); });
    if (sign == std::end(kSigns)) return left;
    advance();
    left = make_arithmetic(sign->second, position, std::move(left), parse_power());
  }
}

ExpressionPtr Parser::parse_power() {
  const Position position = current().position;
  ExpressionPtr left = parse_unary(true);
  while (skip_symbol("**")) {
    left = make_arithmetic(Operator::power, position, std::move(left), parse_unary(true));
  }
  return left;
}

ExpressionPtr Parser::parse_unary(bool with_filters) {
  const NestingGuard guard(*this);
  const Position position = current().position;
  ExpressionPtr node;
  if (is_symbol("-") || is_symbol("+")) {
    auto sign = make(is_symbol("-") ? Kind::negative : Kind::positive, position);
    advance();
    add(*sign, parse_unary(false));
    node = std::move(sign);
  } else {
    node = parse_primary();
  }
  node = parse_postfix(std::move(node));
  return with_filters ? parse_filters_and_tests(std::move(node)) : std::move(node);
}

ExpressionPtr Parser::parse_primary() {
  const Token& token = current();
  const Position position = token.position;
  switch (token.kind) {
    case Token::Kind::name: {
      advance();
      if (token.text == "true" || token.text == "True") return make_constant(Value(true), position);
      if (token.text == "false" || token.text == "False") {
        return make_constant(Value(false), position);
      }
      if (token.text == "none" || token.text == "None") return make_constant({}, position);
      for (Statement* macro : macros_) {
        if (token.text == "varargs") macro->uses_varargs = true;
        if (token.text == "kwargs") macro->uses_kwargs = true;
        if (token.text == "caller") macro->uses_caller = true;
      }
      auto node = make(Kind::name, position);
      node->name = token.text;
      return node;
    }
    case Token::Kind::string: {
      std::string text;
      for (; current().kind == Token::Kind::string; advance()) text += current().text;
      return make_constant(Value(std::move(text)), position);
    }
    case Token::Kind::integer:
      advance();
      return make_constant(Value(token.integer), position);
    case Token::Kind::real:
      advance();
      return make_constant(Value(token.real), position);
    default:
      break;
  }
  if (skip_symbol("(")) {
    ExpressionPtr node = parse_tuple(Ternary::allowed, true);
    expect_symbol(")");
    return node;
  }
  if (is_symbol("[")) return parse_bracketed_list();
  if (is_symbol("{")) return parse_dict();
  refuse("expected an expression, found " + describe_current());
}

ExpressionPtr Parser::parse_bracketed_list() {
  auto list = make(Kind::list, current().position);
  expect_symbol("[");
  while (!is_symbol("]")) {
    add(*list, parse_expression());
    if (!skip_symbol(",")) break;
  }
  expect_symbol("]");
  return list;
}

ExpressionPtr Parser::parse_dict() {
  auto dict = make(Kind::dict, current().position);
  expect_symbol("{");
  while (!is_symbol("}")) {
    add(*dict, parse_expression());
    expect_symbol(":");
    add(*dict, parse_expression());
    if (!skip_symbol(",")) break;
  }
  expect_symbol("}");
  return dict;
}

}  // namespace tenon::text::jinja
