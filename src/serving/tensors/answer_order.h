// Holds answers back until all that came before them have left.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace tenon::serving {

/// One thread at a time. Ids are expected in the order in which answers leave.
template <typename Answer>
class AnswerOrder {
 public:
  void expect(std::uint64_t id) { waiting_.emplace(id, std::nullopt); }
  /// Nobody waits for this one any more, or it has left by another way.
  void forget(std::uint64_t id) { waiting_.erase(id); }
  void put(std::uint64_t id, Answer answer) { waiting_[id] = std::move(answer); }
  /// Those that may leave now, in order.
  std::vector<Answer> take() {
    std::vector<Answer> ready;
    while (!waiting_.empty() && waiting_.begin()->second) {
      ready.push_back(std::move(*waiting_.begin()->second));
      waiting_.erase(waiting_.begin());
    }
    return ready;
  }

 private:
  std::map<std::uint64_t, std::optional<Answer>> waiting_;
};

}  // namespace tenon::serving
