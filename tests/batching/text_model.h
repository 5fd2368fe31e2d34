// Engines of small checkpoints and a sink that remembers, for tests and benchmarks of batching.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "models/model.h"
#include "planner/planner.h"
#include "serving/batching/text_engine.h"

namespace tenon::tests {

using Tokens = std::vector<std::int32_t>;

inline std::shared_ptr<const engine::Engine> compiled(const std::filesystem::path& folder,
                                                      const Target& target) {
  graph::Graph graph = models::build(checkpoint::Checkpoint::open(folder));
  planner::CompileOptions options;
  options.target = target;
  options.name = folder.filename().string();
  return planner::compile(graph, options);
}

/// Repeatable prompts.
inline Tokens some_tokens(std::int64_t vocabulary, std::size_t count, std::int32_t seed) {
  Tokens tokens;
  for (std::size_t i = 0; i < count; ++i) {
    seed = (seed * 75 + 74) % 65537;
    tokens.push_back(seed % static_cast<std::int32_t>(vocabulary));
  }
  return tokens;
}

/// Remembers the answer, and that it came once.
class Answer : public serving::TextSink {
 public:
  void token(const pipelines::TokenEvent& event) override {
    const std::lock_guard lock(mutex_);
    const auto place = static_cast<std::size_t>(event.sequence);
    if (sequences_.size() <= place) sequences_.resize(place + 1);
    if (event.id >= 0) sequences_[place].ids.push_back(event.id);
    sequences_[place].text += event.text;
    if (event.logprobs != nullptr) sequences_[place].logprobs.push_back(*event.logprobs);
    if (event.finish_reason != nullptr) sequences_[place].finish_reason += event.finish_reason;
    changed_.notify_all();
  }
  void finished(const serving::TextUsage& usage) override {
    const std::lock_guard lock(mutex_);
    usage_ = usage;
    ++ends_;
    changed_.notify_all();
  }
  void failed(const Error& error) override {
    const std::lock_guard lock(mutex_);
    error_ = error.what();
    ++ends_;
    changed_.notify_all();
  }
  bool full() const override { return is_full; }

  /// Blocks until the answer has ended; false after a minute.
  bool wait() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::minutes(1), [&] { return ends_ > 0; });
  }
  bool wait_for_tokens(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::minutes(1), [&] {
      return !sequences_.empty() && sequences_[0].ids.size() >= count;
    });
  }
  std::vector<pipelines::GenerationResult::Sequence> sequences() const {
    const std::lock_guard lock(mutex_);
    return sequences_;
  }
  std::string error() const {
    const std::lock_guard lock(mutex_);
    return error_;
  }
  serving::TextUsage usage() const {
    const std::lock_guard lock(mutex_);
    return usage_;
  }
  int ends() const {
    const std::lock_guard lock(mutex_);
    return ends_;
  }

  std::atomic<bool> is_full = false;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<pipelines::GenerationResult::Sequence> sequences_;
  serving::TextUsage usage_;
  std::string error_;
  int ends_ = 0;
};

}  // namespace tenon::tests
