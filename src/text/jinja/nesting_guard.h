// Bounds the recursion of the parser.
#pragma once

#include "text/jinja/budget.h"
#include "text/jinja/parser.h"

namespace tenon::text::jinja {

class NestingGuard {
 public:
  explicit NestingGuard(Parser& parser) : parser_(parser) {
    if (++parser_.nesting_ > kMaxNesting) {
      parser_.refuse(fmt::format("the template is nested deeper than {}", kMaxNesting));
    }
  }
  ~NestingGuard() { --parser_.nesting_; }
  NestingGuard(const NestingGuard&) = delete;
  NestingGuard& operator=(const NestingGuard&) = delete;

 private:
  Parser& parser_;
};

}  // namespace tenon::text::jinja
