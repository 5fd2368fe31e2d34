// Matchers over one shared automaton, which is replaced when it has grown large.
#include "text/grammar/constraint.h"

#include <algorithm>
#include <limits>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "text/grammar/token_masks.h"
#include "text/tokenizer/utf8.h"

namespace tenon::text::grammar {
namespace {

constexpr std::size_t kMaxAutomaton = std::size_t{48} << 20;
constexpr std::uint64_t kMaxProbeWork = 300'000'000;

}  // namespace

class ConstraintState {
 public:
  ConstraintState(Grammar grammar, std::shared_ptr<const TokenTrie> trie)
      : tokens(std::move(trie)),
        program(std::make_shared<const Program>(
            compile(std::move(grammar), tokens->available_bytes()))),
        masks(program, tokens) {
    refresh();
    auto checker = std::make_unique<Automaton>(program);
    std::uint64_t work = 0;
    for (std::size_t i = 0; i < program->states.size(); ++i) {
      if (checker->bytes() > kMaxAutomaton) checker = std::make_unique<Automaton>(program);
      const std::uint64_t before = checker->work();
      checker->probe(static_cast<std::int32_t>(i));
      work += checker->work() - before;
      if (work > kMaxProbeWork) {
        throw Error(ErrorCode::bad_input, "the grammar can be read in too many ways at once")
            .hint("rules that begin alike should share that beginning");
      }
    }
  }

  void refresh() { current = std::make_shared<Automaton>(program); }

  /// Moves a position to an automaton with room. Others that stand in the old one keep it alive.
  void make_room(std::shared_ptr<Automaton>& automaton, std::int32_t& state) {
    if (automaton == current && current->bytes() > kMaxAutomaton) refresh();
    if (automaton == current) return;
    state = current->adopt(*automaton, state);
    automaton = current;
  }

  std::shared_ptr<const TokenTrie> tokens;
  std::shared_ptr<const Program> program;
  std::mutex mutex;  // guards all below
  TokenMasks masks;
  std::shared_ptr<Automaton> current;
};

Constraint::Constraint(Grammar grammar, std::shared_ptr<const TokenTrie> tokens)
    : state_(std::make_shared<ConstraintState>(std::move(grammar), std::move(tokens))) {}

std::size_t Constraint::vocabulary() const { return state_->tokens->size(); }

std::size_t Constraint::bytes() const {
  const std::lock_guard lock(state_->mutex);
  const Program& program = *state_->program;
  return state_->current->bytes() + state_->masks.bytes() +
         program.states.size() * sizeof(Program::State) +
         program.edges.size() * sizeof(Program::ByteEdge) +
         program.calls.size() * sizeof(Program::Call);
}

Matcher::Matcher(const Constraint& constraint) : shared_(constraint.state_) {
  const std::lock_guard lock(shared_->mutex);
  automaton_ = shared_->current;
  state_ = automaton_->start();
}

bool Matcher::accept(std::int32_t id) {
  std::string_view text = shared_->tokens->text(id);
  if (at_start_ && shared_->tokens->strips_first_space() && text.starts_with(' ')) {
    text.remove_prefix(1);
    // Alone it writes nothing: some tokenizers begin so.
    if (text.empty() && is_alive()) {
      at_start_ = false;
      return true;
    }
  }
  if (text.empty()) {
    state_ = Automaton::kDead;
    return false;
  }
  return accept_text(text);
}

bool Matcher::accept_text(std::string_view bytes) {
  const std::lock_guard lock(shared_->mutex);
  shared_->make_room(automaton_, state_);
  for (const char c : bytes) state_ = automaton_->step(state_, static_cast<std::uint8_t>(c));
  if (!bytes.empty()) at_start_ = false;
  return state_ != Automaton::kDead;
}

bool Matcher::is_alive() const { return state_ != Automaton::kDead; }

bool Matcher::is_complete() const {
  const std::lock_guard lock(shared_->mutex);
  return is_alive() && automaton_->at(state_).complete;
}

bool Matcher::is_finished() const {
  const std::lock_guard lock(shared_->mutex);
  return !is_alive() || automaton_->at(state_).configs.empty();
}

std::vector<std::uint64_t> Matcher::mask() const {
  if (!is_alive()) return TokenMask((shared_->tokens->size() + 63) / 64);
  const std::lock_guard lock(shared_->mutex);
  return *shared_->masks.mask(*automaton_, state_, at_start_);
}

void Matcher::apply(std::span<const std::int32_t> end_ids, std::span<float> scores) const {
  constexpr float kRemoved = -std::numeric_limits<float>::infinity();
  std::shared_ptr<const TokenMask> allowed;
  bool complete = false;
  if (is_alive()) {
    const std::lock_guard lock(shared_->mutex);
    allowed = shared_->masks.mask(*automaton_, state_, at_start_);
    complete = automaton_->at(state_).complete;
  }
  std::vector<std::pair<std::size_t, float>> ends;
  for (const std::int32_t id : end_ids) {
    const auto place = static_cast<std::size_t>(id);
    if (id >= 0 && place < scores.size()) ends.emplace_back(place, scores[place]);
  }
  for (std::size_t word = 0; word * 64 < scores.size(); ++word) {
    const std::uint64_t bits = allowed != nullptr && word < allowed->size() ? (*allowed)[word] : 0;
    if (bits == ~std::uint64_t{0}) continue;
    const std::size_t end = std::min(scores.size(), word * 64 + 64);
    for (std::size_t id = word * 64; id < end; ++id) {
      if ((bits >> (id % 64) & 1) == 0) scores[id] = kRemoved;
    }
  }
  for (const auto& [place, score] : ends) scores[place] = complete ? score : kRemoved;
}

std::string Matcher::forced_text(std::size_t limit) const {
  std::string text;
  if (!is_alive()) return text;
  const std::lock_guard lock(shared_->mutex);
  Automaton walked(shared_->program);
  std::int32_t at = walked.adopt(*automaton_, state_);
  while (text.size() < limit && !walked.at(at).complete) {
    int only = -1;
    for (const Automaton::Config& config : walked.at(at).configs) {
      const Program::State& state = walked.program().states[static_cast<std::size_t>(config.state)];
      for (std::uint32_t i = 0; i < state.edge_count && only != 256; ++i) {
        const auto& edge = walked.program().edges[state.first_edge + i];
        const bool same = edge.low == edge.high && (only < 0 || only == edge.low);
        only = same ? edge.low : 256;
      }
    }
    if (only < 0 || only == 256) break;
    text.push_back(static_cast<char>(only));
    at = walked.step(at, static_cast<std::uint8_t>(only));
  }
  while (!text.empty() && !is_valid_utf8(text)) text.pop_back();
  return text;
}

}  // namespace tenon::text::grammar
