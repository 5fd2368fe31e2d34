#include "verify/picture_inputs.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/json.h"

namespace tenon::verify {
namespace {

constexpr std::int64_t kMost = 1 << 16;

// Uniform in 0 to 1 without either end.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  double next() {
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return (static_cast<double>(state_ >> 11) + 0.5) * 0x1p-53;
  }
  double normal() {
    const double radius = std::sqrt(-2 * std::log(next()));
    return radius * std::cos(6.283185307179586 * next());
  }

 private:
  std::uint64_t state_;
};

std::uint64_t seed_of(std::string_view name) {
  std::uint64_t seed = 0x9e3779b97f4a7c15ULL;
  for (const char letter : name)
    seed = (seed ^ static_cast<unsigned char>(letter)) * 0x100000001b3ULL;
  return seed;
}

Json config_of(const std::map<std::string, std::string, std::less<>>& files, const char* name) {
  const auto found = files.find(name);
  return found == files.end() ? Json::object() : parse_json(found->second, name);
}

std::int64_t halvings(const Json& config, std::int64_t fallback) {
  const Json* blocks = find_field(config, "block_out_channels");
  if (blocks == nullptr || !blocks->is_array() || blocks->empty() || blocks->size() > 8)
    return fallback;
  return std::int64_t{1} << (blocks->size() - 1);
}

// Rows of the table that ids choose from, when the engine shows it.
std::int64_t table_rows(const engine::Engine& engine, engine::ValueIndex ids) {
  for (const engine::Step& step : engine.steps) {
    const bool reads = std::find(step.inputs.begin(), step.inputs.end(), ids) != step.inputs.end();
    if (!reads) continue;
    for (const auto input : step.inputs) {
      if (input == engine::kAbsent) continue;
      const auto& value = engine.values[static_cast<std::size_t>(input)];
      if (value.constant >= 0 && value.shape.size() == 2 && is_float(value.dtype))
        return value.shape[0].constant().value_or(0);
    }
    // Behind a change of type or shape.
    if (step.outputs.size() == 1 && step.outputs[0] != engine::kAbsent) {
      const auto& out = engine.values[static_cast<std::size_t>(step.outputs[0])];
      if (!is_float(out.dtype) && out.shape.size() == 2)
        if (const std::int64_t rows = table_rows(engine, step.outputs[0]); rows > 0) return rows;
    }
  }
  return 0;
}

// What an open size is, by the part that the value plays.
std::int64_t open_size(const engine::Value& value, std::size_t axis, const PictureSizes& sizes,
                       std::int64_t side, std::int64_t batch, bool decodes) {
  if (axis == 0) return batch;
  if (value.shape.size() == 4) {
    const bool picture = value.shape[1].constant() == 3;
    if (axis == 1) return decodes ? sizes.latent_channels : sizes.unet_channels;
    return picture ? side * sizes.factor : side;
  }
  if (value.name == "timestep_cond") return sizes.guidance_width > 0 ? sizes.guidance_width : 256;
  return axis == 1 ? sizes.text_tokens : sizes.text_width;
}

Tensor noise(const engine::Value& value, const Shape& shape) {
  Random random(seed_of(value.name));
  Tensor made(DType::f32, shape);
  for (float& number : made.as<float>()) number = static_cast<float>(random.normal());
  return converted(made.view(), value.dtype);
}

Tensor integers(const engine::Value& value, const Shape& shape, std::int64_t below) {
  Random random(seed_of(value.name));
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(element_count(shape)));
  for (auto& number : numbers) {
    number = static_cast<std::int64_t>(random.next() *
                                       static_cast<double>(std::max<std::int64_t>(below, 1)));
  }
  return converted(Tensor::from_ints(shape, numbers).view(), value.dtype);
}

bool is_token_mask(const engine::Value& value, const Shape& shape) {
  return value.name == "attention_mask" && shape.size() == 2;
}

