#include "checkpoint/state_dict.h"

#include <algorithm>
#include <array>

#include <fmt/ranges.h>

#include "base/error.h"
#include "checkpoint/weight_map.h"

namespace tenon::checkpoint {
namespace {

using Kind = PickleValue::Kind;

constexpr int kMaxDepth = 16;
// Keys under which trainers store the weights, when other dicts hold tensors too.
constexpr std::array<std::string_view, 6> kUsualKeys = {"state_dict", "model_state_dict", "model",
                                                        "module",     "params",           "net"};

bool holds_tensors(const PickleValue& value) {
  if (value.kind != Kind::dict) return false;
  for (std::size_t i = 1; i < value.items.size(); i += 2) {
    if (value.items[i]->kind == Kind::tensor) return true;
  }
  return false;
}

struct Candidate {
  std::string_view key;
  const PickleValue* value;
};

// The entries of `dict` that hold tensors, or dicts only when there are none.
std::vector<Candidate> candidates_in(const PickleValue& dict) {
  std::vector<Candidate> with_tensors;
  std::vector<Candidate> with_dicts;
  for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const PickleValue& value = *dict.items[i + 1];
    if (value.kind != Kind::dict || value.items.empty()) continue;
    const std::string_view key =
        dict.items[i]->kind == Kind::text ? dict.items[i]->text : std::string_view("(no text)");
    (holds_tensors(value) ? with_tensors : with_dicts).push_back({key, &value});
  }
  return with_tensors.empty() ? with_dicts : with_tensors;
}

const PickleValue& choose(const std::vector<Candidate>& candidates) {
  if (candidates.empty()) {
    bad_input("holds no tensors; a state dict (a dict of names and tensors) was expected");
  }
  if (candidates.size() == 1) return *candidates[0].value;
  for (const std::string_view usual : kUsualKeys) {
    for (const Candidate& candidate : candidates) {
      if (candidate.key == usual) return *candidate.value;
    }
  }
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < std::min<std::size_t>(candidates.size(), 8); ++i) {
    keys.push_back(shown_name(candidates[i].key));
  }
  Error error(ErrorCode::bad_input, fmt::format("holds {} dicts that could be the weights ({})",
                                                candidates.size(), fmt::join(keys, ", ")));
  throw error.hint("save the one that is meant as a file of its own");
}

class Collector {
 public:
  void collect(const PickleValue& dict, const std::string& prefix, int depth) {
    if (depth > kMaxDepth) bad_input("state dicts are nested deeper than {}", kMaxDepth);
    for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
      // Shared dicts can make a small file spell out without end.
      if (++steps_ > 2 * kMaxTensors) bad_input("state dicts hold more than {} items", steps_ - 1);
      const PickleValue& value = *dict.items[i + 1];
      if (value.kind != Kind::tensor && value.kind != Kind::dict) continue;
      if (dict.items[i]->kind != Kind::text) continue;
      const std::string name = prefix + std::string(dict.items[i]->text);
      check_tensor_name(name);
      if (value.kind == Kind::dict) {
        collect(value, name + ".", depth + 1);
      } else {
        tensors_.emplace_back(name, &value);
      }
    }
  }
  NamedTensors take() { return std::move(tensors_); }

 private:
  NamedTensors tensors_;
  std::size_t steps_ = 0;
};

}  // namespace

NamedTensors find_state_dict(const PickleValue& root) {
  const PickleValue* dict = &root;
  for (int depth = 0; !holds_tensors(*dict); ++depth) {
    if (dict->kind != Kind::dict || depth == kMaxDepth) {
      bad_input("holds a {} where a dict of names and tensors was expected",
                pickle_kind_name(dict->kind));
    }
    dict = &choose(candidates_in(*dict));
  }
  Collector collector;
  collector.collect(*dict, "", 0);
  return collector.take();
}

}  // namespace tenon::checkpoint
