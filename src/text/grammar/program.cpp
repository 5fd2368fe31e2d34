// From a grammar to its program: automata of all rules, without states that lead nowhere.
#include "text/grammar/program.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "text/grammar/determinize.h"

namespace tenon::text::grammar {
namespace {

class Compiler {
 public:
  Compiler(Grammar grammar, const std::bitset<256>& available) : grammar_(std::move(grammar)) {
    NfaBuilder builder(grammar_);
    // Building adds rules for large repeated parts.
    for (std::size_t rule = 0; rule < grammar_.rules().size(); ++rule) {
      const Grammar::Rule& named = grammar_.rules()[rule];
      if (named.body < 0) bad_input("rule \"{}\" is used, but not defined", named.name);
      const auto id = static_cast<std::int32_t>(rule);
      const Nfa nfa = builder.build(id);
      steps_.spend(nfa.first_edge.size());
      starts_.push_back(static_cast<std::int32_t>(loose_.size()));
      determinize(nfa, id, available, steps_, loose_);
    }
  }

  Program run() {
    find_live();
    if (!live_[index(starts_[index(grammar_.root)])]) {
      throw Error(ErrorCode::bad_input, "no text matches the constraint")
          .hint(
              "a rule may only lead back to itself, or need characters that the vocabulary lacks");
    }
    find_nullable();
    refuse_left_recursion();
    return emit();
  }

 private:
  static std::size_t index(std::int32_t value) { return static_cast<std::size_t>(value); }
  bool works(const Program::Call& call) const {
    return live_[index(starts_[index(call.rule)])] && live_[index(call.returns)];
  }

  /// Repeats `update` over all states, last first, until it changes nothing.
  template <typename Update>
  void settle(std::vector<char>& marks, const Update& update) {
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t i = loose_.size(); i-- > 0;) {
        steps_.spend(1 + loose_[i].calls.size());
        if (marks[i] == 0 && update(loose_[i])) marks[i] = 1, changed = true;
      }
    }
  }

  void find_live() {
    live_.assign(loose_.size(), 0);
    settle(live_, [&](const LooseState& state) {
      return state.accepts ||
             std::any_of(state.edges.begin(), state.edges.end(),
                         [&](const auto& edge) { return live_[index(edge.target)] != 0; }) ||
             std::any_of(state.calls.begin(), state.calls.end(),
                         [&](const auto& call) { return works(call); });
    });
  }

  void find_nullable() {
    nullable_.assign(loose_.size(), 0);
    settle(nullable_, [&](const LooseState& state) {
      return state.accepts ||
             std::any_of(state.calls.begin(), state.calls.end(), [&](const auto& call) {
               return works(call) && nullable_[index(starts_[index(call.rule)])] != 0 &&
                      nullable_[index(call.returns)] != 0;
             });
    });
  }

  /// Rules that `rule` may call before its first byte.
  std::vector<std::int32_t> first_calls(std::int32_t rule) {
    std::vector<std::int32_t> rules;
    std::vector<std::int32_t> open = {starts_[index(rule)]};
    std::vector<std::int32_t> seen = open;
    while (!open.empty()) {
      const LooseState& state = loose_[index(open.back())];
      open.pop_back();
      for (const Program::Call& call : state.calls) {
        steps_.spend(1 + seen.size());
        if (!works(call)) continue;
        rules.push_back(call.rule);
        const bool passes = nullable_[index(starts_[index(call.rule)])] != 0;
        if (passes && std::find(seen.begin(), seen.end(), call.returns) == seen.end()) {
          seen.push_back(call.returns);
          open.push_back(call.returns);
        }
      }
    }
    return rules;
  }

  /// Takes away rules whose first calls are all gone; what is left stands on a cycle or before one.
  void refuse_left_recursion() {
    const std::size_t count = starts_.size();
    std::vector<std::vector<std::int32_t>> callers(count);
    std::vector<std::size_t> waiting(count, 0);
    std::vector<std::int32_t> free;
    for (std::size_t rule = 0; rule < count; ++rule) {
      for (const std::int32_t called : first_calls(static_cast<std::int32_t>(rule))) {
        callers[index(called)].push_back(static_cast<std::int32_t>(rule));
        ++waiting[rule];
      }
      if (waiting[rule] == 0) free.push_back(static_cast<std::int32_t>(rule));
    }
    std::size_t taken = 0;
    while (!free.empty()) {
      const std::int32_t rule = free.back();
      free.pop_back();
      ++taken;
      for (const std::int32_t caller : callers[index(rule)]) {
        if (--waiting[index(caller)] == 0) free.push_back(caller);
      }
    }
    if (taken == count) return;
    const auto stuck =
        std::find_if(waiting.begin(), waiting.end(), [](std::size_t left) { return left > 0; });
    throw Error(
        ErrorCode::bad_input,
        fmt::format(
            "rule \"{}\" begins with itself (left recursion)",
            grammar_.rules()[index(static_cast<std::int32_t>(stuck - waiting.begin()))].name))
        .hint("write it as a repetition: a ::= b (\"+\" b)* in place of a ::= a \"+\" b");
  }

  bool only_accepts(std::int32_t state) const {
    const LooseState& loose = loose_[index(state)];
    return loose.accepts &&
           std::none_of(loose.edges.begin(), loose.edges.end(),
                        [&](const auto& edge) { return live_[index(edge.target)] != 0; }) &&
           std::none_of(loose.calls.begin(), loose.calls.end(),
                        [&](const auto& call) { return works(call); });
  }

  Program emit() {
    std::vector<std::int32_t> renumbered(loose_.size(), -1);
    std::int32_t next = 0;
    for (std::size_t i = 0; i < loose_.size(); ++i) {
      if (live_[i] != 0) renumbered[i] = next++;
    }
    Program program;
    program.start = renumbered[index(starts_[index(grammar_.root)])];
    for (std::size_t i = 0; i < loose_.size(); ++i) {
      if (live_[i] == 0) continue;
      Program::State state{};
      state.accepts = loose_[i].accepts;
      state.first_edge = static_cast<std::uint32_t>(program.edges.size());
      for (const auto& edge : loose_[i].edges) {
        const std::int32_t target = renumbered[index(edge.target)];
        if (target >= 0) program.edges.push_back({edge.low, edge.high, target});
      }
      state.first_call = static_cast<std::uint32_t>(program.calls.size());
      for (const auto& call : loose_[i].calls) {
        if (!works(call)) continue;
        const std::int32_t returns =
            only_accepts(call.returns) ? -1 : renumbered[index(call.returns)];
        program.calls.push_back({renumbered[index(starts_[index(call.rule)])], returns, call.rule});
      }
      state.edge_count = static_cast<std::uint32_t>(program.edges.size()) - state.first_edge;
      state.call_count = static_cast<std::uint32_t>(program.calls.size()) - state.first_call;
      program.states.push_back(state);
    }
    return program;
  }

  Grammar grammar_;
  CompileSteps steps_;
  std::vector<LooseState> loose_;
  std::vector<std::int32_t> starts_;  // by rule
  std::vector<char> live_;
  std::vector<char> nullable_;
};

}  // namespace

Program compile(Grammar grammar, const std::bitset<256>& available) {
  return Compiler(std::move(grammar), available).run();
}

}  // namespace tenon::text::grammar
