// Subset construction over bytes and calls.
#include "text/grammar/determinize.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include "base/error.h"

namespace tenon::text::grammar {
namespace {

using Set = std::vector<std::int32_t>;  // sorted states of the Nfa

struct SetHash {
  std::size_t operator()(const Set& set) const noexcept {
    std::size_t hash = set.size();
    for (const std::int32_t state : set) {
      hash = (hash ^ static_cast<std::size_t>(state)) * 0x9E3779B97F4A7C15ULL;
      hash ^= hash >> 29;
    }
    return hash;
  }
};

class Determinizer {
 public:
  Determinizer(const Nfa& nfa, std::int32_t rule, const std::bitset<256>& available,
               CompileSteps& steps, std::vector<LooseState>& states)
      : nfa_(nfa),
        rule_(rule),
        available_(available),
        steps_(steps),
        states_(states),
        seen_(nfa.first_edge.size(), 0) {}

  void run() {
    add({0});
    while (done_ < pending_.size()) {
      const Set* set = pending_[done_];
      const std::int32_t state = order_[done_++];
      expand(*set, static_cast<std::size_t>(state));
    }
  }

 private:
  template <typename Body>
  void each_edge(std::int32_t state, const Body& body) {
    for (std::int32_t e = nfa_.first_edge[static_cast<std::size_t>(state)]; e >= 0;) {
      const Nfa::Edge& edge = nfa_.edges[static_cast<std::size_t>(e)];
      body(edge);
      e = edge.next;
      steps_.spend(1);
    }
  }

  /// The state of a set of targets, followed through free edges.
  std::int32_t add(Set targets) {
    ++stamp_;
    Set reached;
    while (!targets.empty()) {
      const std::int32_t state = targets.back();
      targets.pop_back();
      std::uint32_t& seen = seen_[static_cast<std::size_t>(state)];
      if (seen == stamp_) continue;
      seen = stamp_;
      bool matters = state == 1;
      each_edge(state, [&](const Nfa::Edge& edge) {
        if (edge.kind == Nfa::EdgeKind::free) {
          targets.push_back(edge.target);
        } else {
          matters = true;
        }
      });
      if (matters) reached.push_back(state);
    }
    std::sort(reached.begin(), reached.end());
    const auto [place, is_new] = known_.try_emplace(std::move(reached), -1);
    if (is_new) {
      if (states_.size() >= kMaxProgramStates) {
        throw Error(ErrorCode::bad_input,
                    fmt::format("the constraint needs more than {} states", kMaxProgramStates))
            .hint("make it smaller: fewer alternatives, smaller counts");
      }
      place->second = static_cast<std::int32_t>(states_.size());
      LooseState made;
      made.accepts = std::binary_search(place->first.begin(), place->first.end(), 1);
      made.rule = rule_;
      states_.push_back(std::move(made));
      pending_.push_back(&place->first);
      order_.push_back(place->second);
      steps_.spend(place->first.size() + 16);
    }
    return place->second;
  }

  void expand(const Set& set, std::size_t state) {
    std::vector<Nfa::Edge> bytes;
    std::map<std::int32_t, Set> calls;
    for (const std::int32_t member : set) {
      each_edge(member, [&](const Nfa::Edge& edge) {
        if (edge.kind == Nfa::EdgeKind::bytes) bytes.push_back(edge);
        if (edge.kind == Nfa::EdgeKind::call) calls[edge.rule].push_back(edge.target);
      });
    }
    for (auto& [rule, targets] : calls) {
      const std::int32_t returns = add(std::move(targets));
      states_[state].calls.push_back({-1, returns, rule});
    }
    expand_bytes(bytes, state);
  }

  void expand_bytes(const std::vector<Nfa::Edge>& bytes, std::size_t state) {
    std::vector<Set> targets(256);
    for (const Nfa::Edge& edge : bytes) {
      for (std::size_t byte = edge.low; byte <= edge.high; ++byte) {
        if (available_[byte]) targets[byte].push_back(edge.target);
      }
      steps_.spend(std::uint64_t{1} + edge.high - edge.low);
    }
    for (std::size_t byte = 0; byte < 256;) {
      std::size_t end = byte + 1;
      while (end < 256 && targets[end] == targets[byte]) ++end;
      if (!targets[byte].empty()) {
        const std::int32_t target = add(targets[byte]);
        auto& edges = states_[state].edges;
        if (!edges.empty() && edges.back().target == target && edges.back().high + 1U == byte) {
          edges.back().high = static_cast<std::uint8_t>(end - 1);
        } else {
          edges.push_back(
              {static_cast<std::uint8_t>(byte), static_cast<std::uint8_t>(end - 1), target});
        }
      }
      byte = end;
    }
  }

  const Nfa& nfa_;
  std::int32_t rule_;
  const std::bitset<256>& available_;
  CompileSteps& steps_;
  std::vector<LooseState>& states_;
  std::unordered_map<Set, std::int32_t, SetHash> known_;
  std::vector<const Set*> pending_;  // keys of known_
  std::vector<std::int32_t> order_;
  std::size_t done_ = 0;
  std::vector<std::uint32_t> seen_;
  std::uint32_t stamp_ = 0;
};

}  // namespace

void CompileSteps::spend(std::uint64_t count) {
  spent_ += count;
  if (spent_ > kMaxCompileSteps) {
    throw Error(ErrorCode::bad_input,
                fmt::format("the constraint takes more than {} steps to compile", kMaxCompileSteps))
        .hint("make it smaller: fewer alternatives, smaller counts");
  }
}

void determinize(const Nfa& nfa, std::int32_t rule, const std::bitset<256>& available,
                 CompileSteps& steps, std::vector<LooseState>& states) {
  Determinizer(nfa, rule, available, steps, states).run();
}

}  // namespace tenon::text::grammar
