#include "serve_models.h"

#include <algorithm>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "model.h"
#include "model_source.h"
#include "serving/text_files.h"

namespace tenon::apps {
namespace {

namespace fs = std::filesystem;
using serving::ModelRegistry;

constexpr std::int64_t kPollSecs = 15;

serving::OpenModel opener(const std::string& precision, int threads) {
  return [precision, threads](const serving::OpenRequest& request) {
    Target target =
        Target::native(parse_precision(request.precision.empty() ? precision : request.precision));
    target.keep_state = !request.as_tensors;
    Model model = load_model(request.path, target, threads);
    if (model.kind == SourceKind::bundle && !request.precision.empty()) {
      Error error(ErrorCode::bad_input,
                  request.path.string() + ": a bundle has the precision that it was built with");
      throw error.hint("remove the parameter precision");
    }
    const auto engine = model.engines.find(bundle::kModel);
    const bool writes = engine != model.engines.end() && engine->second->state.layers > 0;
    // Without a tokenizer it is served as what it is to everybody else: tensors in, tensors out.
    if (writes && model.kind != SourceKind::bundle &&
        !serving::has_tokenizer(model.contents.files)) {
      target.keep_state = false;
      model = load_model(request.path, target, threads);
    }
    return serving::OpenedModel{std::move(model.engines), std::move(model.contents.files)};
  };
}

// A folder may hold one model, or models.
bool is_one_model(const fs::path& path) {
  try {
    detect_source(path);
    return true;
  } catch (const Error&) {
    return false;
  }
}

ModelRegistry::Control control_of(const ModelFlags& flags) {
  if (flags.control == "poll") return ModelRegistry::Control::polled;
  return flags.control == "explicit" ? ModelRegistry::Control::on_demand
                                     : ModelRegistry::Control::fixed;
}

}  // namespace

void add_model_flags(CLI::App& command, ModelFlags& flags) {
  command
      .add_option("SRC", flags.sources,
                  "models, SRC or NAME=SRC; or folders of models: FOLDER/MODEL/config.pbtxt, "
                  "FOLDER/MODEL/1/model.onnx, FOLDER/MODEL.tenon")
      ->required();
  command.add_option("--precision", flags.precision, "fp32, bf16 or int8, unless SRC is a bundle");
  command.add_option("--cache-tokens", flags.model.cache_tokens,
                     "places in the cache of a text model");
  command.add_option("--max-queue", flags.model.queue, "requests of a model that may wait")
      ->check(CLI::Range(1, 1 << 16));
  command
      .add_option_function<std::int64_t>(
          "--queue-timeout",
          [&flags](std::int64_t ms) { flags.model.queue_timeout = std::chrono::milliseconds(ms); },
          "milliseconds that a request for text may wait before it starts; 0 (default): any time")
      ->check(CLI::Range(0, 86'400'000));
  command.add_flag(
      "--batch-invariant", flags.model.batch_invariant,
      "texts are the same, bit for bit, whatever is computed beside them; may be slower");
  command
      .add_option(
          "--model-control-mode", flags.control,
          "none: models stay as they were at the start; poll: follow the folders; explicit: "
          "clients load and unload")
      ->check(CLI::IsMember({"none", "poll", "explicit"}))
      ->capture_default_str();
  command
      .add_option("--repository-poll-secs", flags.poll_secs,
                  "seconds between two looks at the folders, 15 unless given; with "
                  "--model-control-mode poll")
      ->check(CLI::Range(1, 86400));
  command.add_option("--load-model", flags.load,
                     "name of a model of the folders to load at the start, or '*' for all; with "
                     "--model-control-mode explicit");
  command.add_flag("--strict-readiness,!--no-strict-readiness", flags.strict_readiness,
                   "ready only when all models are (default), else as soon as the server answers");
  command.add_flag("--exit-on-error,!--no-exit-on-error", flags.exit_on_error,
                   "end when a model cannot be loaded at the start (default), else go on without");
}

ModelsToServe::ModelsToServe(const ModelFlags& flags, int threads) : flags_(flags) {
  if (flags_.poll_secs != 0 && flags_.control != "poll")
    fail(ErrorCode::usage, "--repository-poll-secs is for --model-control-mode poll");
  if (!flags_.load.empty() && flags_.control != "explicit")
    fail(ErrorCode::usage, "--load-model is for --model-control-mode explicit");
  flags_.model.threads = threads;
  registry_->set_control(control_of(flags_));
  registry_->set_strict_readiness(flags_.strict_readiness);
  const serving::OpenModel open = opener(flags_.precision, threads);
  for (const std::string& source : flags_.sources) add_source(source, open);
  if (folders_.empty()) {
    if (flags_.control != "none") {
      fail(ErrorCode::usage, "--model-control-mode {} is for folders of models, none was given",
           flags_.control);
    }
    return;
  }
  repository_ = std::make_shared<serving::Repository>(folders_, open, flags_.model);
  registry_->set_catalogue(repository_);
  expect_models();
}

void ModelsToServe::add_source(const std::string& source, const serving::OpenModel& open) {
  const auto [name, named, given] = named_source(source);
  if (!fs::exists(given)) fail(ErrorCode::bad_input, "{}: does not exist", given.string());
  const fs::path path = fs::canonical(given);
  const bool models = fs::is_directory(path) && !is_one_model(path) &&
                      (flags_.control != "none" || serving::is_repository(path));
  if (models && named)
    fail(ErrorCode::usage,
         "{}: holds models with names of their own: give it without NAME=", path.string());
  if (models) {
    folders_.push_back(path);
    return;
  }
  serving::VersionSource version;
  version.name = name;
  version.path = path;
  version.folder = path;
  version.config.set_name(version.name);
  registry_->add(version.name, [version, open, options = flags_.model] {
    return serving::load_version(version, open, options);
  });
  single_.push_back(version.name);
}

void ModelsToServe::expect_models() {
  const std::vector<std::string> there = repository_->names();
  for (const std::string& name : there) {
    if (std::find(single_.begin(), single_.end(), name) != single_.end())
      fail(ErrorCode::usage, "two models have the name {}: give one another name with NAME=SRC",
           name);
  }
  if (flags_.control != "explicit") {
    for (const std::string& name : there) registry_->expect(name);
    return;
  }
  for (const std::string& name : flags_.load) {
    if (name == "*") {
      for (const std::string& one : there) registry_->expect(one);
    } else {
      registry_->expect(name);
    }
  }
}

void ModelsToServe::load(bool quiet) {
  if (flags_.control == "poll") {
    serving::RepositoryWatch::Times times;
    times.interval = std::chrono::seconds(flags_.poll_secs == 0 ? kPollSecs : flags_.poll_secs);
    watch_ = std::make_unique<serving::RepositoryWatch>(registry_, repository_, times);
  }
  for (const std::string& name : registry_->names()) {
    check_interrupt();
    try {
      registry_->refresh(name);
      if (!quiet) fmt::print(stderr, "{} is ready\n", name);
    } catch (const Error& error) {
      if (flags_.exit_on_error || error.code() == ErrorCode::interrupted) throw;
      log::warn("{}: was not loaded: {}", name, error.what());
    }
  }
  if (watch_ != nullptr) watch_->start();
}

void ModelsToServe::stop() {
  registry_->stop();
  watch_.reset();
}

}  // namespace tenon::apps
