#include "models/time_embedding.h"

#include <cmath>

namespace tenon::models {
namespace {

constexpr float kLongestPeriod = 10000.0F;
constexpr float kPi = 3.14159265358979323846F;

// The fixed frequencies of diffusers' get_timestep_embedding, rounded to float32 where it rounds.
Tensor frequencies(std::int64_t width, double shift) {
  std::vector<float> values;
  const std::int64_t half = width / 2;
  for (std::int64_t i = 0; i < half; ++i) {
    const float exponent = static_cast<float>(-std::log(kLongestPeriod)) * static_cast<float>(i) /
                           static_cast<float>(static_cast<double>(half) - shift);
    values.push_back(static_cast<float>(std::exp(static_cast<double>(exponent))));
  }
  return Tensor::from_floats({half}, values);
}

// Times [B] -> waves [B, width] in the model's dtype.
ValueId waves(ImageBuilder& builder, const UnetConfig& config, ValueId times) {
  const std::string module = "time_proj";
  const ValueId column = builder.node(module, "Unsqueeze",
                                      {builder.cast(module, times, DType::f32), builder.ints({1})});
  ValueId angles;
  if (config.fourier_time) {
    const ValueId table = builder.weight("time_proj.weight", {config.time_width / 2});
    angles = builder.multiply(module, column, builder.cast(module, table, DType::f32));
    angles = builder.multiply(module, builder.multiply(module, angles, 2.0F), kPi);
  } else {
    const Tensor table = frequencies(config.time_input_width, config.freq_shift);
    angles = builder.multiply(module, column, builder.constant("time_proj.frequencies", table));
  }
  const ValueId sine = builder.node(module, "Sin", {angles});
  const ValueId cosine = builder.node(module, "Cos", {angles});
  ValueId both = config.flip_sin_to_cos ? builder.concat(module, {cosine, sine}, -1)
                                        : builder.concat(module, {sine, cosine}, -1);
  if (!config.fourier_time && config.time_input_width % 2 != 0)
    both = builder.node(module, "Pad", {both, builder.ints({0, 0, 0, 1})});
  return builder.cast(module, both, builder.dtype());
}

// diffusers' TimestepEmbedding.
ValueId two_layers(ImageBuilder& builder, const std::string& module, ValueId x, std::int64_t in,
                   std::int64_t width, const std::string& activation) {
  const ValueId hidden = builder.activation(
      module + ".act", activation, builder.linear(module + ".linear_1", x, in, width), "act_fn");
  return builder.linear(module + ".linear_2", hidden, width, width);
}

ValueId class_embedding(ImageBuilder& builder, const UnetConfig& config, const Dim& batch) {
  const std::string module = "class_embedding";
  const char* name = "class_labels";
  const std::int64_t width = config.time_width;
  const auto vectors = [&](std::int64_t size) {
    return builder.input(name, builder.dtype(), {batch, size});
  };
  switch (config.class_embedding) {
    case ClassEmbedding::table: {
      const ValueId table = builder.weight(module + ".weight", {config.class_count, width});
      const ValueId labels = builder.input(name, DType::i64, {batch});
      return builder.node(module, "Gather", {table, labels}, {{"axis", std::int64_t{0}}});
    }
    case ClassEmbedding::timestep: {
      const ValueId labels = builder.input(name, DType::i64, {batch});
      return two_layers(builder, module, waves(builder, config, labels), config.time_input_width,
                        width, config.activation);
    }
    case ClassEmbedding::identity:
      return vectors(width);
    case ClassEmbedding::projection:
      return two_layers(builder, module, vectors(config.class_input_width),
                        config.class_input_width, width, "silu");
    case ClassEmbedding::simple_projection:
      return builder.linear(module, vectors(config.class_input_width), config.class_input_width,
                            width);
    case ClassEmbedding::none:
      break;
  }
  return kNoValue;
}

// The input as a vector with one element for each picture.
ValueId timesteps(ImageBuilder& builder, ValueId sample, const Dim& batch) {
  if (builder.options().timestep_form == TimestepForm::per_batch_float)
    return builder.input("timestep", builder.dtype(), {batch});
  const ValueId one = builder.input("timestep", DType::i64, {});
  return builder.node("time_proj", "Expand", {one, builder.sizes("time_proj", sample, 0, 1)});
}

}  // namespace

ValueId time_embedding(ImageBuilder& builder, const UnetConfig& config, ValueId sample) {
  const std::string module = "time_embedding";
  const Dim batch = builder.value(sample).shape[0];
  ValueId x = waves(builder, config, timesteps(builder, sample, batch));
  if (config.time_cond_width > 0) {
    const ValueId condition =
        builder.input("timestep_cond", builder.dtype(), {batch, config.time_cond_width});
    x = builder.add(module, x,
                    builder.linear(module + ".cond_proj", condition, config.time_cond_width,
                                   config.time_input_width, false));
  }
  ValueId embedding =
      two_layers(builder, module, x, config.time_input_width, config.time_width, config.activation);
  if (!config.timestep_activation.empty()) {
    embedding = builder.activation(module + ".post_act", config.timestep_activation, embedding,
                                   "timestep_post_act");
  }
  if (const ValueId classes = class_embedding(builder, config, batch); classes != kNoValue) {
    embedding = config.class_concat ? builder.concat("class_embedding", {embedding, classes}, -1)
                                    : builder.add("class_embedding", embedding, classes);
  }
  if (config.time_activation.empty()) return embedding;
  return builder.activation("time_embed_act", config.time_activation, embedding,
                            "time_embedding_act_fn");
}

}  // namespace tenon::models
