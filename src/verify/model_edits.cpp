#include "verify/model_edits.h"

#include <cmath>

#include "base/error.h"
#include "planner/planner.h"

namespace tenon::verify {
namespace {

constexpr std::int64_t kMaxSize = std::int64_t{1} << 24;

bool is_llama(const Json& config) { return find_field(config, "rms_norm_eps") != nullptr; }

bool ends_with_any(const std::string& name, std::initializer_list<std::string_view> endings) {
  for (const std::string_view ending : endings) {
    if (name.ends_with(ending)) return true;
  }
  return false;
}

// Rows of each head: pairs (2i, 2i + 1) become halves (i, i + head_dim / 2), or the other way.
std::vector<std::int64_t> rotary_order(std::int64_t rows, std::int64_t head_dim, bool to_halves) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(rows));
  const std::int64_t half = head_dim / 2;
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t head = row / head_dim * head_dim;
    const std::int64_t i = row % head_dim;
    const std::int64_t pair = i % half * 2 + i / half;
    const std::int64_t halves = i % 2 * half + i / 2;
    order[static_cast<std::size_t>(row)] = head + (to_halves ? pair : halves);
  }
  return order;
}

void add_rotary_layouts(const Json& config, std::vector<Edit>& edits) {
  if (!is_llama(config)) return;
  const std::int64_t heads = get_int(config, "num_attention_heads", 1, kMaxSize);
  const std::int64_t hidden = get_int(config, "hidden_size", 1, kMaxSize);
  const std::int64_t head_dim = get_int(config, "head_dim", 1, kMaxSize, hidden / heads);
  if (head_dim < 4 || head_dim % 2 != 0) return;
  for (const bool to_halves : {true, false}) {
    Edit edit;
    edit.cause = "rotary-layout";
    edit.found =
        to_halves ? "the rotary rows of q_proj and k_proj are interleaved (neighbouring pairs, the "
                    "order of Meta's release), the graph expects halves"
                  : "the rotary rows of q_proj and k_proj were permuted once more than they should "
                    "be";
    edit.advice =
        "convert the checkpoint again: tenon export reads Meta's release (params.json, "
        "consolidated.*.pth) and brings the rows in order; or permute the rows of each head";
    edit.weight = [=](const models::Weights& weights, const std::string& name,
                      const Shape& shape) -> SourcePtr {
      SourcePtr as_it_is = weights(name, shape);
      const bool rotated =
          ends_with_any(name, {".q_proj.weight", ".k_proj.weight", ".q_proj.bias", ".k_proj.bias"});
      if (!rotated || shape[0] % head_dim != 0) return as_it_is;
      return gathered_rows_source(as_it_is, rotary_order(shape[0], head_dim, to_halves));
    };
    edits.push_back(std::move(edit));
  }
}

// Another value of a number that the config gives under one of several keys.
void add_numbers(const Json& config, std::vector<Edit>& edits, const char* cause,
                 std::vector<std::string> keys, const std::vector<double>& candidates,
                 double fallback) {
  std::string key = keys.front();
  for (const std::string& candidate : keys) {
    if (find_field(config, candidate.c_str()) != nullptr) key = candidate;
  }
  const Json* nested = find_field(config, "rope_parameters");
  const bool inside =
      nested != nullptr && nested->is_object() && find_field(*nested, key.c_str()) != nullptr;
  const double now = get_number(inside ? *nested : config, key.c_str(), fallback);
  for (const double candidate : candidates) {
    if (std::abs(candidate - now) <= 1e-6 * candidate) continue;
    Edit edit;
    edit.cause = cause;
    edit.found =
        fmt::format("{} is {:g} in config.json, the answers are those of a model with {:g}", key,
                    now, candidate);
    edit.advice = fmt::format("set {} to {:g} in config.json", key, candidate);
    edit.config = [=](Json& changed) {
      (inside ? changed["rope_parameters"] : changed)[key] = candidate;
    };
    edits.push_back(std::move(edit));
  }
}

