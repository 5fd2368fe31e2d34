// Walks of the token trie, in which dead branches are skipped whole.
#include "text/grammar/token_masks.h"

#include <utility>

#include "base/error.h"

namespace tenon::text::grammar {
namespace {

constexpr std::size_t kMaxScratch = std::size_t{32} << 20;
constexpr std::uint64_t kMaxWork = 1'000'000'000;  // for one walk

void allow(TokenMask& mask, std::int32_t id) {
  mask[static_cast<std::size_t>(id) / 64] |= std::uint64_t{1} << (id % 64);
}

}  // namespace

void TokenMasks::walk(Automaton& automaton, std::int32_t state, Interval interval, TokenMask& mask,
                      std::vector<Interval>* depends) {
  const auto& nodes = tokens_->nodes();
  const std::size_t parent_depth = nodes[interval.begin].depth - std::size_t{1};
  // The bytes from the root to the parent of the first node.
  path_.assign(parent_depth + 1, Automaton::kDead);
  left_.assign(parent_depth + 1, 0);
  std::vector<std::uint8_t> bytes(parent_depth);
  for (std::uint32_t node = nodes[interval.begin].parent; nodes[node].depth > 0;
       node = nodes[node].parent) {
    bytes[nodes[node].depth - std::size_t{1}] = nodes[node].byte;
  }
  path_[0] = state;
  for (std::size_t i = 0; i < parent_depth; ++i) path_[i + 1] = automaton.step(path_[i], bytes[i]);

  const std::uint64_t work = automaton.work();
  for (std::uint32_t i = interval.begin; i < interval.end;) {
    if (automaton.work() - work > kMaxWork) {
      throw Error(ErrorCode::bad_input, "the grammar is too ambiguous to be followed")
          .hint("rules that begin alike should share that beginning");
    }
    const TokenTrie::Node& node = nodes[i];
    const std::size_t above = node.depth - std::size_t{1};
    const std::int32_t next = automaton.step(path_[above], node.byte);
    if (next == Automaton::kDead) {
      if (depends != nullptr && left_[above] != 0) {
        if (!depends->empty() && depends->back().end == i) {
          depends->back().end = node.next;
        } else {
          depends->push_back({i, node.next});
        }
      }
      i = node.next;
      continue;
    }
    for (std::uint32_t t = node.first_token; t < nodes[i + 1].first_token; ++t) {
      allow(mask, tokens_->tokens()[t]);
    }
    if (path_.size() <= node.depth) {
      path_.resize(node.depth + std::size_t{1});
      left_.resize(node.depth + std::size_t{1});
    }
    path_[node.depth] = next;
    left_[node.depth] = left_[above] != 0 || automaton.at(next).escapes ? 1 : 0;
    ++i;
  }
}

const TokenMasks::Place& TokenMasks::place(std::int32_t program_state) {
  if (const auto known = places_.find(program_state); known != places_.end()) return known->second;
  if (bytes_ > kMaxBytes) {
    places_.clear();
    bytes_ = 0;
  }
  if (scratch_ == nullptr || scratch_->bytes() > kMaxScratch) {
    scratch_ = std::make_unique<Automaton>(program_);
  }
  Place made;
  made.allowed.resize((tokens_->size() + 63) / 64);
  if (tokens_->node_count() > 1) {
    walk(*scratch_, scratch_->single({program_state, Automaton::kUnknown}),
         {1, static_cast<std::uint32_t>(tokens_->node_count())}, made.allowed, &made.depends);
  }
  bytes_ += made.allowed.size() * 8 + made.depends.size() * sizeof(Interval) + 128;
  return places_.emplace(program_state, std::move(made)).first->second;
}

std::shared_ptr<const TokenMask> TokenMasks::mask(Automaton& automaton, std::int32_t state,
                                                  bool first) {
  first = first && tokens_->strips_first_space();
  auto& kept = first ? automaton.at(state).first_mask : automaton.at(state).mask;
  if (kept != nullptr) return kept;
  auto made = std::make_shared<TokenMask>((tokens_->size() + 63) / 64);
  const std::vector<Automaton::Config> configs = automaton.at(state).configs;
  for (const Automaton::Config& config : configs) {
    const Place& decided = place(config.state);
    for (std::size_t i = 0; i < made->size(); ++i) (*made)[i] |= decided.allowed[i];
    if (config.frame == Automaton::kBottom) continue;
    const std::int32_t alone = automaton.single(config);
    for (const Interval& interval : decided.depends) {
      walk(automaton, alone, interval, *made, nullptr);
    }
  }
  if (first) {
    // A token that begins with a space is read without it.
    for (std::size_t id = 0; id < tokens_->size(); ++id) {
      const std::string_view text = tokens_->text(static_cast<std::int32_t>(id));
      if (!text.starts_with(' ')) continue;
      (*made)[id / 64] &= ~(std::uint64_t{1} << (id % 64));
      std::int32_t at = state;
      for (const char c : text.substr(1)) at = automaton.step(at, static_cast<std::uint8_t>(c));
      if (at != Automaton::kDead) allow(*made, static_cast<std::int32_t>(id));
    }
  }
  automaton.count_bytes(made->size() * 8);
  (first ? automaton.at(state).first_mask : automaton.at(state).mask) = made;
  return made;
}

}  // namespace tenon::text::grammar
