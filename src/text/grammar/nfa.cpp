// Thompson's construction, with chains for counts and two tracks for separated items.
#include "text/grammar/nfa.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"

namespace tenon::text::grammar {
namespace {

constexpr double kInlineStates = 16384;  // a repetition of more states calls a rule instead

double copies(const Grammar::Expression& node) {
  return static_cast<double>(node.high < 0 ? node.low + 1 : node.high);
}

bool continues_freely(const ByteRange& range) { return range.low == 0x80 && range.high == 0xBF; }

}  // namespace

std::int32_t NfaBuilder::state() {
  if (nfa_.first_edge.size() >= kMaxStates || nfa_.edges.size() >= 4 * kMaxStates) {
    throw Error(ErrorCode::bad_input,
                fmt::format("the constraint needs more than {} states", kMaxStates))
        .hint("make it smaller: fewer alternatives, smaller counts");
  }
  nfa_.first_edge.push_back(-1);
  return static_cast<std::int32_t>(nfa_.first_edge.size() - 1);
}

void NfaBuilder::edge(std::int32_t from, Nfa::Edge made) {
  std::int32_t& first = nfa_.first_edge[static_cast<std::size_t>(from)];
  made.next = first;
  first = static_cast<std::int32_t>(nfa_.edges.size());
  nfa_.edges.push_back(made);
}

Nfa NfaBuilder::build(std::int32_t rule) {
  nfa_ = {};
  const std::int32_t start = state();
  const std::int32_t end = state();
  node(grammar_.rules()[static_cast<std::size_t>(rule)].body, start, end);
  return std::move(nfa_);
}

void NfaBuilder::node(Grammar::Node node_id, std::int32_t from, std::int32_t to) {
  switch (grammar_.at(node_id).kind) {
    case Grammar::Kind::never:
      return;
    case Grammar::Kind::text:
      return text(grammar_.at(node_id).text, from, to);
    case Grammar::Kind::set:
      return set(grammar_.at(node_id).set, from, to);
    case Grammar::Kind::sequence: {
      // Copied, since large repetitions add expressions on the way.
      const std::vector<Grammar::Node> parts = grammar_.at(node_id).children;
      for (const Grammar::Node part : parts) {
        const std::int32_t middle = state();
        node(part, from, middle);
        from = middle;
      }
      return free(from, to);
    }
    case Grammar::Kind::choice: {
      const std::vector<Grammar::Node> parts = grammar_.at(node_id).children;
      for (const Grammar::Node part : parts) {
        const std::int32_t start = state();  // what loops inside must not reach its neighbours
        const std::int32_t end = state();
        free(from, start);
        node(part, start, end);
        free(end, to);
      }
      return;
    }
    case Grammar::Kind::repeat:
      return repeat(node_id, from, to);
    case Grammar::Kind::separated:
      return separated(node_id, from, to);
    case Grammar::Kind::rule:
      return edge(from, {to, -1, grammar_.at(node_id).rule, Nfa::EdgeKind::call, 0, 0});
  }
}

void NfaBuilder::text(const std::string& bytes, std::int32_t from, std::int32_t to) {
  for (const char c : bytes) {
    const std::int32_t middle = state();
    const auto byte = static_cast<std::uint8_t>(c);
    edge(from, {middle, -1, -1, Nfa::EdgeKind::bytes, byte, byte});
    from = middle;
  }
  free(from, to);
}

void NfaBuilder::set(const CodePoints& points, std::int32_t from, std::int32_t to) {
  // Most sequences end in bytes that run free: those states are shared.
  std::array<std::int32_t, 4> tails = {to, -1, -1, -1};
  const auto tail = [&](std::size_t length) {
    for (std::size_t i = 1; i <= length; ++i) {
      if (tails[i] >= 0) continue;
      tails[i] = state();
      edge(tails[i], {tails[i - 1], -1, -1, Nfa::EdgeKind::bytes, 0x80, 0xBF});
    }
    return tails[length];
  };
  for (const ByteSequence& sequence : utf8_sequences(points)) {
    std::size_t fixed = sequence.size();
    while (fixed > 1 && continues_freely(sequence[fixed - 1])) --fixed;
    std::int32_t at = from;
    for (std::size_t i = 0; i < fixed; ++i) {
      const std::int32_t next = i + 1 < fixed ? state() : tail(sequence.size() - fixed);
      edge(at, {next, -1, -1, Nfa::EdgeKind::bytes, sequence[i].low, sequence[i].high});
      at = next;
    }
  }
}

double NfaBuilder::size_of(Grammar::Node node_id) {
  sizes_.resize(std::max(sizes_.size(), grammar_.size()), 0);
  if (const double known = sizes_[static_cast<std::size_t>(node_id)]; known > 0) return known;
  const Grammar::Expression& expression = grammar_.at(node_id);
  double size = 1;
  if (expression.kind == Grammar::Kind::text) size += static_cast<double>(expression.text.size());
  if (expression.kind == Grammar::Kind::set) {
    size += 3 * static_cast<double>(expression.set.ranges().size());
  }
  for (const Grammar::Node child : expression.children) size += size_of(child) + 1;
  if (expression.kind == Grammar::Kind::repeat) {
    size *= copies(expression);
    if (size > kInlineStates) size = 1 + 2 * copies(expression);
  }
  return sizes_[static_cast<std::size_t>(node_id)] = std::max(size, 1.0);
}

Grammar::Node NfaBuilder::as_rule(Grammar::Node node_id) {
  const auto [place, is_new] = made_rules_.try_emplace(node_id, -1);
  if (is_new) {
    const std::int32_t rule = grammar_.declare("repeated part");
    grammar_.define(rule, node_id);
    place->second = grammar_.call(rule);
  }
  return place->second;
}

void NfaBuilder::repeat(Grammar::Node node_id, std::int32_t from, std::int32_t to) {
  const std::int64_t low = grammar_.at(node_id).low;
  const std::int64_t high = grammar_.at(node_id).high;
  Grammar::Node child = grammar_.at(node_id).children[0];
  const double times = copies(grammar_.at(node_id));
  if (times > 1 && (size_of(child) + 2) * times > kInlineStates) child = as_rule(child);
  const auto step = [&](std::int32_t at) {
    const std::int32_t next = state();
    node(child, at, next);
    return next;
  };
  std::int32_t at = state();
  free(from, at);
  for (std::int64_t i = 0; i < low; ++i) at = step(at);
  if (high < 0) {
    const std::int32_t loop = state();  // one that only the loop comes back to
    free(at, loop);
    free(step(loop), loop);
    free(loop, to);
    return;
  }
  const std::int32_t end = state();
  for (std::int64_t i = low; i < high; ++i) {
    free(at, end);
    at = step(at);
  }
  free(at, end);
  free(end, to);
}

void NfaBuilder::separated(Grammar::Node node_id, std::int32_t from, std::int32_t to) {
  std::vector<Grammar::Node> children = grammar_.at(node_id).children;
  const std::vector<Grammar::Presence> items = grammar_.at(node_id).items;
  const Grammar::Node separator = children.back();
  std::int32_t none = state();  // no item so far; -1 when one must have come
  free(from, none);
  std::int32_t some = state();
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::int32_t entry = state();
    const std::int32_t after = state();
    if (none >= 0) free(none, entry);
    node(separator, some, entry);
    node(children[i], entry, after);
    if (items[i] == Grammar::Presence::many) node(separator, after, entry);
    if (items[i] == Grammar::Presence::required) {
      none = -1;
    } else {
      free(some, after);
    }
    some = after;
  }
  if (none >= 0) free(none, to);
  free(some, to);
}

}  // namespace tenon::text::grammar
