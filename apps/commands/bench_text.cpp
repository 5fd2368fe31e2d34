// Prefill and decode of a decoder, beside the machine's arithmetic and memory.
#include <fmt/format.h>

#include "commands/bench.h"
#include "operations.h"
#include "text_model.h"

namespace tenon::apps {
namespace {

class Text final : public BenchSubject {
 public:
  Text(Model model, const BenchOptions& options, backend::Backend& backend)
      : options_(options),
        model_(std::move(model), backend,
               (options.prompt_tokens + options.new_tokens + 2 * kernels::kPageTokens) *
                   options.batch) {}

  // One round: prefill of every sequence, then steps of the whole batch.
  void round(bool counted) override {
    session::DecoderSession& session = model_.session();
    std::vector<session::DecoderSession::Sequence> sequences;
    std::vector<std::vector<std::int32_t>> prompts;
    for (std::int64_t b = 0; b < options_.batch; ++b) {
      sequences.push_back(session.create());
      prompts.emplace_back();
      for (std::int64_t i = 0; i < options_.prompt_tokens; ++i)
        prompts.back().push_back(next_token());
    }
    const auto start = BenchClock::now();
    for (std::size_t b = 0; b < sequences.size(); ++b) {
      const session::DecoderSession::Input input{sequences[b], prompts[b]};
      session.forward(std::span(&input, 1));
    }
    if (counted) prefill_.values.push_back(seconds_since(start));
    for (std::int64_t step = 0; step < options_.new_tokens; ++step) {
      std::vector<std::int32_t> tokens;
      for (std::size_t b = 0; b < sequences.size(); ++b) tokens.push_back(next_token());
      std::vector<session::DecoderSession::Input> inputs;
      for (std::size_t b = 0; b < sequences.size(); ++b)
        inputs.push_back({sequences[b], std::span(tokens).subspan(b, 1)});
      const auto step_start = BenchClock::now();
      session.forward(inputs);
      if (counted) decode_.values.push_back(seconds_since(step_start));
    }
    for (const auto sequence : sequences) session.release(sequence);
  }

  // Bytes of weights that one decode step must read, and operations of one token.
  Json json(const MachineLimits& limits) const override {
    const engine::Engine& engine = *model_.model().engine();
    std::uint64_t matrices = 0;
    double parameters = 0;
    for (const auto& step : engine.steps) {
      if (step.op != "tenon.Linear" && step.op != "MatMul") continue;
      const auto index = engine.values[static_cast<std::size_t>(step.inputs.at(1))].constant;
      if (index < 0) continue;
      const auto& constant = engine.constants[static_cast<std::size_t>(index)];
      matrices += constant.bytes;
      parameters += static_cast<double>(element_count(constant.shape));
    }
    const double prefill =
        static_cast<double>(options_.prompt_tokens * options_.batch) / prefill_.quantile(0.5);
    const double decode = static_cast<double>(options_.batch) / decode_.quantile(0.5);
    const double step_limit = limits.read_bytes_per_s / static_cast<double>(matrices) *
                              static_cast<double>(options_.batch);
    const double prefill_limit = peak_of(limits, engine.precision) / (2 * parameters);
    return {{"subject", model_.model().name},
            {"precision", engine.precision},
            {"isa", engine.isa},
            {"load_s", load_s},
            {"resident_bytes", resident_bytes},
            {"weight_bytes", engine.weight_bytes()},
            {"cache_bytes", model_.session().cache_bytes()},
            {"prompt_tokens", options_.prompt_tokens},
            {"new_tokens", options_.new_tokens},
            {"batch", options_.batch},
            {"prefill_s", prefill_.json()},
            {"prefill_tokens_per_s", prefill},
            {"prefill_limit_tokens_per_s", prefill_limit},
            {"first_token_s", prefill_.json()},
            {"decode_step_s", decode_.json()},
            {"decode_tokens_per_s", decode},
            {"decode_limit_tokens_per_s", step_limit},
            {"decode_bytes_per_step", matrices},
            {"error", model_.model().contents.evidence.is_object()
                          ? model_.model().contents.evidence.value("metrics", Json())
                          : Json()}};
  }

  std::vector<BenchLine> lines(const MachineLimits& limits) const override {
    const Json row = json(limits);
    const auto line = [&](const char* what, const char* speed, const char* limit) {
      const double reached = row.at(speed).get<double>();
      return BenchLine{what, fmt::format("{:.1f} tokens/s", reached),
                       reached / row.at(limit).get<double>()};
    };
    return {line("prefill", "prefill_tokens_per_s", "prefill_limit_tokens_per_s"),
            line("decode", "decode_tokens_per_s", "decode_limit_tokens_per_s")};
  }

  std::vector<std::pair<std::string, session::Executor*>> executors() override {
    return {{bundle::kModel, &model_.session().executor()}};
  }

 private:
  std::int32_t next_token() {
    random_ = random_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<std::int32_t>((random_ >> 33) %
                                     static_cast<std::uint64_t>(model_.session().vocabulary()));
  }

  const BenchOptions& options_;
  mutable TextModel model_;
  std::uint64_t random_ = 1;
  Series prefill_;
  Series decode_;
};

}  // namespace

std::unique_ptr<BenchSubject> bench_text(Model model, const BenchOptions& options,
                                         backend::Backend& backend) {
  return std::make_unique<Text>(std::move(model), options, backend);
}

}  // namespace tenon::apps
