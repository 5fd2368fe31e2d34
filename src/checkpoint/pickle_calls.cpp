#include "checkpoint/pickle_calls.h"

#include <array>

#include "base/error.h"
#include "checkpoint/weight_map.h"

namespace tenon::checkpoint {

using Kind = PickleValue::Kind;

PickleValue* PickleHeap::make(Kind kind) {
  if (values_.size() == kMaxPickleValues) {
    bad_input("makes more than {} values", kMaxPickleValues);
  }
  PickleValue& value = values_.emplace_back();
  value.kind = kind;
  return &value;
}

void PickleHeap::extend(PickleValue* container, const PickleItems& items) {
  held_ += items.size();
  if (held_ > 2 * kMaxPickleValues) bad_input("holds more than {} items", 2 * kMaxPickleValues);
  container->items.insert(container->items.end(), items.begin(), items.end());
}

namespace {

PickleValue* copy_of(PickleHeap& heap, const PickleValue& value) {
  PickleValue* copy = heap.make(value.kind);
  heap.extend(copy, value.items);
  return copy;
}

// Without arguments, or as Python 2 wrote it, with one list of pairs.
PickleValue* ordered_dict(PickleHeap& heap, const PickleItems& arguments) {
  PickleValue* dict = heap.make(Kind::dict);
  if (arguments.empty()) return dict;
  if (arguments.size() != 1 || arguments[0]->kind != Kind::list) {
    bad_input("its argument is no list of pairs");
  }
  for (const PickleValue* pair : arguments[0]->items) {
    const bool fits =
        (pair->kind == Kind::list || pair->kind == Kind::tuple) && pair->items.size() == 2;
    if (!fits)
      bad_input("its argument holds a {}, a pair was expected", pickle_kind_name(pair->kind));
    heap.extend(dict, pair->items);
  }
  return dict;
}

// (storage, offset, sizes, strides, requires_grad, hooks[, metadata])
PickleValue* tensor(PickleHeap& heap, const PickleItems& arguments) {
  if (arguments.size() < 6 || arguments.size() > 7) {
    bad_input("has {} arguments, 6 or 7 were expected", arguments.size());
  }
  constexpr std::array<Kind, 4> kExpected = {Kind::storage, Kind::integer, Kind::tuple,
                                             Kind::tuple};
  for (std::size_t i = 0; i < kExpected.size(); ++i) {
    if (arguments[i]->kind == kExpected[i]) continue;
    bad_input("its argument {} is a {}, a {} was expected", i, pickle_kind_name(arguments[i]->kind),
              pickle_kind_name(kExpected[i]));
  }
  for (const std::size_t list : {std::size_t{2}, std::size_t{3}}) {
    for (const PickleValue* dim : arguments[list]->items) {
      if (dim->kind != Kind::integer)
        bad_input("its {} are no integers", list == 2 ? "sizes" : "strides");
    }
  }
  PickleValue* made = heap.make(Kind::tensor);
  heap.extend(made, {arguments[0], arguments[1], arguments[2], arguments[3]});
  return made;
}

}  // namespace

PickleValue* call_of(PickleHeap& heap, PickleRole role, const PickleItems& arguments) {
  switch (role) {
    case PickleRole::ordered_dict:
      return ordered_dict(heap, arguments);
    case PickleRole::rebuild_tensor:
      return tensor(heap, arguments);
    case PickleRole::rebuild_parameter:
      if (arguments.empty() || arguments[0]->kind != Kind::tensor) {
        bad_input("its first argument is no tensor");
      }
      return copy_of(heap, *arguments[0]);
    case PickleRole::size:
      if (arguments.size() != 1 || arguments[0]->kind != Kind::tuple) {
        bad_input("its argument is no tuple");
      }
      return copy_of(heap, *arguments[0]);
    case PickleRole::inert:
      return heap.make(Kind::inert);
    case PickleRole::storage:
      break;
  }
  bad_input("a storage is only named, never called");
}

// ('storage', class, key, device, elements[, view of another storage])
PickleValue* storage_of(PickleHeap& heap, const PickleValue& id) {
  const auto& parts = id.items;
  const bool fits = id.kind == Kind::tuple && (parts.size() == 5 || parts.size() == 6) &&
                    parts[0]->kind == Kind::text && parts[0]->text == "storage" &&
                    parts[1]->kind == Kind::global &&
                    pickle_name(parts[1]->integer).role == PickleRole::storage &&
                    parts[2]->kind == Kind::text && parts[4]->kind == Kind::integer &&
                    parts[4]->integer >= 0;
  if (!fits) {
    bad_input("a persistent id is not of the form ('storage', class, key, device, elements)");
  }
  if (parts.size() == 6 && parts[5]->kind != Kind::none) {
    bad_input("storage {} is a view of another, which is not supported",
              shown_name(parts[2]->text));
  }
  PickleValue* storage = heap.make(Kind::storage);
  storage->text = parts[2]->text;
  storage->integer = parts[4]->integer;
  storage->dtype = pickle_name(parts[1]->integer).dtype;
  return storage;
}

}  // namespace tenon::checkpoint
