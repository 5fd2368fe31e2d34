#include "serving/text_served.h"

#include <algorithm>

#include "serving/text_files.h"

namespace tenon::serving {
namespace {

// Room for so many sequences of full length, or as many tokens where the length is not known.
constexpr std::int64_t kSequences = 16;
constexpr std::int64_t kMaxCache = 16384;

TextModel text_model(const ModelParts& parts) {
  TextFiles files = read_text_files(parts.files, parts.name);
  return {parts.engines.find(bundle::kModel)->second, std::move(files.tokenizer),
          std::move(files.chat_template), std::move(files.chat_variables),
          std::move(files.defaults)};
}

TextEngineOptions engine_options(const ModelParts& parts, const ModelOptions& options) {
  const std::int64_t context = parts.engines.find(bundle::kModel)->second->state.context_length;
  TextEngineOptions made;
  made.max_waiting = options.queue;
  made.cache_tokens = options.cache_tokens;
  made.queue_timeout = options.queue_timeout;
  made.batch_invariant = options.batch_invariant;
  if (made.cache_tokens == 0)
    made.cache_tokens = context == 0 ? kMaxCache : std::min(kMaxCache, context * kSequences);
  return made;
}

}  // namespace

TextServed::TextServed(ModelParts parts, const ModelOptions& options)
    : backend_(options.threads),
      engine_(text_model(parts), backend_, engine_options(parts, options)) {
  info_.name = std::move(parts.name);
  info_.version = std::move(parts.version);
  info_.config = std::move(parts.config);
  info_.kind = ModelKind::text;
  info_.limits = {engine_.context_length(), options.queue};
}

}  // namespace tenon::serving
