#include "verification.h"

#include <array>

#include "base/error.h"
#include "model.h"
#include "text/tokenizer.h"
#include "verify/comparison.h"
#include "verify/parts.h"

namespace tenon::apps {
namespace {

// Prose, code, numbers and other scripts, so that a fault that only some tokens show is met.
constexpr std::array kPassages = {
    "The harbour lay quiet in the early light. A single boat moved out past the mole, its engine "
    "barely audible over the gulls, "
    "and the fisherman at the tiller raised a hand to the woman on the quay.",
    "def median(values):\n    ordered = sorted(values)\n    middle = len(ordered) // 2\n    if "
    "len(ordered) % 2:\n        return ordered[middle]\n",
    "In 1969, 3 people travelled 384,400 km to the Moon; 2 of them walked on it for 2.5 hours and "
    "collected 21.55 kg of rock.",
    "Le temps est un grand maître, dit-on. Die Zeit heilt alle Wunden. 时间是最好的老师。 Время "
    "лечит.",
};

// Above this the reference run, which is slow, sees fewer tokens unless asked for more.
constexpr std::uint64_t kLargeModel = std::uint64_t{2} << 30;
constexpr std::int64_t kTokens = 64;
constexpr std::int64_t kTokensOfLarge = 8;

std::vector<std::int32_t> seeded_ids(std::int64_t vocabulary, std::int64_t count,
                                     std::uint64_t seed) {
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < count; ++i) {
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    ids.push_back(static_cast<std::int32_t>((seed >> 33) % static_cast<std::uint64_t>(vocabulary)));
  }
  return ids;
}

// The parts of pictures, or a model of plain tensors, on seeded inputs.
Json prove_by_parts(const ModelSource& source, const bundle::Writer& writer,
                    const bundle::Engines& engines, const bundle::Contents& contents,
                    const std::string& budget, const BuildMemory& memory, const Common& common) {
  if (!common.json) fmt::print(stderr, "comparing each part with the reference run\n");
  verify::PartOptions options;
  options.name_a = "reference";
  options.name_b = engines.begin()->second->precision;
  if (!budget.empty()) options.budget = verify::Budget::parse(budget);
  options.comparison.max_bytes = memory.for_values();
  VerificationBackend backend(common.threads);
  const auto both = [&](const std::string& part) -> verify::PartEngines {
    const ReferencePart reference = compile_reference(source, part, memory, common.threads);
    const auto candidate = writer.trial(*engines.at(part));
    backend.watch(reference, *candidate, memory);
    return {reference.engine, candidate};
  };
  const auto sizes = verify::picture_sizes(contents.files);
  return verify::to_json(verify::prove_parts(source.parts(), both, sizes, options, backend));
}

}  // namespace

std::vector<std::vector<std::int32_t>> verification_prompts(const bundle::Files& files,
                                                            std::int64_t vocabulary,
                                                            std::int64_t tokens) {
  std::vector<std::vector<std::int32_t>> prompts;
  const bool has_tokenizer = files.contains("tokenizer.json") ||
                             files.contains("tokenizer.model") || files.contains("vocab.json");
  if (has_tokenizer) {
    const auto tokenizer = text::load_tokenizer(files);
    for (const char* passage : kPassages) {
      auto ids = tokenizer->encode(passage);
      std::erase_if(ids, [&](std::int32_t id) { return id >= vocabulary; });
      if (static_cast<std::int64_t>(ids.size()) > tokens)
        ids.resize(static_cast<std::size_t>(tokens));
      if (!ids.empty()) prompts.push_back(std::move(ids));
    }
  }
  if (prompts.empty()) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed)
      prompts.push_back(seeded_ids(vocabulary, tokens, seed));
  }
  return prompts;
}

Json prove(const ModelSource& source, const bundle::Writer& writer, const bundle::Engines& engines,
           const bundle::Contents& contents, const std::string& budget, std::int64_t tokens,
           const BuildMemory& memory, const Common& common) {
  const engine::Engine& engine = *engines.begin()->second;
  if (source.draws() || engine.state.layers == 0)
    return prove_by_parts(source, writer, engines, contents, budget, memory, common);
  const auto candidate = writer.trial(engine);
  const bool large = candidate->weight_bytes() > kLargeModel;
  if (!common.json)
    fmt::print(stderr, "comparing with the reference run{}\n",
               large ? " (a large model: this takes minutes)" : "");
  const ReferencePart reference = compile_reference(source, bundle::kModel, memory, common.threads);
  VerificationBackend backend(common.threads);
  backend.watch(reference, *candidate, memory);
  verify::Subject exact("reference", reference.engine, backend);
  verify::Subject fast(engine.precision, candidate, backend);
  const std::int64_t length = tokens > 0 ? tokens : large ? kTokensOfLarge : kTokens;
  auto prompts = verification_prompts(contents.files, fast.vocabulary(), length);
  if (large && tokens == 0) prompts.resize(1);
  verify::Options options;
  options.max_bytes = memory.for_values();
  // Experiments build the model again, each time whole and in memory.
  if (reference.in_file.empty()) options.source = source.checkpoint();
  const verify::Budget limits = budget.empty()
                                    ? verify::Budget::between(*reference.engine, *candidate)
                                    : verify::Budget::parse(budget);
  const verify::Report report = verify::compare(exact, fast, prompts, limits, options);
  if (report.passed) return verify::to_json(report);
  std::string message = "the engine does not answer like its source";
  for (const auto& violation : report.violations) message += "; " + violation;
  if (report.first_departure) {
    message += fmt::format("; first departure: {} in {}: {}", report.first_departure->value,
                           report.first_departure->module, report.first_departure->reason);
  }
  Error error(ErrorCode::check_failed, message);
  throw error.hint("choose a finer --precision, or a wider --budget; no bundle was written");
}

}  // namespace tenon::apps
