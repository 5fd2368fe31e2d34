// Automaton: what a program can have come to after a text, with its stacks; grows as it is walked.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "text/grammar/program.h"

namespace tenon::text::grammar {

using TokenMask = std::vector<std::uint64_t>;  ///< bit id % 64 of word id / 64: the id is allowed

/// States are sets of (program state, stack) and are made when a walk first comes to them. Stacks
/// share their lower frames. One thread at a time.
class Automaton {
 public:
  static constexpr std::int32_t kDead = -1;
  static constexpr std::int32_t kBottom = 0;   ///< the frame below the root rule
  static constexpr std::int32_t kUnknown = 1;  ///< below it nothing is known
  static constexpr std::size_t kMaxConfigs = 1024;

  struct Frame {
    std::int32_t returns;
    std::int32_t below;
    bool operator==(const Frame&) const = default;
  };
  struct Config {
    std::int32_t state;  ///< has byte edges
    std::int32_t frame;
    auto operator<=>(const Config&) const = default;
  };
  struct State {
    std::vector<Config> configs;  ///< sorted
    bool complete = false;        ///< the text so far is a whole one
    bool escapes = false;         ///< what stands below kUnknown may go on from here
    std::unique_ptr<std::array<std::int32_t, 256>> next;  ///< kUnset where not walked yet
    std::shared_ptr<const TokenMask> mask, first_mask;    ///< for whoever computes them
  };

  explicit Automaton(std::shared_ptr<const Program> program);

  /// After no text.
  std::int32_t start();
  /// After one byte more, or kDead. Error(bad_input) when a text can be read in more than
  /// kMaxConfigs ways.
  std::int32_t step(std::int32_t state, std::uint8_t byte);
  /// The state of one configuration alone.
  std::int32_t single(Config config);
  /// A state of another automaton over the same program.
  std::int32_t adopt(const Automaton& other, std::int32_t state);
  /// Follows what can be read from a program state on, with the errors of `step`.
  void probe(std::int32_t program_state);

  State& at(std::int32_t state) { return states_[static_cast<std::size_t>(state)]; }
  const State& at(std::int32_t state) const { return states_[static_cast<std::size_t>(state)]; }
  const Program& program() const { return *program_; }
  /// Memory in use, masks included that were counted with `count_bytes`.
  std::size_t bytes() const { return bytes_; }
  void count_bytes(std::size_t bytes) { bytes_ += bytes; }
  /// Grows with the work of steps that were not known yet, by about one a nanosecond.
  std::uint64_t work() const { return work_; }

 private:
  static constexpr std::int32_t kUnset = -2;

  struct Hash {
    std::size_t operator()(const Frame& frame) const noexcept;
  };
  std::int32_t push(Frame frame);
  void reach(Config config);
  std::int32_t intern();
  void forget();

  std::shared_ptr<const Program> program_;
  std::vector<Frame> frames_;
  std::unordered_map<Frame, std::int32_t, Hash> known_frames_;
  std::vector<State> states_;
  std::unordered_multimap<std::size_t, std::int32_t> known_states_;  // by hash
  std::size_t bytes_ = 0;
  std::uint64_t work_ = 0;
  // The state in the making.
  std::vector<Config> open_, visited_, reached_;
  bool complete_ = false;
  bool escapes_ = false;
};

}  // namespace tenon::text::grammar
