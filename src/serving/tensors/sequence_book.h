// The sequences of a model: which have begun, which go on, which were left idle.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "serving/tensors/batch_scheduler.h"

namespace tenon::serving {

using SequenceId = std::variant<std::uint64_t, std::string>;

/// One thread at a time; knows no clock of its own.
class SequenceBook {
 public:
  explicit SequenceBook(microseconds idle) : idle_(idle) {}

  /// The number of the sequence that a request belongs to; a start begins a new one, also under an
  /// id that is in use. Error(bad_input), in Triton's words: no id, or no start at the first
  /// request.
  std::uint64_t enter(const SequenceId& id, bool start, bool end, const std::string& model,
                      TimePoint now);
  /// A request that entered has been answered, or never will be.
  void leave(std::uint64_t sequence, TimePoint now);
  /// Those that are over and have no request left, each told once: ended, replaced, or idle.
  std::vector<std::uint64_t> collect(TimePoint now);
  /// When the next one has been idle too long.
  std::optional<TimePoint> next() const;
  std::size_t size() const { return sequences_.size(); }

 private:
  struct State {
    SequenceId id;
    std::int64_t requests = 0;  // that have not been answered
    bool closed = false;        // takes no more
    TimePoint last;
  };
  void close(std::uint64_t sequence);
  void settle(std::uint64_t sequence);

  microseconds idle_;
  std::map<SequenceId, std::uint64_t> open_;
  std::map<std::uint64_t, State> sequences_;
  std::map<std::uint64_t, TimePoint> idle_since_;  // open ones without a request
  std::vector<std::uint64_t> over_;
  std::uint64_t last_ = 0;
};

}  // namespace tenon::serving