// The first row keeps every token, the others all but a quarter at each end.
Tensor token_mask(const engine::Value& value, const Shape& shape) {
  std::vector<std::int64_t> kept(static_cast<std::size_t>(element_count(shape)), 1);
  const std::int64_t edge = shape[1] / 4;
  for (std::int64_t row = 1; row < shape[0]; ++row) {
    for (std::int64_t i = 0; i < edge; ++i) {
      kept[static_cast<std::size_t>(row * shape[1] + i)] = 0;
      kept[static_cast<std::size_t>((row + 1) * shape[1] - 1 - i)] = 0;
    }
  }
  return converted(Tensor::from_ints(shape, kept).view(), value.dtype);
}

bool is_timestep(const engine::Value& value) {
  return value.name.starts_with("timestep") && value.shape.size() <= 1;
}

TensorRun one_run(const engine::Engine& engine, const PictureSizes& sizes, std::int64_t side,
                  std::int64_t batch, std::int64_t timestep) {
  TensorRun run;
  for (const auto index : engine.inputs) {
    const engine::Value& value = engine.values[static_cast<std::size_t>(index)];
    const bool decodes = value.name.find("latent") != std::string::npos;
    Shape shape;
    for (std::size_t axis = 0; axis < value.shape.size(); ++axis) {
      shape.push_back(value.shape[axis].constant().value_or(
          open_size(value, axis, sizes, side, batch, decodes)));
    }
    Tensor made;
    if (is_timestep(value)) {
      const std::vector<std::int64_t> all(static_cast<std::size_t>(element_count(shape)), timestep);
      made = converted(Tensor::from_ints(shape, all).view(), value.dtype);
      run.what = fmt::format("{}{} {}", run.what, run.what.empty() ? value.name : ", " + value.name,
                             timestep);
    } else {
      const std::int64_t rows = sizes.vocabulary > 0 ? sizes.vocabulary : table_rows(engine, index);
      made = is_float(value.dtype)         ? noise(value, shape)
             : is_token_mask(value, shape) ? token_mask(value, shape)
             : value.name == "input_ids"   ? integers(value, shape, rows)
                                           : integers(value, shape, 1);
      run.what +=
          fmt::format("{}{} {}", run.what.empty() ? "" : ", ", value.name, to_string(shape));
    }
    run.inputs.emplace(value.name, std::move(made));
  }
  return run;
}

}  // namespace

PictureSizes picture_sizes(const std::map<std::string, std::string, std::less<>>& files) {
  const Json unet = config_of(files, "unet/config.json");
  const Json vae = config_of(files, "vae/config.json");
  const Json text = config_of(files, "text_encoder/config.json");
  PictureSizes sizes;
  sizes.unet_channels = get_int(unet, "in_channels", 1, kMost, sizes.unet_channels);
  sizes.text_width = get_int(unet, "cross_attention_dim", 1, kMost, sizes.text_width);
  sizes.guidance_width = get_int(unet, "time_cond_proj_dim", 1, kMost, 0);
  sizes.latent_channels = get_int(vae, "latent_channels", 1, kMost, sizes.latent_channels);
  sizes.text_tokens = get_int(text, "max_position_embeddings", 1, kMost, sizes.text_tokens);
  sizes.vocabulary = get_int(text, "vocab_size", 1, 1 << 24, 0);
  sizes.factor = halvings(vae, sizes.factor);
  sizes.multiple = halvings(unet, sizes.multiple);
  return sizes;
}

std::vector<TensorRun> seeded_runs(const engine::Engine& engine, const PictureSizes& sizes,
                                   std::int64_t side, std::int64_t batch,
                                   std::span<const std::int64_t> timesteps) {
  bool timed = false;
  for (const auto index : engine.inputs)
    timed |= is_timestep(engine.values[static_cast<std::size_t>(index)]);
  std::vector<TensorRun> runs;
  for (const std::int64_t timestep : timesteps) {
    runs.push_back(one_run(engine, sizes, side, batch, timestep));
    if (!timed) break;
  }
  return runs;
}

}  // namespace tenon::verify
