// Steps of sets of configurations, remembered.
#include "text/grammar/automaton.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace tenon::text::grammar {
namespace {

std::size_t mix(std::size_t hash, std::int32_t value) {
  hash = (hash ^ static_cast<std::uint32_t>(value)) * 0x9E3779B97F4A7C15ULL;
  return hash ^ (hash >> 31);
}

}  // namespace

std::size_t Automaton::Hash::operator()(const Frame& frame) const noexcept {
  return mix(mix(1, frame.returns), frame.below);
}

Automaton::Automaton(std::shared_ptr<const Program> program)
    : program_(std::move(program)), frames_({{-1, -1}, {-1, -1}}) {}

std::int32_t Automaton::push(Frame frame) {
  const auto [place, is_new] =
      known_frames_.try_emplace(frame, static_cast<std::int32_t>(frames_.size()));
  if (is_new) {
    frames_.push_back(frame);
    bytes_ += 64;
  }
  return place->second;
}

// Follows calls and ends of rules from one configuration; no rule calls itself before a byte, so
// stacks stay finite, and what was visited is not followed again.
void Automaton::reach(Config config) {
  open_.push_back(config);
  while (!open_.empty()) {
    const Config at = open_.back();
    open_.pop_back();
    if (std::find(visited_.begin(), visited_.end(), at) != visited_.end()) continue;
    if (visited_.size() >= kMaxConfigs) {
      open_.clear();
      forget();
      throw Error(ErrorCode::bad_input,
                  fmt::format("the grammar can be read in more than {} ways at once", kMaxConfigs))
          .hint("rules that begin alike should share that beginning");
    }
    visited_.push_back(at);
    const Program::State& state = program_->states[static_cast<std::size_t>(at.state)];
    if (state.edge_count > 0) reached_.push_back(at);
    for (std::uint32_t i = 0; i < state.call_count; ++i) {
      const Program::Call& call = program_->calls[state.first_call + i];
      open_.push_back({call.start, call.returns < 0 ? at.frame : push({call.returns, at.frame})});
    }
    if (!state.accepts) continue;
    if (at.frame == kBottom) {
      complete_ = true;
    } else if (at.frame == kUnknown) {
      escapes_ = true;
    } else {
      const Frame frame = frames_[static_cast<std::size_t>(at.frame)];
      open_.push_back({frame.returns, frame.below});
    }
  }
}

void Automaton::forget() {
  // Looking up what was visited takes the square.
  work_ += 1 + visited_.size() + visited_.size() * visited_.size() / 8;
  visited_.clear();
  reached_.clear();
  complete_ = escapes_ = false;
}

std::int32_t Automaton::intern() {
  std::sort(reached_.begin(), reached_.end());
  const bool complete = complete_;
  const bool escapes = escapes_;
  std::vector<Config> configs = std::exchange(reached_, {});
  forget();
  if (configs.empty() && !complete && !escapes) return kDead;
  std::size_t hash = complete ? 3 : 5;
  if (escapes) hash += 2;
  for (const Config& config : configs) hash = mix(mix(hash, config.state), config.frame);
  const auto [first, last] = known_states_.equal_range(hash);
  for (auto place = first; place != last; ++place) {
    const State& known = at(place->second);
    if (known.configs == configs && known.complete == complete && known.escapes == escapes) {
      return place->second;
    }
  }
  const auto id = static_cast<std::int32_t>(states_.size());
  bytes_ += sizeof(State) + configs.size() * sizeof(Config) + 64;
  State made;
  made.configs = std::move(configs);
  made.complete = complete;
  made.escapes = escapes;
  states_.push_back(std::move(made));
  known_states_.emplace(hash, id);
  return id;
}

std::int32_t Automaton::start() {
  reach({program_->start, kBottom});
  return intern();
}

std::int32_t Automaton::single(Config config) {
  reached_ = {config};
  return intern();
}

void Automaton::probe(std::int32_t program_state) {
  reach({program_state, kUnknown});
  forget();
}

std::int32_t Automaton::step(std::int32_t state, std::uint8_t byte) {
  if (state == kDead) return kDead;
  if (at(state).next != nullptr) {
    if (const std::int32_t known = (*at(state).next)[byte]; known != kUnset) return known;
  } else {
    at(state).next = std::make_unique<std::array<std::int32_t, 256>>();
    at(state).next->fill(kUnset);
    bytes_ += 1024;
  }
  // By place: following may move the states.
  for (std::size_t i = 0; i < at(state).configs.size(); ++i) {
    const Config config = at(state).configs[i];
    const Program::State& from = program_->states[static_cast<std::size_t>(config.state)];
    const auto* edges = program_->edges.data() + from.first_edge;
    const auto* place = std::lower_bound(
        edges, edges + from.edge_count, byte,
        [](const Program::ByteEdge& edge, std::uint8_t value) { return edge.high < value; });
    if (place == edges + from.edge_count || place->low > byte) continue;
    reach({place->target, config.frame});
  }
  const std::int32_t next = intern();
  (*at(state).next)[byte] = next;
  return next;
}

std::int32_t Automaton::adopt(const Automaton& other, std::int32_t state) {
  if (state == kDead) return kDead;
  std::vector<std::int32_t> mapped(other.frames_.size(), -1);
  mapped[kBottom] = kBottom;
  mapped[kUnknown] = kUnknown;
  std::vector<Config> configs = other.at(state).configs;
  for (Config& config : configs) {
    std::vector<std::int32_t> chain;
    std::int32_t frame = config.frame;
    for (; mapped[static_cast<std::size_t>(frame)] < 0;
         frame = other.frames_[static_cast<std::size_t>(frame)].below) {
      chain.push_back(frame);
    }
    for (; !chain.empty(); chain.pop_back()) {
      const Frame old = other.frames_[static_cast<std::size_t>(chain.back())];
      mapped[static_cast<std::size_t>(chain.back())] =
          push({old.returns, mapped[static_cast<std::size_t>(old.below)]});
    }
    config.frame = mapped[static_cast<std::size_t>(config.frame)];
  }
  reached_ = std::move(configs);
  complete_ = other.at(state).complete;
  escapes_ = other.at(state).escapes;
  return intern();
}

}  // namespace tenon::text::grammar
