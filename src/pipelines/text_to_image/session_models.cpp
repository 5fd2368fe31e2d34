#include "pipelines/text_to_image/session_models.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "pipelines/text_to_image/latents.h"

namespace tenon::pipelines {
namespace {

Json config_of(const PictureFiles& files, const std::string& path) {
  const auto file = files.find(path);
  if (file == files.end()) return Json::object();
  Json json = parse_json(file->second, path);
  if (!json.is_object()) bad_input("{}: an object was expected", path);
  return json;
}

constexpr std::int64_t kMost = 1 << 20;

// A number, or the first of a list of numbers; 0 where there is none.
std::int64_t first_int(const Json& config, const char* key) {
  const Json* field = find_field(config, key);
  if (field == nullptr) return 0;
  const Json& value = field->is_array() && !field->empty() ? field->front() : *field;
  if (!value.is_number_integer() || value < 0 || value > kMost) {
    bad_input("config.json: \"{}\" is {}; a size was expected", key, field->dump());
  }
  return value.get<std::int64_t>();
}

// 2 to the length of a list less one: a list of blocks, each of which but the last halves.
std::int64_t halvings(const Json& config, const char* key, std::int64_t fallback) {
  const Json* field = find_field(config, key);
  if (field == nullptr) return fallback;
  if (!field->is_array() || field->empty() || field->size() > 16) {
    bad_input("config.json: \"{}\" is {}; a list of 1 to 16 was expected", key, field->dump());
  }
  return std::int64_t{1} << (field->size() - 1);
}

Tensor as_type(const Tensor& tensor, DType type) {
  return tensor.dtype() == type ? tensor : converted(tensor.view(), type);
}

Tensor taken(session::TensorMap& outputs, const std::string& name) {
  return as_type(outputs.at(name), DType::f32);
}

}  // namespace

SessionModels::SessionModels(const PictureEngines& engines, const PictureFiles& files,
                             backend::Backend& backend) {
  const auto arena = std::make_shared<session::Arena>();
  for (const auto& [name, engine] : engines) {
    Part& part = parts_[name];
    part.inputs = ports(*engine, engine->inputs);
    part.outputs = ports(*engine, engine->outputs);
    part.session = std::make_unique<session::TensorSession>(engine, backend, arena);
  }
  for (const char* name : {"text_encoder", "unet", "vae_decoder"}) {
    if (parts_.count(name) != 0) continue;
    throw Error(ErrorCode::bad_input, fmt::format("the model has no {}", name))
        .hint("a picture model has text_encoder, unet and vae_decoder");
  }
  // The autoencoder first: pixels a latent are needed for the sizes of the unet.
  with_context("vae", [&] { read_autoencoder(config_of(files, "vae/config.json")); });
  with_context("unet", [&] { read_unet(config_of(files, "unet/config.json")); });
  with_context("text_encoder",
               [&] { read_text_encoder(config_of(files, "text_encoder/config.json")); });
}

SessionModels::Part& SessionModels::part(std::string_view name) {
  return parts_.find(name)->second;
}
const SessionModels::Part& SessionModels::part(std::string_view name) const {
  return parts_.find(name)->second;
}

session::TensorSession* SessionModels::session(std::string_view name) {
  const auto found = parts_.find(name);
  return found == parts_.end() ? nullptr : found->second.session.get();
}

void SessionModels::read_autoencoder(const Json& config) {
  const Part& decoder = part("vae_decoder");
  latents_ = need_port(decoder.inputs, "latent_sample", 4, "vae_decoder");
  picture_ = need_port(decoder.outputs, "sample", 4, "vae_decoder");
  facts_.latent_channels = fixed(latents_, 1) != 0 ? fixed(latents_, 1) : 4;
  const auto growth = picture_.shape[3].divided_by(latents_.shape[3]);
  facts_.spatial_factor = growth && growth->constant() ? *growth->constant()
                                                       : halvings(config, "block_out_channels", 8);
  if (facts_.spatial_factor < 1)
    bad_input("vae_decoder: {} makes no picture", listed(decoder.outputs));
  if (find_field(config, "scaling_factor") != nullptr) {
    facts_.scaling_factor = get_number(config, "scaling_factor", 1);
    if (!(*facts_.scaling_factor > 0)) {
      bad_input("config.json: scaling_factor is {}; more than 0 was expected",
                *facts_.scaling_factor);
    }
  }
  facts_.shift_factor = get_number(config, "shift_factor", 0);
  if (const std::int64_t size = first_int(config, "sample_size")) facts_.tile_size = size;
  facts_.has_tiny_decoder = parts_.count("tiny_decoder") != 0;
  facts_.has_encoder = parts_.count("vae_encoder") != 0;
  if (!facts_.has_encoder) return;
  const Part& encoder = part("vae_encoder");
  source_ = need_port(encoder.inputs, "sample", 4, "vae_encoder");
  const Port* parameters = find_port(encoder.outputs, "latent_parameters", 4);
  parameters_ = parameters != nullptr
                    ? *parameters
                    : need_port(encoder.outputs, "latent_sample", 4, "vae_encoder");
}

void SessionModels::read_unet(const Json& config) {
  const Part& unet = part("unet");
  sample_ = need_port(unet.inputs, "sample", 4, "unet");
  text_ = need_port(unet.inputs, "encoder_hidden_states", 3, "unet");
  prediction_ = need_port(unet.outputs, "out_sample", 4, "unet");
  const Port* scalar = find_port(unet.inputs, "timestep", 0);
  timestep_ = scalar != nullptr ? *scalar : need_port(unet.inputs, "timestep", 1, "unet");
  for (const auto& port : unet.inputs) {
    if (port.name == "timestep_cond") time_cond_ = port;
    const bool known = port.name == sample_.name || port.name == timestep_.name ||
                       port.name == text_.name || port.name == time_cond_.name;
    if (!known) {
      bad_input(
          "unet: the input {} is not one of text-to-image models; known are sample, timestep, "
          "encoder_hidden_states, timestep_cond",
          port.name);
    }
  }
  facts_.unet_channels =
      fixed(sample_, 1) != 0 ? fixed(sample_, 1) : first_int(config, "in_channels");
  if (facts_.unet_channels == 0) facts_.unet_channels = facts_.latent_channels;
  facts_.fixed_batch = fixed(sample_, 0);
  facts_.fixed_height = fixed(sample_, 2);
  facts_.fixed_width = fixed(sample_, 3);
  const std::int64_t multiple = least_multiple(unet.session->engine(), sample_);
  facts_.required_multiple =
      facts_.spatial_factor * (multiple != 0 ? multiple : halvings(config, "down_block_types", 8));
  if (facts_.fixed_height != 0 && facts_.fixed_width != 0) {
    facts_.required_multiple = facts_.spatial_factor;
  }
  facts_.native_size = first_int(config, "sample_size") * facts_.spatial_factor;
  facts_.unet_text_width = fixed(text_, 2);
  facts_.fixed_text_tokens = fixed(text_, 1);
  facts_.cross_attention_dim = first_int(config, "cross_attention_dim");
  facts_.integer_timesteps = !is_float(timestep_.dtype);
  if (time_cond_.shape.size() == 2) {
    facts_.time_cond_width =
        fixed(time_cond_, 1) != 0 ? fixed(time_cond_, 1) : first_int(config, "time_cond_proj_dim");
  }
}

void SessionModels::read_text_encoder(const Json& config) {
  const Part& encoder = part("text_encoder");
  ids_ = need_port(encoder.inputs, "input_ids", 2, "text_encoder");
  states_ = need_port(encoder.outputs, "last_hidden_state", 3, "text_encoder");
  facts_.model_text_length = first_int(config, "max_position_embeddings");
  facts_.text_length = fixed(ids_, 1);
  if (facts_.text_length == 0) {
    facts_.text_length = facts_.model_text_length != 0 ? facts_.model_text_length : 77;
  }
  facts_.text_width = fixed(states_, 2);
  facts_.text_vocabulary = first_int(config, "vocab_size");
  norm_epsilon_ = get_number(config, "layer_norm_eps", 1e-5);
}

Tensor SessionModels::encode_text(const Tensor& ids, std::int64_t clip_skip) {
  session::TensorMap inputs;
  const std::int64_t batch = fixed(ids_, 0);
  if (batch > 1 && ids.shape()[0] == 1) {
    inputs[ids_.name] = as_type(repeated(ids, batch), ids_.dtype);
  } else {
    inputs[ids_.name] = as_type(ids, ids_.dtype);
  }
  return with_context("text_encoder", [&] {
    auto outputs = part("text_encoder").session->run(inputs);
    Tensor states =
        clip_skip == 0 ? taken(outputs, states_.name) : skipped_states(outputs, clip_skip);
    return batch_slice(states, 0, ids.shape()[0]);
  });
}

Tensor SessionModels::skipped_states(session::TensorMap& outputs, std::int64_t clip_skip) {
  std::int64_t layers = 0;
  while (outputs.count(fmt::format("hidden_states.{}", layers + 1)) != 0) ++layers;
  const auto& engine = part("text_encoder").session->engine();
  const auto [gamma, beta] = norm_of(engine, states_.name);
  if (layers == 0 || !gamma || !beta) {
    throw Error(ErrorCode::usage,
                "clip skip needs the states of every layer, and this text encoder "
                "gives only the last")
        .hint("build it with hidden_states as outputs");
  }
  if (clip_skip > layers) {
    fail(ErrorCode::usage, "clip skip is {}; the text encoder has {} layers", clip_skip, layers);
  }
  Tensor states = taken(outputs, fmt::format("hidden_states.{}", layers - clip_skip));
  if (gamma->count() != states.shape().back() || beta->count() != states.shape().back()) {
    bad_input("the final norm has {} weights for states of {}", gamma->count(),
              to_string(states.shape()));
  }
  apply_norm(states.as<float>(), gamma->as<float>(), beta->as<float>(), norm_epsilon_);
  return states;
}

Tensor SessionModels::predict_noise(const Tensor& sample, double timestep, const Tensor& states,
                                    const Tensor* time_cond) {
  const std::int64_t images = sample.shape()[0];
  const std::int64_t batch = facts_.fixed_batch != 0 ? facts_.fixed_batch : images;
  if (images % batch != 0) {
    bad_input("unet: built for a batch of {}, asked for {}", batch, images);
  }
  Tensor all;
  for (std::int64_t at = 0; at < images; at += batch) {
    const auto some = [&](const Tensor& tensor, const Port& port) {
      return as_type(batch == images ? tensor : batch_slice(tensor, at, batch), port.dtype);
    };
    session::TensorMap inputs;
    inputs[sample_.name] = some(sample, sample_);
    inputs[text_.name] = some(states, text_);
    Tensor time(DType::f64, timestep_.shape.empty() ? Shape{} : Shape{batch});
    std::fill(time.as<double>().begin(), time.as<double>().end(), timestep);
    inputs[timestep_.name] = as_type(time, timestep_.dtype);
    if (time_cond != nullptr) inputs[time_cond_.name] = some(*time_cond, time_cond_);
    Tensor one = with_context("unet", [&] {
      auto outputs = part("unet").session->run(inputs);
      return taken(outputs, prediction_.name);
    });
    all = at == 0 ? std::move(one) : join_batches(all, one);
  }
  return all;
}

std::size_t SessionModels::noise_bytes(const Shape& sample, const Shape& states) const {
  const std::int64_t batch = facts_.fixed_batch != 0 ? facts_.fixed_batch : sample[0];
  std::map<std::string, Shape, std::less<>> shapes;
  shapes[sample_.name] = {batch, sample[1], sample[2], sample[3]};
  shapes[text_.name] = {batch, states[1], states[2]};
  shapes[timestep_.name] = timestep_.shape.empty() ? Shape{} : Shape{batch};
  if (!time_cond_.name.empty()) shapes[time_cond_.name] = {batch, facts_.time_cond_width};
  return part("unet").session->required_bytes(shapes);
}

std::size_t SessionModels::decode_bytes(const Shape& latents) const {
  Shape shape = latents;
  if (fixed(latents_, 0) == 1) shape[0] = 1;
  return part("vae_decoder").session->required_bytes({{latents_.name, shape}});
}

std::size_t SessionModels::held_bytes() const {
  return part("unet").session->executor().arena_bytes();
}

// One image at a time where the engine was built so.
Tensor SessionModels::through(std::string_view name, const Port& input, const Port& output,
                              const Tensor& value) {
  const std::int64_t images = value.shape()[0];
  const std::int64_t batch = fixed(input, 0) == 1 ? 1 : images;
  Tensor all;
  for (std::int64_t at = 0; at < images; at += batch) {
    session::TensorMap inputs;
    inputs[input.name] =
        as_type(batch == images ? value : batch_slice(value, at, batch), input.dtype);
    Tensor one = with_context(name, [&] {
      auto outputs = part(name).session->run(inputs);
      return taken(outputs, output.name);
    });
    all = at == 0 ? std::move(one) : join_batches(all, one);
  }
  return all;
}

Tensor SessionModels::decode(const Tensor& latents) {
  return through("vae_decoder", latents_, picture_, latents);
}

LatentParameters SessionModels::encode(const Tensor& images) {
  if (!facts_.has_encoder) fail(ErrorCode::usage, "the model has no vae_encoder");
  const Tensor both = through("vae_encoder", source_, parameters_, images);
  const Shape& shape = both.shape();
  if (shape[1] == facts_.latent_channels) return {both, std::nullopt};
  if (shape[1] != 2 * facts_.latent_channels) {
    bad_input("vae_encoder: {} channels; expected {} (means and variances) or {} (drawn)", shape[1],
              2 * facts_.latent_channels, facts_.latent_channels);
  }
  return split_parameters(both);
}

Tensor SessionModels::decode_preview(const Tensor& latents) {
  if (!facts_.has_tiny_decoder) fail(ErrorCode::usage, "the model has no tiny_decoder");
  const Part& tiny = part("tiny_decoder");
  return through("tiny_decoder", need_port(tiny.inputs, "latent_sample", 4, "tiny_decoder"),
                 need_port(tiny.outputs, "sample", 4, "tiny_decoder"), latents);
}

}  // namespace tenon::pipelines
