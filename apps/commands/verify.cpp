// tenon verify: do two models answer alike, or one as its recording says; and if not, what departs
// first.
#include <algorithm>
#include <fstream>

#include <fmt/ranges.h>

#include "backend/cpu/cpu_backend.h"
#include "base/atomic_file.h"
#include "base/error.h"
#include "commands/commands.h"
#include "model.h"
#include "part_loader.h"
#include "serving/embedding_model.h"
#include "text/tokenizer.h"
#include "verification.h"
#include "verify/parts.h"

namespace tenon::apps {
namespace {

struct Options {
  std::string a, b;
  std::string prompts, reference, budget, report, part;
  std::string precision;
  std::optional<double> atol, rtol;
  std::int64_t tokens = 64;
  bool trace = false;
};

verify::Budget limits_of(const Options& options, const verify::Budget& fallback) {
  verify::Budget budget = options.budget.empty() ? fallback : verify::Budget::parse(options.budget);
  if (options.atol || options.rtol) {
    if (options.budget.empty()) budget = {};
    if (options.atol) budget.max_abs = options.atol;
    if (options.rtol) budget.relative_l2 = options.rtol;
  }
  return budget;
}

std::vector<std::vector<std::int32_t>> prompts_of(const Options& options,
                                                  const bundle::Files& files,
                                                  std::int64_t vocabulary) {
  if (options.prompts.empty()) return verification_prompts(files, vocabulary, options.tokens);
  std::ifstream lines(options.prompts);
  if (!lines) bad_input("{}: cannot be read", options.prompts);
  const auto tokenizer = text::load_tokenizer(files);
  std::vector<std::vector<std::int32_t>> prompts;
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) prompts.push_back(tokenizer->encode(line));
  }
  if (prompts.empty()) bad_input("{}: holds no lines", options.prompts);
  return prompts;
}

// An engine of a source: a bundle as it is, anything else by the reference run or in the precision
// asked for.
Model model_of(const std::string& source, const std::string& precision, const Common& common) {
  return load_model(
      source,
      precision.empty() ? Target::reference_run() : Target::native(parse_precision(precision)),
      common.threads);
}

std::optional<checkpoint::Checkpoint> checkpoint_of(const std::string& source) {
  if (detect_source(source) != SourceKind::checkpoint) return std::nullopt;
  return checkpoint::Checkpoint::open(source);
}

bool takes_ids(const engine::Engine& engine) {
  return std::any_of(engine.inputs.begin(), engine.inputs.end(), [&](engine::ValueIndex index) {
    return engine.values[static_cast<std::size_t>(index)].name == "input_ids";
  });
}

// A checkpoint beside a bundle of embeddings is read as that one was.
models::Pooling pooling_for(const std::string& source, const std::string& beside) {
  if (source.empty() || beside.empty() || detect_source(source) != SourceKind::checkpoint ||
      detect_source(beside) != SourceKind::bundle)
    return models::Pooling::none;
  const Json provenance = bundle::open(beside, bundle::Weights::mapped).contents.provenance;
  const Json* conversions = find_field(provenance, "conversions");
  return conversions == nullptr ? models::Pooling::none
                                : models::parse_pooling(get_string(*conversions, "pooling", ""));
}

verify::Report run_recorded_part(const Options& options, const Common& common,
                                 const PartLoader& loader, const verify::Options& how,
                                 backend::Backend& backend) {
  if (loader.draws() && options.part.empty()) {
    fail(ErrorCode::usage, "--reference is of one part: add --part {}",
         fmt::join(loader.parts(), " or "));
  }
  const std::string part = loader.common_parts(loader, options.part).front();
  const auto engine = loader.engine(part);
  verify::TensorSubject subject(loader.name() + " " + part, engine, backend);
  std::optional<verify::TensorSubject> exact;
  if (detect_source(options.a) != SourceKind::bundle && engine->precision != "reference") {
    const PartLoader reference(options.a, Target::reference_run(), common.threads);
    exact.emplace("reference", reference.engine(part), backend);
  }
  return verify::compare_tensors_with_recording(
      subject, options.reference, limits_of(options, verify::Budget::of_tensors(*engine, *engine)),
      how, exact ? &*exact : nullptr);
}

