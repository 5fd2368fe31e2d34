// tenon doctor: is it whole, will it fit, what can this machine run.
#include <fstream>
#include <limits>

#include "backend/cpu/cpu_backend.h"
#include "base/cpu_features.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/progress.h"
#include "checkpoint/scan.h"
#include "commands/commands.h"
#include "graph/op_schema.h"
#include "model_source.h"
#include "models/model.h"
#include "picture_model.h"
#include "pipelines/text_to_image/preflight.h"

namespace tenon::apps {
namespace {

struct Options {
  std::string source;
  std::int64_t users = 1;
  std::int64_t context = 0;
};

struct Findings {
  std::vector<std::string> faults;
  std::vector<std::string> notes;
  Json facts = Json::object();
};

std::uint64_t available_memory() {
  std::ifstream info("/proc/meminfo");
  std::string key;
  std::uint64_t kilobytes = 0;
  std::string unit;
  while (info >> key >> kilobytes >> unit) {
    if (key == "MemAvailable:") return kilobytes * 1024;
  }
  return 0;
}

// Weights in the precision, cache of keys and values for all users, activations of one chunk of 512
// tokens.
void estimate_memory(const Json& config, double parameters, const Options& options,
                     Findings& found) {
  const std::int64_t layers = get_int(config, "num_hidden_layers", 1, 4096, 0);
  if (layers == 0) return;
  const std::int64_t heads = get_int(config, "num_attention_heads", 1, 1 << 20);
  const std::int64_t hidden = get_int(config, "hidden_size", 1, 1 << 24);
  const std::int64_t kv_heads = get_int(config, "num_key_value_heads", 1, 1 << 20, heads);
  const std::int64_t head_dim = get_int(config, "head_dim", 1, 1 << 20, hidden / heads);
  const std::int64_t inner = get_int(config, "intermediate_size", 1, 1 << 24, 4 * hidden);
  const std::int64_t context = options.context > 0
                                   ? options.context
                                   : get_int(config, "max_position_embeddings", 1, 1 << 30, 2048);
  const double cache =
      2.0 * static_cast<double>(layers * kv_heads * head_dim * context * options.users);
  const double workspace = 4.0 * 512 * static_cast<double>(4 * hidden + 3 * inner);
  const auto available = static_cast<double>(available_memory());
  for (const auto& [name, weight_bytes, cache_bytes] :
       {std::tuple{"fp32", 4.0, 4.0}, std::tuple{"bf16", 2.0, 2.0}, std::tuple{"int8", 1.0, 2.0}}) {
    const double needed = parameters * weight_bytes + cache * cache_bytes + workspace;
    found.facts["memory"][name] = {{"weights", parameters * weight_bytes},
                                   {"cache", cache * cache_bytes},
                                   {"workspace", workspace},
                                   {"total", needed},
                                   {"fits", needed < available}};
    found.notes.push_back(fmt::format(
        "{}: {} weights + {} cache ({} users of {} tokens) + {} workspace = {}, {} ({} available)",
        name, format_bytes(static_cast<std::uint64_t>(parameters * weight_bytes)),
        format_bytes(static_cast<std::uint64_t>(cache * cache_bytes)), options.users, context,
        format_bytes(static_cast<std::uint64_t>(workspace)),
        format_bytes(static_cast<std::uint64_t>(needed)),
        needed < available ? "fits" : "DOES NOT FIT", format_bytes(available_memory())));
  }
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < 8; ++i) text += (i > 0 ? ", " : "") + names[i];
  return names.size() > 8 ? text + fmt::format(" and {} more", names.size() - 8) : text;
}

// Reads all weights of one network; gives the number of its parameters.
double examine_weights(const checkpoint::Checkpoint& checkpoint,
                       const std::map<std::string, Shape>& expected, const std::string& label,
                       const Common& common, Findings& found) {
  std::uint64_t total = 0;
  double parameters = 0;
  for (const auto& name : checkpoint.names()) {
    const auto weight = checkpoint.weight(name);
    total +=
        static_cast<std::uint64_t>(element_count(weight->shape())) * dtype_size(weight->dtype());
    parameters += static_cast<double>(element_count(weight->shape()));
  }
  ThreadPool pool(common.threads);
  Progress progress("reading weights", total);
  const auto report = checkpoint::scan(checkpoint, expected, pool,
                                       [&](std::uint64_t bytes) { progress.advance(bytes); });
  if (!report.missing.empty())
    found.faults.push_back(label + "missing weights: " + joined(report.missing));
  for (const auto& name : report.surplus)
    found.notes.push_back(label + "weight that the architecture does not use: " + name);
  for (const auto& wrong : report.misshaped) {
    found.faults.push_back(fmt::format("{}{} is {}, the config asks for {}", label, wrong.name,
                                       to_string(wrong.found), to_string(wrong.expected)));
  }
  for (const auto& message : report.damaged) found.faults.push_back(label + message);
  std::int64_t beyond = 0;
  for (const auto& tensor : report.tensors) {
    if (tensor.nan > 0)
      found.faults.push_back(fmt::format("{}{}: {} NaN", label, tensor.name, tensor.nan));
    if (tensor.inf > 0) {
      found.faults.push_back(
          fmt::format("{}{}: {} infinite values", label, tensor.name, tensor.inf));
    }
    if (tensor.beyond_float16 > 0) {
      found.notes.push_back(
          fmt::format("{}{}: {} values beyond float16 (largest {:.6g}): --dtype "
                      "fp16 would make them infinite",
                      label, tensor.name, tensor.beyond_float16, tensor.max_abs));
    }
    beyond += tensor.beyond_float16;
  }
  Json facts = {{"form", checkpoint.form()}, {"tensors", report.tensors.size()},
                {"parameters", parameters},  {"beyond_float16", beyond},
                {"missing", report.missing}, {"surplus", report.surplus}};
  if (label.empty()) {
    found.facts.update(facts);
  } else {
    found.facts["parts"][label.substr(0, label.find(':'))] = facts;
  }
  found.notes.push_back(fmt::format("{}{} checkpoint, {} tensors, {:.4g} parameters, {}", label,
                                    checkpoint.form(), report.tensors.size(), parameters,
                                    format_bytes(total)));
  return parameters;
}

// Building the graph of a network asks for every weight that its config calls for.
void examine_pictures(const ModelSource& source, const Common& common, Findings& found) {
  const checkpoint::DiffusionCheckpoint& pictures = *source.diffusion();
  for (const auto& note : pictures.notes()) found.notes.push_back(note);
  for (const auto& [name, part] : pictures.parts())
    examine_weights(part, {}, name + ": ", common, found);
  for (const std::string& part : source.parts()) {
    try {
      source.graph(part);
    } catch (const Error& error) {
      found.faults.emplace_back(error.what());
    }
  }
}

// A decoder writes on from the last place of each row: padding there makes it go on from nothing.
void examine_padding(const bundle::Files& files, Findings& found) {
  const auto config = files.find("tokenizer_config.json");
  if (config == files.end()) return;
  const Json object = parse_json(config->second, config->first);
  if (get_string(object, "padding_side", "left") != "right") return;
  found.notes.emplace_back(
      "tokenizer_config.json pads on the right: rows of a batch then end in padding, and a decoder "
      "goes on from that, which reads as gibberish; set \"padding_side\": \"left\" for programs "
      "that "
      "pad (tenon itself never pads)");
}

void examine_checkpoint(const Options& options, const Common& common, Findings& found) {
  const ModelSource source = ModelSource::open(options.source);
  if (source.draws()) return examine_pictures(source, common, found);
  const checkpoint::Checkpoint& checkpoint = *source.checkpoint();
  const Json& config = checkpoint.config();
  const auto expected =
      config.empty() ? std::map<std::string, Shape>() : models::expected_weights(config);
  const double parameters = examine_weights(checkpoint, expected, "", common, found);
  if (!config.empty()) estimate_memory(config, parameters, options, found);
  examine_padding(source.side_files(), found);
}

void examine_engine(const std::string& component, const engine::Engine& engine, Findings& found) {
  std::uint64_t damaged = 0;
  Progress progress("checking sums", engine.weight_bytes());
  for (const auto& constant : engine.constants) {
    if (xxh3({constant.data.get(), constant.bytes}) != constant.sum) ++damaged;
    progress.advance(constant.bytes);
  }
  if (damaged > 0) {
    found.faults.push_back(
        fmt::format("{}: {} weights are damaged: their sums do not match", component, damaged));
  }
  if (parse_isa(engine.isa) > native_isa()) {
    found.faults.push_back(fmt::format("{}: built for {}, this machine has {}: build it again here",
                                       component, engine.isa, isa_name(native_isa())));
  }
  found.notes.push_back(fmt::format("{} {}, {} for {}, {} of weights", component, engine.name,
                                    engine.precision, engine.isa,
                                    format_bytes(engine.weight_bytes())));
}

// What of a picture model contradicts itself, and the memory of one picture with guidance.
void examine_drawing(const bundle::Bundle& bundle, const std::string& name, const Common& common,
                     Findings& found) {
  backend::CpuBackend backend(common.threads);
  Model opened;
  opened.name = name;
  opened.kind = SourceKind::bundle;
  opened.engines = bundle.engines;
  opened.contents = bundle.contents;
  std::uint64_t weights = 0;
  for (const auto& [part, engine] : opened.engines) weights += engine->weight_bytes();
  PictureModel model(std::move(opened), backend);
  const pipelines::DiffusionFacts& facts = model.networks().facts();
  for (const auto& finding :
       pipelines::check_model(facts, model.tokenizer(), model.pipeline().scheduler_config())) {
    const bool fault = finding.severity == pipelines::Finding::Severity::error;
    (fault ? found.faults : found.notes).push_back(finding.text());
  }
  pipelines::ImageRequest request;
  const auto size = pipelines::resolve_size(request, facts);
  const std::uint64_t arena = model.arena_bytes(request);
  found.facts["memory"] = {{"weights", weights},
                           {"arena", arena},
                           {"total", weights + arena},
                           {"fits", weights + arena < available_memory()}};
  found.notes.push_back(fmt::format(
      "a picture of {} x {} with guidance: {} weights + {} arena = {}, {} ({} available)",
      size.width, size.height, format_bytes(weights), format_bytes(arena),
      format_bytes(weights + arena), weights + arena < available_memory() ? "fits" : "DOES NOT FIT",
      format_bytes(available_memory())));
}

void examine_bundle(const Options& options, const Common& common, Findings& found) {
  const bundle::Bundle bundle = bundle::open(options.source, bundle::Weights::mapped);
  for (const auto& [component, engine] : bundle.engines) examine_engine(component, *engine, found);
  const Json& evidence = bundle.contents.evidence;
  found.notes.push_back(fmt::format("bundle of {}", format_bytes(bundle.file_bytes)));
  found.notes.push_back(evidence.is_object()
                            ? fmt::format("evidence: passed {}", evidence.value("passed", false))
                            : "evidence: none, it was built without verification");
  const auto config = bundle.contents.files.find("config.json");
  double parameters = 0;
  for (const auto& [component, engine] : bundle.engines) {
    for (const auto& constant : engine->constants)
      parameters += static_cast<double>(element_count(constant.shape));
  }
  if (config != bundle.contents.files.end())
    estimate_memory(parse_json(config->second, "config.json"), parameters, options, found);
  examine_padding(bundle.contents.files, found);
  if (bundle.engines.contains("unet"))
    examine_drawing(bundle, std::filesystem::path(options.source).stem().string(), common, found);
}

// A query of padding may see no key at all. Where its mask is minus infinity its softmax is 0/0 in
// other programs, and the NaN reaches every row of the next layer.
void examine_mask(const graph::Graph& graph, Findings& found) {
  if (!graph.find_value("attention_mask")) return;
  for (std::size_t i = 0; i < graph.value_count(); ++i) {
    const auto& value = graph.value(static_cast<graph::ValueId>(i));
    if (!value.constant || !is_float(value.dtype) || element_count(value.constant->shape()) != 1)
      continue;
    const Tensor number = converted(value.constant->load().view(), DType::f32);
    if (number.as<float>()[0] != -std::numeric_limits<float>::infinity()) continue;
    found.notes.push_back(fmt::format(
        "the mask is filled with minus infinity ({}): rows that padding masks wholly become NaN in "
        "other programs, and every answer of a padded batch with them; fill it with the lowest "
        "finite number of the type instead (tenon takes such rows as 0)",
        value.name));
  }
}

double examine_onnx(const ModelSource& source, const std::string& part, Findings& found) {
  const graph::Graph graph = source.graph(part);
  double parameters = 0;
  for (std::size_t i = 0; i < graph.value_count(); ++i) {
    const auto& value = graph.value(static_cast<graph::ValueId>(i));
    if (value.constant) parameters += static_cast<double>(element_count(value.constant->shape()));
  }
  found.notes.push_back(
      fmt::format("{}: ONNX, {} nodes, {:.4g} parameters", part, graph.order().size(), parameters));
  examine_mask(graph, found);
  return parameters;
}

void examine_onnx(const Options& options, Findings& found) {
  const ModelSource source = ModelSource::open(options.source);
  double parameters = 0;
  for (const std::string& part : source.parts()) parameters += examine_onnx(source, part, found);
  const auto files = source.side_files();
  if (const auto config = files.find("config.json"); config != files.end()) {
    estimate_memory(parse_json(config->second, "config.json"), parameters, options, found);
  }
  examine_padding(files, found);
}

void doctor(const Options& options, const Common& common, int& exit_code) {
  Findings found;
  const CpuInfo cpu = cpu_info();
  found.facts["cpu"] = {{"model", cpu.model},
                        {"cores", cpu.cores},
                        {"isa", isa_name(native_isa())},
                        {"memory", cpu.memory_bytes}};
  const SourceKind kind = detect_source(options.source);
  switch (kind) {
    case SourceKind::checkpoint:
      examine_checkpoint(options, common, found);
      break;
    case SourceKind::onnx:
      examine_onnx(options, found);
      break;
    case SourceKind::bundle:
      examine_bundle(options, common, found);
      break;
  }
  exit_code = found.faults.empty() ? 0 : 1;
  if (common.json) {
    found.facts["kind"] = source_kind_name(kind);
    found.facts["healthy"] = found.faults.empty();
    found.facts["faults"] = found.faults;
    found.facts["notes"] = found.notes;
    return print_json(found.facts);
  }
  fmt::print("this machine: {}, {} cores, {}, {}\n", cpu.model, cpu.cores, isa_name(native_isa()),
             format_bytes(static_cast<std::uint64_t>(cpu.memory_bytes)));
  for (const auto& note : found.notes) fmt::print("  {}\n", note);
  for (const auto& fault : found.faults) fmt::print("FAULT {}\n", fault);
  fmt::print("{}\n", found.faults.empty() ? "whole and sound"
                                          : fmt::format("{} faults", found.faults.size()));
}

}  // namespace

void add_doctor(CLI::App& program, Common& common, int& exit_code) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      add_subcommand(program, common, "doctor", "check that a model is whole, and whether it fits",
                     "tenon doctor Llama-2-7b-chat-hf --users 4 --context 4096");
  command->add_option("SRC", options->source, "checkpoint, ONNX folder or file, or bundle")
      ->required();
  command->add_option("--users", options->users, "sequences at once, for the cache")
      ->check(CLI::Range(1, 100000));
  command->add_option("--context", options->context, "tokens of each (default: the model's)");
  command->callback([options, &common, &exit_code] { doctor(*options, common, exit_code); });
}

}  // namespace tenon::apps
