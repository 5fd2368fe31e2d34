// Tokens -> statements and expressions, by recursive descent in the precedence of Jinja2.
#pragma once

#include <initializer_list>
#include <string_view>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/lexer.h"

namespace tenon::text::jinja {

/// Error(bad_input) with line and column; filters and tests that do not exist are refused here.
Body parse_template(std::string_view source);

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Body parse();

 private:
  struct Signature {
    std::vector<ExpressionPtr> positional;
    std::vector<std::pair<std::string, ExpressionPtr>> named;
    ExpressionPtr star;
    ExpressionPtr star_star;
  };
  enum class Ternary { allowed, refused };

  // Statements: parser.cpp
  Body parse_until(std::initializer_list<std::string_view> end_names);
  Body parse_block_body(std::initializer_list<std::string_view> end_names);
  void finish_block(std::string_view end_name);
  std::unique_ptr<const Statement> parse_statement();
  void parse_for(Statement& statement);
  void parse_if(Statement& statement);
  void parse_set(Statement& statement);
  void parse_with(Statement& statement);
  void parse_macro(Statement& statement);
  void parse_call_block(Statement& statement);
  void parse_parameters(Statement& statement);
  void parse_macro_body(Statement& statement, std::string_view end_name);
  Target parse_target();
  Target parse_single_target();

  // Expressions: parse_expression.cpp
  ExpressionPtr parse_expression(Ternary ternary = Ternary::allowed);
  ExpressionPtr parse_tuple(Ternary ternary, bool parenthesized);
  bool is_tuple_end() const;
  ExpressionPtr parse_or();
  ExpressionPtr parse_and();
  ExpressionPtr parse_not();
  ExpressionPtr parse_comparison();
  ExpressionPtr parse_sum();
  ExpressionPtr parse_concat();
  ExpressionPtr parse_product();
  ExpressionPtr parse_power();
  ExpressionPtr parse_unary(bool with_filters);
  ExpressionPtr parse_primary();
  ExpressionPtr parse_bracketed_list();
  ExpressionPtr parse_dict();

  // Behind a value: parse_postfix.cpp
  ExpressionPtr parse_postfix(ExpressionPtr node);
  ExpressionPtr parse_filters_and_tests(ExpressionPtr node);
  ExpressionPtr parse_subscript(ExpressionPtr node);
  ExpressionPtr parse_filter(ExpressionPtr node);
  ExpressionPtr parse_test(ExpressionPtr node);
  ExpressionPtr parse_call(ExpressionPtr node);
  Signature parse_signature();

  // Tokens
  const Token& current() const { return tokens_[at_]; }
  const Token& ahead() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  bool is_name(std::string_view name) const;
  bool is_symbol(std::string_view symbol) const;
  bool skip_name(std::string_view name);
  bool skip_symbol(std::string_view symbol);
  void expect_symbol(std::string_view symbol);
  std::string expect_name();
  void expect_block_end();
  void advance() { at_ = std::min(at_ + 1, tokens_.size() - 1); }
  [[noreturn]] void refuse(const std::string& message) const;
  std::string describe_current() const;

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int nesting_ = 0;
  int loops_ = 0;
  std::vector<Statement*> macros_;  // that are being parsed

  friend class NestingGuard;
};

}  // namespace tenon::text::jinja
