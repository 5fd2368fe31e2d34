// The evidence of a build: the engine beside the reference run of its source.
#pragma once

#include <string>

#include "build_memory.h"
#include "bundle/bundle.h"
#include "command.h"
#include "model_source.h"

namespace tenon::apps {

/// Prompts as token ids for comparisons: real text through the model's tokenizer, else seeded ids.
std::vector<std::vector<std::int32_t>> verification_prompts(const bundle::Files& files,
                                                            std::int64_t vocabulary,
                                                            std::int64_t tokens);

/// Runs the engines in the unfinished bundle against the reference run of `source` and returns the
/// report, within the memory given. Error(check_failed) when the budget is exceeded: then no bundle
/// is written.
Json prove(const ModelSource& source, const bundle::Writer& writer, const bundle::Engines& engines,
           const bundle::Contents& contents, const std::string& budget, std::int64_t tokens,
           const BuildMemory& memory, const Common& common);

}  // namespace tenon::apps