Target target_of(const std::string& precision) {
  return precision.empty() ? Target::reference_run() : Target::native(parse_precision(precision));
}

// Models of several parts, and of plain tensors.
verify::Report run_parts(const Options& options, const Common& common, const PartLoader& a,
                         const verify::Options& how, backend::Backend& backend) {
  if (!options.reference.empty()) {
    const PartLoader loader(options.a, target_of(options.precision), common.threads);
    return run_recorded_part(options, common, loader, how, backend);
  }
  const bool alone = options.b.empty();
  const PartLoader b(alone ? options.a : options.b,
                     target_of(options.precision.empty() ? "fp32" : options.precision),
                     common.threads, pooling_for(options.b, options.a));
  verify::PartOptions parts;
  parts.comparison = how;
  parts.name_a = a.name();
  parts.name_b = b.name();
  if (!options.budget.empty() || options.atol || options.rtol)
    parts.budget = limits_of(options, {});
  const auto both = [&](const std::string& part) -> verify::PartEngines {
    return {a.engine(part), b.engine(part)};
  };
  if (b.has_graphs()) parts.graph_of_b = [&](const std::string& part) { return b.graph(part); };
  return verify::compare_parts(a.common_parts(b, options.part), both,
                               verify::picture_sizes(a.files()), parts, backend);
}

void refuse_lonely_bundle(const Options& options) {
  if (!options.b.empty() || !options.reference.empty() ||
      detect_source(options.a) != SourceKind::bundle)
    return;
  Error error(ErrorCode::usage,
              fmt::format("{}: a bundle needs something to be compared with", options.a));
  throw error.hint("tenon verify CHECKPOINT " + options.a + ", or --reference FILE.npz");
}

verify::Report run(const Options& options, const Common& common, backend::Backend& backend) {
  verify::Options how;
  if (options.trace) how.trace = verify::Trace::always;
  refuse_lonely_bundle(options);
  {
    const models::Pooling pooling = pooling_for(options.a, options.b);
    const PartLoader a(options.a, Target::reference_run(), common.threads, pooling);
    if (a.draws()) return run_parts(options, common, a, how, backend);
    if (!options.part.empty()) fail(ErrorCode::usage, "{} has no parts", options.a);
    if (pooling != models::Pooling::none) return run_parts(options, common, a, how, backend);
    if (const SourceKind kind = detect_source(options.a); kind != SourceKind::checkpoint) {
      const auto engine = a.engine(bundle::kModel);
      const bool tensors = kind == SourceKind::onnx && !takes_ids(*engine);
      if (tensors || serving::gives_embeddings(*engine))
        return run_parts(options, common, a, how, backend);
    }
  }
  if (!options.reference.empty()) {
    const Model model = model_of(options.a, options.precision, common);
    const auto origin = checkpoint_of(options.a);
    how.source = origin ? &*origin : nullptr;
    verify::Subject subject(model.name, model.engine(), backend);
    return verify::compare_with_recording(
        subject, options.reference,
        limits_of(options, verify::Budget::of_precision(model.engine()->precision)), how);
  }
  const bool alone = options.b.empty();
  const Model truth = model_of(options.a, "", common);
  const Model other = model_of(alone ? options.a : options.b,
                               options.precision.empty() ? "fp32" : options.precision, common);
  const auto origin = checkpoint_of(alone ? options.a : options.b);
  how.source = origin ? &*origin : nullptr;
  verify::Subject a(truth.name + " (" + truth.engine()->precision + ")", truth.engine(), backend);
  verify::Subject b(other.name + " (" + other.engine()->precision + ")", other.engine(), backend);
  const auto& files = truth.contents.files.contains("tokenizer_config.json") ? truth.contents.files
                                                                             : other.contents.files;
  return verify::compare(
      a, b, prompts_of(options, files, b.vocabulary()),
      limits_of(options, verify::Budget::between(*truth.engine(), *other.engine())), how);
}

void print_departure(const verify::Departure& first) {
  fmt::print("  first departure: {} ({}, {}, {}), largest magnitude {:.4g}\n  reason: {}\n",
             first.value, first.module, first.op, first.dtype, first.max_abs, first.reason);
}

