// What stands behind a value in an expression: members, items, calls, filters and tests.
#include "text/jinja/ast_builder.h"
#include "text/jinja/parser.h"

namespace tenon::text::jinja {
namespace {

using Kind = Expression::Kind;

template <typename Signature>
void attach(Expression& node, Signature signature) {
  for (auto& argument : signature.positional) add(node, std::move(argument));
  for (auto& [name, argument] : signature.named) {
    grow(node, argument);
    node.named.emplace_back(std::move(name), std::move(argument));
  }
  grow(node, signature.star);
  grow(node, signature.star_star);
  node.star = std::move(signature.star);
  node.star_star = std::move(signature.star_star);
}

}  // namespace

ExpressionPtr Parser::parse_postfix(ExpressionPtr node) {
  while (true) {
    if (is_symbol(".") || is_symbol("[")) {
      node = parse_subscript(std::move(node));
    } else if (is_symbol("(")) {
      node = parse_call(std::move(node));
    } else {
      return node;
    }
  }
}

ExpressionPtr Parser::parse_filters_and_tests(ExpressionPtr node) {
  while (true) {
    if (skip_symbol("|")) {
      node = parse_filter(std::move(node));
    } else if (skip_name("is")) {
      node = parse_test(std::move(node));
    } else if (is_symbol("(")) {
      node = parse_call(std::move(node));
    } else {
      return node;
    }
  }
}

ExpressionPtr Parser::parse_subscript(ExpressionPtr node) {
  const Position position = current().position;
  if (skip_symbol(".")) {
    if (current().kind == Token::Kind::integer) {
      ExpressionPtr index = make_constant(Value(current().integer), current().position);
      advance();
      return make_pair_of(Kind::item, position, std::move(node), std::move(index));
    }
    auto attribute = make(Kind::attribute, position);
    attribute->name = expect_name();
    add(*attribute, std::move(node));
    return attribute;
  }
  expect_symbol("[");
  const auto bound = [&]() -> ExpressionPtr {
    return is_symbol(":") || is_symbol("]") ? nullptr : parse_expression();
  };
  ExpressionPtr first = bound();
  if (!is_symbol(":")) {
    if (first == nullptr) refuse("expected an index, found " + describe_current());
    expect_symbol("]");
    return make_pair_of(Kind::item, position, std::move(node), std::move(first));
  }
  auto slice = make(Kind::slice, position);
  add(*slice, std::move(node));
  add(*slice, std::move(first));
  advance();
  add(*slice, bound());
  add(*slice, skip_symbol(":") ? bound() : nullptr);
  expect_symbol("]");
  return slice;
}

ExpressionPtr Parser::parse_filter(ExpressionPtr node) {
  auto filter = make(Kind::filter, current().position);
  filter->name = expect_name();
  filter->native = find_filter(filter->name);
  if (filter->native == nullptr) {
    fail_at(filter->position, fmt::format("there is no filter '{}'", filter->name.substr(0, 60)));
  }
  add(*filter, std::move(node));
  if (is_symbol("(")) attach(*filter, parse_signature());
  return filter;
}

ExpressionPtr Parser::parse_test(ExpressionPtr node) {
  auto test = make(Kind::test, current().position);
  const bool negated = skip_name("not");
  test->name = expect_name();
  test->native = find_test(test->name);
  if (test->native == nullptr) {
    fail_at(test->position, fmt::format("there is no test '{}'", test->name.substr(0, 60)));
  }
  add(*test, std::move(node));
  const bool takes_operand =
      current().kind == Token::Kind::name || current().kind == Token::Kind::string ||
      current().kind == Token::Kind::integer || current().kind == Token::Kind::real ||
      is_symbol("[") || is_symbol("{");
  if (is_symbol("(")) {
    attach(*test, parse_signature());
  } else if (takes_operand && !is_name("else") && !is_name("or") && !is_name("and")) {
    if (is_name("is")) refuse("tests cannot be chained with is");
    add(*test, parse_postfix(parse_primary()));
  }
  if (!negated) return test;
  auto inverted = make(Kind::logical_not, test->position);
  add(*inverted, std::move(test));
  return inverted;
}

ExpressionPtr Parser::parse_call(ExpressionPtr node) {
  auto call = make(Kind::call, current().position);
  add(*call, std::move(node));
  attach(*call, parse_signature());
  return call;
}

Parser::Signature Parser::parse_signature() {
  Signature signature;
  expect_symbol("(");
  while (!is_symbol(")")) {
    const bool named = current().kind == Token::Kind::name && ahead().kind == Token::Kind::symbol &&
                       ahead().text == "=";
    if (skip_symbol("**")) {
      if (signature.star_star != nullptr) refuse("a call has two ** arguments");
      signature.star_star = parse_expression();
    } else if (skip_symbol("*")) {
      if (signature.star != nullptr) refuse("a call has two * arguments");
      signature.star = parse_expression();
    } else if (named) {
      std::string name = expect_name();
      advance();
      signature.named.emplace_back(std::move(name), parse_expression());
    } else {
      if (!signature.named.empty() || signature.star != nullptr) {
        refuse("an argument by position follows one by name");
      }
      signature.positional.push_back(parse_expression());
    }
    if (!skip_symbol(",")) break;
  }
  expect_symbol(")");
  return signature;
}

}  // namespace tenon::text::jinja
