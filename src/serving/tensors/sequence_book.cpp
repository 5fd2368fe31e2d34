#include "serving/tensors/sequence_book.h"

#include <algorithm>

#include "base/error.h"

namespace tenon::serving {
namespace {

bool is_none(const SequenceId& id) {
  const auto* number = std::get_if<std::uint64_t>(&id);
  return number != nullptr ? *number == 0 : std::get<std::string>(id).empty();
}

std::string text_of(const SequenceId& id) {
  const auto* number = std::get_if<std::uint64_t>(&id);
  return number != nullptr ? std::to_string(*number) : std::get<std::string>(id).substr(0, 128);
}

}  // namespace

void SequenceBook::close(std::uint64_t sequence) {
  State& state = sequences_.at(sequence);
  if (!state.closed) open_.erase(state.id);
  state.closed = true;
  settle(sequence);
}

// An open one without requests is idle, a closed one is over.
void SequenceBook::settle(std::uint64_t sequence) {
  const State& state = sequences_.at(sequence);
  idle_since_.erase(sequence);
  if (state.requests > 0) return;
  if (!state.closed) {
    idle_since_[sequence] = state.last;
    return;
  }
  sequences_.erase(sequence);
  over_.push_back(sequence);
}

std::uint64_t SequenceBook::enter(const SequenceId& id, bool start, bool end,
                                  const std::string& model, TimePoint now) {
  if (is_none(id))
    bad_input("inference request to model '{}' must specify a non-zero or non-empty correlation ID",
              model);
  auto found = open_.find(id);
  if (found == open_.end() && !start)
    bad_input(
        "inference request for sequence {} to model '{}' must specify the START flag on the "
        "first request of the sequence",
        text_of(id), model);
  if (start) {
    if (found != open_.end()) close(found->second);
    found = open_.emplace(id, ++last_).first;
    sequences_[last_].id = id;
  }
  const std::uint64_t sequence = found->second;
  State& state = sequences_.at(sequence);
  ++state.requests;
  state.last = now;
  settle(sequence);
  if (end) close(sequence);
  return sequence;
}

void SequenceBook::leave(std::uint64_t sequence, TimePoint now) {
  State& state = sequences_.at(sequence);
  --state.requests;
  state.last = now;
  settle(sequence);
}

std::vector<std::uint64_t> SequenceBook::collect(TimePoint now) {
  std::vector<std::uint64_t> idle;
  for (const auto& [sequence, since] : idle_since_) {
    if (now - since >= idle_) idle.push_back(sequence);
  }
  for (const std::uint64_t sequence : idle) close(sequence);
  return std::exchange(over_, {});
}

std::optional<TimePoint> SequenceBook::next() const {
  std::optional<TimePoint> first;
  for (const auto& [sequence, since] : idle_since_) {
    if (!first || since + idle_ < *first) first = since + idle_;
  }
  return first;
}

}  // namespace tenon::serving
