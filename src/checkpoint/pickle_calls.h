// What the calls that a pickle asks for would have made, as plain values.
#pragma once

#include <deque>
#include <vector>

#include "checkpoint/pickle.h"
#include "checkpoint/pickle_names.h"

namespace tenon::checkpoint {

inline constexpr std::size_t kMaxPickleValues = std::size_t{1} << 20;

using PickleItems = std::vector<const PickleValue*>;

/// Owns the values of one pickle and bounds them: both their number and what containers hold in
/// all, as a file could otherwise put one value into many lists.
class PickleHeap {
 public:
  PickleValue* make(PickleValue::Kind kind);
  void extend(PickleValue* container, const PickleItems& items);
  /// The values, which stay where they are.
  std::deque<PickleValue> take() { return std::move(values_); }

 private:
  std::deque<PickleValue> values_;
  std::size_t held_ = 0;
};

/// The result of a call to a name of this role; Error(bad_input) when the arguments do not fit.
PickleValue* call_of(PickleHeap& heap, PickleRole role, const PickleItems& arguments);
/// The storage that a persistent id names.
PickleValue* storage_of(PickleHeap& heap, const PickleValue& id);

}  // namespace tenon::checkpoint