void add_unscaled_rotary(const Json& config, std::vector<Edit>& edits) {
  const Json* scaling = find_field(config, "rope_scaling");
  if (scaling == nullptr) return;
  edits.push_back({"rope-scaling",
                   "rope_scaling stands in config.json, the answers are those of a model without",
                   "remove rope_scaling from config.json",
                   [](Json& changed) { changed["rope_scaling"] = nullptr; },
                   {}});
}

void add_activations(const Json& config, std::vector<Edit>& edits) {
  const std::string now = get_string(config, "hidden_act", is_llama(config) ? "silu" : "gelu");
  for (const std::string candidate : {"silu", "gelu", "gelu_new", "relu"}) {
    if (candidate == now) continue;
    edits.push_back(
        {"activation",
         fmt::format("hidden_act is {}, the answers are those of a model with {}", now, candidate),
         fmt::format("set hidden_act to {} in config.json", candidate),
         [=](Json& changed) { changed["hidden_act"] = candidate; },
         {}});
  }
}

void add_gate_and_up(const Json& config, std::vector<Edit>& edits) {
  if (!is_llama(config)) return;
  Edit edit;
  edit.cause = "gate-up-order";
  edit.found = "gate_proj and up_proj are exchanged";
  edit.advice = "exchange the names of the two weights in every layer of the checkpoint";
  edit.weight = [](const models::Weights& weights, const std::string& name, const Shape& shape) {
    std::string other = name;
    const std::size_t gate = name.find(".gate_proj.");
    const std::size_t up = name.find(".up_proj.");
    if (gate != std::string::npos) other.replace(gate, 11, ".up_proj.");
    if (up != std::string::npos) other.replace(up, 9, ".gate_proj.");
    return weights(other, shape);
  };
  edits.push_back(std::move(edit));
}

void add_residual_form(const Json& config, std::vector<Edit>& edits) {
  if (is_llama(config)) return;
  const bool parallel = get_bool(config, "use_parallel_residual", true);
  edits.push_back({"residual-form",
                   fmt::format("use_parallel_residual is {}, the answers are those of a model with "
                               "{}",
                               parallel, !parallel),
                   fmt::format("set use_parallel_residual to {} in config.json", !parallel),
                   [=](Json& changed) { changed["use_parallel_residual"] = !parallel; },
                   {}});
}

}  // namespace

std::vector<Edit> plausible_edits(const Json& config) {
  std::vector<Edit> edits;
  add_rotary_layouts(config, edits);
  add_numbers(config, edits, "rope-theta", {"rope_theta", "rotary_emb_base"},
              {10000, 500000, 1000000}, 10000);
  add_unscaled_rotary(config, edits);
  if (is_llama(config)) {
    add_numbers(config, edits, "norm-epsilon", {"rms_norm_eps"}, {1e-5, 1e-6}, 1e-6);
  } else {
    add_numbers(config, edits, "norm-epsilon", {"layer_norm_eps"}, {1e-5, 1e-6}, 1e-5);
    add_numbers(config, edits, "rotary-share", {"partial_rotary_factor", "rotary_pct"},
                {0.25, 0.5, 1.0}, 0.25);
  }
  add_residual_form(config, edits);
  add_gate_and_up(config, edits);
  add_activations(config, edits);
  return edits;
}

std::shared_ptr<const engine::Engine> rebuild(const checkpoint::Checkpoint& source,
                                              const Edit& edit, std::int64_t layers) {
  Json config = source.config();
  if (edit.config) edit.config(config);
  if (layers > 0) config["num_hidden_layers"] = layers;
  const models::Weights stored = [&](const std::string& name, const Shape& shape) {
    return source.weight(name, shape);
  };
  const models::Weights weights = [&](const std::string& name, const Shape& shape) {
    return edit.weight ? edit.weight(stored, name, shape) : stored(name, shape);
  };
  for (const models::Architecture& architecture : models::architectures()) {
    if (architecture.name != source.architecture()) continue;
    graph::Graph graph = architecture.build(config, weights, {});
    planner::CompileOptions options;
    options.target = Target::reference_run();
    options.name = source.directory().filename().string();
    return planner::compile(graph, options);
  }
  bad_input("architecture {} is not supported", source.architecture());
}

}  // namespace tenon::verify
