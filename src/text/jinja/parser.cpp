// Statements of a template, and the token stream that both halves of the parser read.
#include "text/jinja/parser.h"

#include <algorithm>

#include "text/jinja/nesting_guard.h"

namespace tenon::text::jinja {

Body parse_template(std::string_view source) { return Parser(tokenize(source)).parse(); }

void Parser::refuse(const std::string& message) const { fail_at(current().position, message); }

std::string Parser::describe_current() const {
  const Token& token = current();
  switch (token.kind) {
    case Token::Kind::end:
      return "the end of the template";
    case Token::Kind::block_end:
      return "the end of the block";
    case Token::Kind::variable_end:
      return "the end of the output";
    case Token::Kind::integer:
    case Token::Kind::real:
      return "a number";
    case Token::Kind::string:
      return "a string";
    default:
      return "'" + token.text.substr(0, 60) + "'";
  }
}

bool Parser::is_name(std::string_view name) const {
  return current().kind == Token::Kind::name && current().text == name;
}
bool Parser::is_symbol(std::string_view symbol) const {
  return current().kind == Token::Kind::symbol && current().text == symbol;
}
bool Parser::skip_name(std::string_view name) {
  const bool found = is_name(name);
  if (found) advance();
  return found;
}
bool Parser::skip_symbol(std::string_view symbol) {
  const bool found = is_symbol(symbol);
  if (found) advance();
  return found;
}
void Parser::expect_symbol(std::string_view symbol) {
  if (!skip_symbol(symbol))
    refuse(fmt::format("expected '{}', found {}", symbol, describe_current()));
}
std::string Parser::expect_name() {
  if (current().kind != Token::Kind::name) refuse("expected a name, found " + describe_current());
  std::string name = current().text;
  advance();
  return name;
}
void Parser::expect_block_end() {
  skip_symbol(":");
  if (current().kind != Token::Kind::block_end) {
    refuse("expected the end of the block, found " + describe_current());
  }
  advance();
}

Body Parser::parse() {
  Body body = parse_until({});
  return body;
}

/// Statements up to a block that begins with one of `end_names`, which becomes the current token.
Body Parser::parse_until(std::initializer_list<std::string_view> end_names) {
  const NestingGuard guard(*this);
  Body body;
  while (current().kind != Token::Kind::end) {
    const Token& token = current();
    if (token.kind == Token::Kind::text) {
      auto statement = std::make_unique<Statement>();
      statement->position = token.position;
      statement->text = token.text;
      body.push_back(std::move(statement));
      advance();
    } else if (token.kind == Token::Kind::variable_begin) {
      advance();
      auto statement = std::make_unique<Statement>();
      statement->kind = Statement::Kind::output;
      statement->position = token.position;
      statement->expressions.push_back(parse_tuple(Ternary::allowed, false));
      if (current().kind != Token::Kind::variable_end) {
        refuse("expected }}, found " + describe_current());
      }
      advance();
      body.push_back(std::move(statement));
    } else {
      advance();  // block_begin: the lexer makes nothing else here
      const bool ends = std::any_of(end_names.begin(), end_names.end(),
                                    [&](std::string_view name) { return is_name(name); });
      if (ends) return body;
      if (auto statement = parse_statement()) body.push_back(std::move(statement));
    }
  }
  if (end_names.size() > 0) {
    refuse(fmt::format("the template ends where {{% {} %}} was expected", *(end_names.end() - 1)));
  }
  return body;
}

Body Parser::parse_block_body(std::initializer_list<std::string_view> end_names) {
  expect_block_end();
  return parse_until(end_names);
}

void Parser::finish_block(std::string_view end_name) {
  if (!skip_name(end_name))
    refuse(fmt::format("expected {}, found {}", end_name, describe_current()));
  if (current().kind != Token::Kind::block_end) {
    refuse("expected the end of the block, found " + describe_current());
  }
  advance();
}

std::unique_ptr<const Statement> Parser::parse_statement() {
  using Kind = Statement::Kind;
  auto statement = std::make_unique<Statement>();
  statement->position = current().position;
  const std::string tag = expect_name();
  if (tag == "for") {
    parse_for(*statement);
  } else if (tag == "if") {
    parse_if(*statement);
  } else if (tag == "set") {
    parse_set(*statement);
  } else if (tag == "macro") {
    parse_macro(*statement);
  } else if (tag == "call") {
    parse_call_block(*statement);
  } else if (tag == "with") {
    parse_with(*statement);
  } else if (tag == "filter") {
    statement->kind = Kind::filter_block;
    statement->expressions.push_back(parse_filter(nullptr));
    while (skip_symbol("|")) {
      statement->expressions.back() = parse_filter(std::move(statement->expressions.back()));
    }
    statement->body = parse_block_body({"endfilter"});
    finish_block("endfilter");
  } else if (tag == "generation") {
    // Marks the text of the assistant for training; it prints as it stands.
    statement->kind = Kind::scope;
    statement->body = parse_block_body({"endgeneration"});
    finish_block("endgeneration");
  } else if (tag == "print") {
    statement->kind = Kind::output;
    do {
      statement->expressions.push_back(parse_expression());
    } while (skip_symbol(","));
    expect_block_end();
  } else if (tag == "break" || tag == "continue") {
    if (loops_ == 0) fail_at(statement->position, tag + " stands outside of a loop");
    statement->kind = tag == "break" ? Kind::break_loop : Kind::continue_loop;
    expect_block_end();
  } else {
    fail_at(statement->position, fmt::format("there is no block tag '{}'", tag.substr(0, 60)));
  }
  return statement;
}

void Parser::parse_for(Statement& statement) {
  statement.kind = Statement::Kind::loop;
  statement.targets.push_back(parse_target());
  if (!skip_name("in")) refuse("expected 'in', found " + describe_current());
  statement.expressions.push_back(parse_tuple(Ternary::refused, false));
  statement.expressions.push_back(skip_name("if") ? parse_expression() : nullptr);
  if (is_name("recursive")) refuse("recursive loops are not supported; use a macro");
  ++loops_;
  statement.body = parse_block_body({"else", "endfor"});
  --loops_;
  if (skip_name("else")) statement.otherwise = parse_block_body({"endfor"});
  finish_block("endfor");
}

void Parser::parse_if(Statement& statement) {
  statement.kind = Statement::Kind::conditional;
  do {
    ExpressionPtr condition = parse_tuple(Ternary::refused, false);
    Body body = parse_block_body({"elif", "else", "endif"});
    statement.branches.emplace_back(std::move(condition), std::move(body));
  } while (skip_name("elif"));
  if (skip_name("else")) statement.branches.emplace_back(nullptr, parse_block_body({"endif"}));
  finish_block("endif");
}

void Parser::parse_set(Statement& statement) {
  statement.targets.push_back(parse_target());
  if (skip_symbol("=")) {
    statement.kind = Statement::Kind::assign;
    statement.expressions.push_back(parse_tuple(Ternary::allowed, false));
    expect_block_end();
    return;
  }
  statement.kind = Statement::Kind::assign_block;
  statement.expressions.push_back(nullptr);
  while (skip_symbol("|")) {
    statement.expressions.back() = parse_filter(std::move(statement.expressions.back()));
  }
  statement.body = parse_block_body({"endset"});
  finish_block("endset");
}

void Parser::parse_with(Statement& statement) {
  statement.kind = Statement::Kind::with;
  while (current().kind != Token::Kind::block_end) {
    if (!statement.targets.empty()) expect_symbol(",");
    statement.targets.push_back(parse_target());
    expect_symbol("=");
    statement.expressions.push_back(parse_expression());
  }
  statement.body = parse_block_body({"endwith"});
  finish_block("endwith");
}

void Parser::parse_macro(Statement& statement) {
  statement.kind = Statement::Kind::macro;
  statement.text = expect_name();
  parse_parameters(statement);
  parse_macro_body(statement, "endmacro");
}

void Parser::parse_call_block(Statement& statement) {
  statement.kind = Statement::Kind::call_block;
  statement.text = "caller";
  if (is_symbol("(")) parse_parameters(statement);
  statement.expressions.push_back(parse_expression());
  if (statement.expressions[0]->kind != Expression::Kind::call) {
    fail_at(statement.position, "{% call %} needs the call of a macro");
  }
  parse_macro_body(statement, "endcall");
}

void Parser::parse_parameters(Statement& statement) {
  expect_symbol("(");
  while (!is_symbol(")")) {
    if (!statement.parameters.empty()) expect_symbol(",");
    Parameter parameter;
    parameter.name = expect_name();
    if (skip_symbol("=")) {
      parameter.fallback = parse_expression();
    } else if (!statement.parameters.empty() && statement.parameters.back().fallback != nullptr) {
      refuse("a parameter without a default follows one with a default");
    }
    statement.parameters.push_back(std::move(parameter));
  }
  expect_symbol(")");
}

void Parser::parse_macro_body(Statement& statement, std::string_view end_name) {
  macros_.push_back(&statement);
  const int loops = std::exchange(loops_, 0);
  statement.body = parse_block_body({end_name});
  finish_block(end_name);
  loops_ = loops;
  macros_.pop_back();
}

Target Parser::parse_single_target() {
  const NestingGuard guard(*this);
  if (skip_symbol("(")) {
    Target target = parse_target();
    expect_symbol(")");
    return target;
  }
  Target target;
  const Position position = current().position;
  target.name = expect_name();
  for (const std::string_view constant : {"true", "false", "none", "True", "False", "None"}) {
    if (target.name == constant) fail_at(position, "cannot assign to " + target.name);
  }
  if (skip_symbol(".")) target.attribute = expect_name();
  return target;
}

Target Parser::parse_target() {
  Target target = parse_single_target();
  if (!is_symbol(",")) return target;
  Target tuple;
  tuple.is_tuple = true;
  tuple.several.push_back(std::move(target));
  while (skip_symbol(",")) {
    const bool ends = is_name("in") || is_symbol("=") || is_symbol(")") ||
                      current().kind == Token::Kind::block_end;
    if (ends) break;
    tuple.several.push_back(parse_single_target());
  }
  return tuple;
}

}  // namespace tenon::text::jinja
