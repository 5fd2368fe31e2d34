// tenon build: a checkpoint or ONNX model becomes a bundle, with the evidence that it answers
// alike.
#include "base/error.h"
#include "base/progress.h"
#include "build_memory.h"
#include "build_store.h"
#include "commands/commands.h"
#include "model.h"
#include "verification.h"

namespace tenon::apps {
namespace {

struct Options {
  std::string source, output;
  std::string target = "cpu";
  std::string precision = "bf16";
  std::string budget;
  std::string embeddings;
  std::vector<std::string> skip_passes;
  std::string dump;
  ProfileFlags profile;
  bool no_verify = false;
  bool no_resume = false;
  std::string max_ram;
  int level = 2;
  std::int64_t verify_tokens = 0;
};

void print_bill(const std::string& part, const planner::CompileReport& report,
                const engine::Engine& engine) {
  fmt::print(stderr, "  {} for {}, {} of weights\n", part, engine.isa,
             format_bytes(engine.weight_bytes()));
  for (const auto& pass : report.passes) {
    if (pass.rewrites > 0 || pass.skipped) {
      fmt::print(stderr, "  pass {:<22} {:>6} {:>8.1f} ms\n", pass.name,
                 pass.skipped ? "skipped" : std::to_string(pass.rewrites), pass.seconds * 1e3);
    }
  }
  if (report.measured > 0) fmt::print(stderr, "  {} timings of kernels\n", report.measured);
  std::map<std::string, int> kernels;
  for (const auto& step : engine.steps) {
    for (const auto& choice : step.kernels) ++kernels[choice.kernel];
  }
  for (const auto& [kernel, count] : kernels)
    fmt::print(stderr, "  kernel {:<32} {:>5} steps\n", kernel, count);
}

void print_evidence(const Json& evidence) {
  if (!evidence.is_object()) {
    fmt::print(stderr, "  not compared with its source\n");
    return;
  }
  if (evidence.contains("parts")) {
    for (const Json& part : evidence.at("parts")) {
      fmt::print(stderr,
                 "  {} beside the reference run of its source, {} runs: relative error {:.2e}\n",
                 part.at("part").get<std::string>(), part.at("runs").size(),
                 part.at("metrics").at("relative_l2").get<double>());
    }
    return;
  }
  const Json& metrics = evidence.at("metrics");
  fmt::print(
      stderr,
      "  beside the reference run of its source, {} positions: mean KL {:.2e}, relative error "
      "of logits {:.2e}, same likeliest token at {:.2f} %\n",
      metrics.at("positions").get<std::int64_t>(), metrics.at("mean_kl").get<double>(),
      metrics.at("relative_l2").get<double>(), 100 * metrics.at("top1_agreement").get<double>());
}

// Progress counts over each part anew: their sizes are known one by one.
bundle::Engines pack(const ModelSource& source, const bundle::Files& files,
                     planner::CompileOptions& compile, const SizeProfile& profile,
                     BuildStore& store, std::map<std::string, planner::CompileReport>& reports) {
  std::optional<Progress> progress;
  std::uint64_t seen = 0;
  compile.progress = [&](std::uint64_t done, std::uint64_t total) {
    if (!progress || done < seen) {
      progress.emplace("packing weights", total);
      seen = 0;
    }
    progress->advance(done - seen);
    seen = done;
  };
  return compile_parts(source, files, compile, profile, store, reports);
}

void print_result(const Options& options, const Common& common, const bundle::Engines& engines,
                  const bundle::Contents& contents, const BuildStore& store,
                  const std::map<std::string, planner::CompileReport>& reports) {
  const engine::Engine& first = *engines.begin()->second;
  const auto bytes = std::filesystem::file_size(options.output);
  if (common.json) {
    Json parts = Json::object();
    for (const auto& [part, engine] : engines) {
      parts[part] = {{"steps", engine->steps.size()},
                     {"weight_bytes", engine->weight_bytes()},
                     {"layers", engine->state.layers}};
    }
    print_json({{"bundle", options.output},
                {"bytes", bytes},
                {"precision", options.precision},
                {"isa", first.isa},
                {"restored_bytes", store.restored_bytes()},
                {"parts", parts},
                {"evidence", contents.evidence}});
    return;
  }
  fmt::print(stderr, "{}: {} for {}, {}\n", options.output, options.precision, first.isa,
             format_bytes(bytes));
  if (store.restored() > 0) {
    fmt::print(stderr, "  {} weights ({}) were left by an interrupted build\n", store.restored(),
               format_bytes(store.restored_bytes()));
  }
  print_evidence(contents.evidence);
  for (const auto& [part, engine] : engines) {
    const auto report = reports.find(part);
    if (report != reports.end()) print_bill(part, report->second, *engine);
  }
}

planner::CompileOptions compile_options(const Options& options, const Common& common) {
  planner::CompileOptions compile;
  compile.target = options.level == 0 ? Target::reference_run()
                                      : Target::native(parse_precision(options.precision));
  compile.tune = options.level >= 2;
  compile.target.skip_passes.insert(options.skip_passes.begin(), options.skip_passes.end());
  compile.dump = options.dump;
  compile.threads = common.threads;
  return compile;
}

Json packing_options(const Options& options) {
  const ProfileFlags& profile = options.profile;
  return {
      {"precision", options.precision},
      {"level", options.level},
      {"skip_passes", options.skip_passes},
      {"embeddings", options.embeddings},
      {"sizes", {profile.profiles, profile.min_shapes, profile.opt_shapes, profile.max_shapes}}};
}

void make_bundle(const Options& options, const Common& common, const ModelSource& source,
                 bundle::Contents& contents, BuildStore& store) {
  const BuildMemory memory = BuildMemory::of(options.max_ram, options.output);
  planner::CompileOptions compile = compile_options(options, common);
  std::map<std::string, planner::CompileReport> reports;
  const bundle::Engines engines =
      pack(source, contents.files, compile, parse_profile(options.profile), store, reports);
  contents.provenance = source.provenance();
  contents.provenance["conversions"] = {{"precision", options.precision},
                                        {"isa", engines.begin()->second->isa}};
  if (!options.embeddings.empty())
    contents.provenance["conversions"]["pooling"] = options.embeddings;
  if (!options.no_verify) {
    contents.evidence = prove(source, store.writer(), engines, contents, options.budget,
                              options.verify_tokens, memory, common);
  }
  store.finish(engines, contents);
  print_result(options, common, engines, contents, store, reports);
}

void build(const Options& options, const Common& common) {
  if (options.target != "cpu")
    fail(ErrorCode::usage, "target '{}' is not there; cpu is", options.target);
  compile_options(options, common);  // wrong ones are refused before anything is opened
  parse_profile(options.profile);
  BuildMemory::of(options.max_ram, options.output);
  const std::filesystem::path path = options.source;
  if (detect_source(path) == SourceKind::bundle)
    fail(ErrorCode::usage, "{}: is a bundle already", options.source);
  const ModelSource source = ModelSource::open(path, models::parse_pooling(options.embeddings));
  bundle::Contents contents;
  contents.files = source.side_files();
  BuildStore store(options.output,
                   build_key(source, contents.files, packing_options(options), options.output),
                   !options.no_resume);
  try {
    make_bundle(options, common, source, contents, store);
  } catch (Error& error) {
    if (error.code() == ErrorCode::interrupted && !options.no_resume)
      error.hint("the same command goes on where it stopped; " + options.output +
                 ".part holds what is done");
    store.unwound_by(error);
    throw;
  }
}

}  // namespace

void add_build(CLI::App& program, Common& common, int&) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      add_subcommand(program, common, "build", "make a bundle that runs fast and answers alike",
                     "tenon build Llama-2-7b-chat-hf -o llama2.tenon --precision bf16");
  command->add_option("SRC", options->source, "checkpoint, or ONNX folder or file")->required();
  command->add_option("-o,--output", options->output, "the .tenon file to write")->required();
  command->add_option("--target", options->target, "device: cpu");
  command->add_option("--precision", options->precision, "of the weights: fp32, bf16 or int8");
  command->add_option("--budget", options->budget,
                      "error allowed, e.g. kl=1e-3,top1=0.98 (default: by precision)");
  command
      ->add_option("-O", options->level,
                   "0: the reference run, no rewrites and plain kernels; 1: the most specialised "
                   "kernels; 2: the kernels that measure fastest here")
      ->check(CLI::Range(0, 4));
  command->add_option("--profile", options->profile.profiles,
                      "sizes to tune for: INPUT=2x4x64x64[:SHAPE...][,INPUT=...], INPUT may begin "
                      "with its part (unet.sample); repeatable; others run too");
  command->add_option("--minShapes", options->profile.min_shapes,
                      "as trtexec: INPUT:1x4x64x64[,INPUT:...]");
  command->add_option("--optShapes", options->profile.opt_shapes, "likewise");
  command->add_option("--maxShapes", options->profile.max_shapes, "likewise");
  command
      ->add_option("--embeddings", options->embeddings,
                   "a bundle that gives embeddings in place of text: the last states of a text, "
                   "pooled: mean (over its tokens) or last (that of its last token)")
      ->check(CLI::IsMember({"mean", "last"}));
  command->add_option("--skip-pass", options->skip_passes,
                      "leave out a rewrite by name; repeatable");
  command->add_option("--dump-passes", options->dump, "folder for the graph after each pass");
  command->add_flag("--no-verify", options->no_verify, "write the bundle without evidence");
  command->add_option("--max-ram", options->max_ram,
                      "memory that packing and verification stay near, e.g. 4G (default: three "
                      "quarters of what is free)");
  command->add_flag("--no-resume", options->no_resume,
                    "neither go on with an interrupted build nor leave one to go on with");
  command->add_option("--verify-tokens", options->verify_tokens,
                      "tokens compared with the reference run (default: by model size)");
  command->callback([options, &common] { build(*options, common); });
}

}  // namespace tenon::apps
