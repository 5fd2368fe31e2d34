// What a text engine tells of its load, and of how late it was.
#include "serving/batching/text_engine.h"

namespace tenon::serving {

TextMetrics TextEngine::metrics() const {
  const std::lock_guard lock(mutex_);
  TextMetrics metrics = published_;
  metrics.rejected = rejected_;
  metrics.lateness = lateness_;
  return metrics;
}

TextLoad TextEngine::load() const {
  const TextMetrics metrics = this->metrics();
  TextLoad load;
  load.running = metrics.running;
  load.waiting = metrics.waiting;
  load.cache_usage = metrics.cache_usage;
  load.preemptions = metrics.preemptions;
  load.prompt_tokens = metrics.prompt_tokens;
  load.generated_tokens = metrics.generated_tokens;
  load.cached_tokens = metrics.cached_tokens;
  return load;
}

void TextEngine::count_late(double seconds) {
  const std::lock_guard lock(mutex_);
  lateness_.add(seconds);
}

}  // namespace tenon::serving
