#include "model.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"

namespace tenon::apps {
namespace {

namespace fs = std::filesystem;

Json config_of(const bundle::Files& files, const std::string& name) {
  const auto found = files.find(name);
  return found == files.end() ? Json::object() : parse_json(found->second, name);
}

// A picture of the size that the model was trained at, with guidance: what most runs are.
SizeProfile trained_sizes(const bundle::Files& files) {
  constexpr std::int64_t kMax = 1 << 16;
  const Json unet = config_of(files, "unet/config.json");
  const Json vae = config_of(files, "vae/config.json");
  const Json text = config_of(files, "text_encoder/config.json");
  const std::int64_t side = get_int(unet, "sample_size", 1, kMax, 64);
  const std::int64_t channels = get_int(unet, "in_channels", 1, kMax, 4);
  const std::int64_t width = get_int(unet, "cross_attention_dim", 1, kMax, 1024);
  const std::int64_t latents = get_int(vae, "latent_channels", 1, kMax, 4);
  const std::int64_t tokens = get_int(text, "max_position_embeddings", 1, kMax, 77);
  const Json* blocks = find_field(vae, "block_out_channels");
  const std::int64_t factor =
      blocks != nullptr && blocks->is_array() && !blocks->empty() && blocks->size() < 8
          ? std::int64_t{1} << (blocks->size() - 1)
          : 8;
  SizeProfile profile;
  profile.guessed = true;
  profile.sets.push_back({{"text_encoder.input_ids", {1, tokens}},
                          {"unet.sample", {2, channels, side, side}},
                          {"unet.encoder_hidden_states", {2, tokens, width}},
                          {"vae_encoder.sample", {1, 3, side * factor, side * factor}},
                          {"vae_decoder.latent_sample", {1, latents, side, side}},
                          {"tiny_decoder.latent_sample", {1, latents, side, side}}});
  return profile;
}

std::vector<std::string> names_of(const bundle::Engines& engines) {
  std::vector<std::string> names;
  for (const auto& [name, engine] : engines) names.push_back(name);
  return names;
}

}  // namespace

// Graphs for our own engines may say more than those for others: fractions of timesteps, and the
// layers of a text encoder, which --clip-skip chooses from.
models::BuildOptions run_options() {
  models::BuildOptions options;
  options.timestep_form = models::TimestepForm::per_batch_float;
  options.hidden_states = true;
  return options;
}

const std::shared_ptr<const engine::Engine>& Model::engine() const {
  const auto found = engines.find(bundle::kModel);
  if (found == engines.end()) refuse_parts(name, names_of(engines));
  return found->second;
}

bundle::Engines compile_parts(const ModelSource& source, const bundle::Files& files,
                              planner::CompileOptions options, const SizeProfile& profile,
                              planner::ConstantStore& store,
                              std::map<std::string, planner::CompileReport>& reports) {
  const SizeProfile trained = source.draws() ? trained_sizes(files) : SizeProfile{};
  const fs::path dump = options.dump;
  options.context_length = source.draws() ? 0 : context_length_of(files);
  bundle::Engines engines;
  for (const std::string& part : source.parts()) {
    graph::Graph graph = source.graph(part, run_options());
    options.name = source.draws() ? source.name() + " " + part : source.name();
    if (!dump.empty() && source.draws()) options.dump = dump / part;
    options.profiles = bind_profile(profile, part, graph);
    const bool asked = !options.profiles.empty();
    if (!asked && source.draws()) options.profiles = bind_profile(trained, part, graph);
    const auto engine = with_context(source.path().string(), [&] {
      return planner::compile(graph, options, store, &reports[part]);
    });
    if (!asked) engine->tuned.clear();  // a guess of ours binds nobody
    engines[part] = engine;
  }
  return engines;
}

std::shared_ptr<const engine::Engine> compile_part(const ModelSource& source,
                                                   const std::string& part, const Target& target,
                                                   int threads, planner::ConstantStore& store) {
  graph::Graph graph = source.graph(part, run_options());
  planner::CompileOptions options;
  options.target = target;
  options.name = source.draws() ? source.name() + " " + part : source.name();
  options.context_length = source.draws() ? 0 : context_length_of(source.side_files());
  options.threads = threads;
  return with_context(source.path().string(),
                      [&] { return planner::compile(graph, options, store); });
}

std::shared_ptr<const engine::Engine> compile_part(const ModelSource& source,
                                                   const std::string& part, const Target& target,
                                                   int threads) {
  planner::MemoryStore store;
  return compile_part(source, part, target, threads, store);
}

std::int64_t context_length_of(const bundle::Files& files) {
  const auto config = files.find("config.json");
  if (config == files.end()) return 0;
  const Json object = parse_json(config->second, "config.json");
  const std::int64_t length =
      get_int(object, "max_position_embeddings", 1, std::int64_t{1} << 30, 0);
  const Json* scaling = find_field(object, "rope_scaling");
  if (scaling == nullptr) scaling = find_field(object, "rope_parameters");
  if (scaling == nullptr || !scaling->is_object()) return length;
  // Under these two the config keeps the length before scaling; the other kinds name the one after.
  const std::string kind = get_string(*scaling, "rope_type", get_string(*scaling, "type", ""));
  if (kind == "dynamic") return 0;
  if (kind != "linear") return length;
  return static_cast<std::int64_t>(static_cast<double>(length) *
                                   std::clamp(get_number(*scaling, "factor", 1.0), 1.0, 1024.0));
}

Model load_model(const fs::path& path, const Target& target, int threads, bundle::Weights weights) {
  Model model;
  model.kind = detect_source(path);
  if (model.kind == SourceKind::bundle) {
    bundle::Bundle opened = bundle::open(path, weights);
    model.name = path.stem().string();
    model.engines = std::move(opened.engines);
    model.contents = std::move(opened.contents);
    return model;
  }
  const ModelSource source = ModelSource::open(path);
  model.name = source.name();
  model.contents.files = source.side_files();
  planner::CompileOptions options;
  options.target = target;
  options.threads = threads;
  planner::MemoryStore store;
  model.engines = compile_parts(source, model.contents.files, options, {}, store, model.reports);
  return model;
}

}  // namespace tenon::apps