void print_tensors(const verify::Report& report) {
  fmt::print("{}  {}{}, {} runs\n", report.passed ? "passed" : "FAILED",
             report.part.empty() ? "" : report.part + ": ", report.name_b, report.runs.size());
  for (const auto& output : report.outputs) {
    fmt::print("  {} {}: largest error {:.3g}, relative {:.2e}{}\n", output.output,
               to_string(output.shape), output.max_abs, output.relative,
               output.psnr ? fmt::format(", PSNR {:.1f} dB", *output.psnr) : "");
  }
  fmt::print("  budget {}\n", report.budget.to_string());
  for (const auto& violation : report.violations) fmt::print("  {}\n", violation);
  if (report.first_departure) print_departure(*report.first_departure);
  for (const auto& note : report.notes) fmt::print("  note: {}\n", note);
}

void print(const verify::Report& report) {
  const auto& m = report.metrics;
  if (!report.outputs.empty()) return print_tensors(report);
  if (!report.parts.empty()) {
    fmt::print("{}  {} ({}) against {} ({})\n", report.passed ? "PASSED" : "FAILED", report.name_b,
               report.precision_b, report.name_a, report.precision_a);
    for (const auto& part : report.parts) print_tensors(part);
    return;
  }
  fmt::print("{}  {} against {}, {} positions\n", report.passed ? "PASSED" : "FAILED",
             report.name_b, report.name_a, m.positions);
  fmt::print("  largest logit error {:.3g}, relative {:.2e}\n", m.max_abs, m.relative_l2);
  fmt::print("  KL divergence mean {:.2e}, largest {:.2e}\n", m.mean_kl, m.max_kl);
  fmt::print("  same likeliest token at {:.2f} % of positions, perplexity {:.4g} and {:.4g}\n",
             100 * m.top1_agreement, m.perplexity_a, m.perplexity_b);
  fmt::print("  budget {}\n", report.budget.to_string());
  for (const auto& violation : report.violations) fmt::print("  {}\n", violation);
  if (report.first_departure) print_departure(*report.first_departure);
  for (const auto& note : report.notes) fmt::print("  note: {}\n", note);
}

void verify_models(const Options& options, const Common& common, int& exit_code) {
  if (!options.reference.empty() && !options.b.empty())
    fail(ErrorCode::usage, "give either a second model or --reference");
  backend::CpuBackend backend(common.threads);
  const verify::Report report = run(options, common, backend);
  if (!options.report.empty()) {
    write_file(options.report, verify::to_html(report));
    if (!common.json) fmt::print(stderr, "report: {}\n", options.report);
  }
  if (common.json) {
    print_json(verify::to_json(report));
  } else {
    print(report);
  }
  exit_code = report.passed ? 0 : 1;
}

}  // namespace

void add_verify(CLI::App& program, Common& common, int& exit_code) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      add_subcommand(program, common, "verify",
                     "compare the answers of two models and name the first value that departs",
                     "tenon verify Llama-2-7b-chat-hf llama2.tenon --report llama2.html");
  command
      ->add_option("A", options->a,
                   "what is right: checkpoint, ONNX or bundle (not a bundle when alone)")
      ->required();
  command->add_option("B", options->b, "what is compared with it (default: A's own engine)");
  command->add_option("--prompts", options->prompts,
                      "file with a prompt a line (default: built-in passages)");
  command->add_option("--reference", options->reference,
                      ".npz of recorded ids and logits, or of inputs and outputs by name, in "
                      "place of B");
  command->add_option("--part", options->part, "compare this part of a picture model alone");
  command->add_option("--precision", options->precision,
                      "run a checkpoint or ONNX model so: fp32, bf16 or int8");
  command->add_option("--budget", options->budget, "error allowed, e.g. kl=1e-3,top1=0.98");
  command->add_option("--atol", options->atol, "largest difference of a logit or element allowed");
  command->add_option("--rtol", options->rtol,
                      "relative error of all logits, or of each output, allowed");
  command->add_option("--tokens", options->tokens, "length of the built-in prompts")
      ->check(CLI::Range(1, 4096));
  command->add_flag("--trace", options->trace, "compare value by value also when the check passes");
  command->add_option("--report", options->report, "HTML page to write");
  command->callback([options, &common, &exit_code] { verify_models(*options, common, exit_code); });
}

}  // namespace tenon::apps
