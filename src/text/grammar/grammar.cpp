// Expressions as they are added, within their limits.
#include "text/grammar/grammar.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "text/tokenizer/utf8.h"

namespace tenon::text::grammar {

Grammar::Node Grammar::add(Expression expression) {
  bytes_ += sizeof(Expression) + expression.text.size() +
            expression.set.ranges().size() * sizeof(CodePointRange) +
            expression.children.size() * (sizeof(Node) + sizeof(Presence));
  if (nodes_.size() >= kMaxNodes || bytes_ > 8 * kMaxBytes) {
    throw Error(ErrorCode::bad_input,
                fmt::format("the constraint has more than {} expressions", nodes_.size()))
        .hint("make it smaller: fewer alternatives, smaller counts");
  }
  for (const Node child : expression.children) {
    expression.depth = std::max(expression.depth, at(child).depth + 1);
  }
  if (expression.depth > kMaxDepth) {
    bad_input("the constraint nests expressions deeper than {}", kMaxDepth);
  }
  nodes_.push_back(std::move(expression));
  return static_cast<Node>(nodes_.size() - 1);
}

Grammar::Node Grammar::never() { return add({}); }

Grammar::Node Grammar::text(std::string bytes) {
  Expression made;
  made.kind = Kind::text;
  made.text = std::move(bytes);
  return add(std::move(made));
}

Grammar::Node Grammar::set(CodePoints points) {
  Expression made;
  made.kind = Kind::set;
  made.set = std::move(points);
  return add(std::move(made));
}

Grammar::Node Grammar::sequence(std::vector<Node> parts) {
  if (parts.size() == 1) return parts[0];
  Expression made;
  made.kind = Kind::sequence;
  made.children = std::move(parts);
  return add(std::move(made));
}

Grammar::Node Grammar::choice(std::vector<Node> parts) {
  if (parts.size() == 1) return parts[0];
  Expression made;
  made.kind = Kind::choice;
  made.children = std::move(parts);
  return add(std::move(made));
}

Grammar::Node Grammar::repeat(Node node, std::int64_t low, std::int64_t high) {
  if (low < 0 || low > kMaxRepeat || high > kMaxRepeat || (high >= 0 && high < low)) {
    bad_input("a repetition of {} to {} times, expected counts in order and up to {}", low,
              high < 0 ? "any number of" : std::to_string(high), kMaxRepeat);
  }
  Expression made;
  made.kind = Kind::repeat;
  made.children = {node};
  made.low = low;
  made.high = high;
  return add(std::move(made));
}

Grammar::Node Grammar::separated(const std::vector<Item>& items, Node separator) {
  Expression made;
  made.kind = Kind::separated;
  for (const Item& item : items) {
    made.children.push_back(item.node);
    made.items.push_back(item.presence);
  }
  made.children.push_back(separator);
  return add(std::move(made));
}

Grammar::Node Grammar::call(std::int32_t rule) {
  Expression made;
  made.kind = Kind::rule;
  made.rule = rule;
  return add(std::move(made));
}

std::int32_t Grammar::declare(std::string name) {
  rules_.push_back({std::move(name), -1});
  return static_cast<std::int32_t>(rules_.size() - 1);
}

Grammar choice_grammar(const std::vector<std::string>& choices) {
  if (choices.empty()) bad_input("a list of choices is empty, at least one was expected");
  Grammar grammar;
  std::vector<Grammar::Node> nodes;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (!is_valid_utf8(choices[i])) bad_input("choice {} is not UTF-8", i);
    nodes.push_back(grammar.text(choices[i]));
  }
  grammar.root = grammar.declare("root");
  grammar.define(grammar.root, grammar.choice(std::move(nodes)));
  return grammar;
}

}  // namespace tenon::text::grammar
