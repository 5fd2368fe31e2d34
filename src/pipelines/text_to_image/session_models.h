// Engines as the networks that text-to-image calls, whichever exporter the graphs came from.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "engine/engine.h"
#include "pipelines/text_to_image/diffusion_models.h"
#include "pipelines/text_to_image/engine_ports.h"
#include "session/tensor_session.h"

namespace tenon::pipelines {

/// By part: text_encoder, unet, vae_decoder; vae_encoder and tiny_decoder where they are.
using PictureEngines = std::map<std::string, std::shared_ptr<const engine::Engine>, std::less<>>;
/// By relative path: unet/config.json, vae/config.json, text_encoder/config.json. Each may be
/// missing: then the engines say what they can, and the rest is as in Stable Diffusion 1.
using PictureFiles = std::map<std::string, std::string, std::less<>>;

/// Both families of ONNX graphs pass, told apart by names, types and ranks: `timestep` scalar or
/// [batch], of any type; ids of 32 or 64 bits; `latent_parameters` or an encoder that draws itself;
/// tensors of 16 bits are converted. The unet runs several times where its batch is fixed and
/// divides the one asked for. The sessions share one arena. Needs the backend to outlive it.
class SessionModels final : public DiffusionModels {
 public:
  /// Error(bad_input) names a part that is missing, or an engine whose inputs and outputs are not
  /// those of its part.
  SessionModels(const PictureEngines& engines, const PictureFiles& files,
                backend::Backend& backend);

  const DiffusionFacts& facts() const override { return facts_; }
  Tensor encode_text(const Tensor& ids, std::int64_t clip_skip) override;
  Tensor predict_noise(const Tensor& sample, double timestep, const Tensor& states,
                       const Tensor* time_cond) override;
  Tensor decode(const Tensor& latents) override;
  LatentParameters encode(const Tensor& images) override;
  Tensor decode_preview(const Tensor& latents) override;

  std::size_t noise_bytes(const Shape& sample, const Shape& states) const override;
  std::size_t decode_bytes(const Shape& latents) const override;
  std::size_t held_bytes() const override;

  /// The session of a part, for timings; null where there is none.
  session::TensorSession* session(std::string_view part);

 private:
  struct Part {
    std::unique_ptr<session::TensorSession> session;
    std::vector<Port> inputs;
    std::vector<Port> outputs;
  };
  Part& part(std::string_view name);
  const Part& part(std::string_view name) const;
  void read_unet(const Json& config);
  void read_text_encoder(const Json& config);
  void read_autoencoder(const Json& config);
  Tensor through(std::string_view part, const Port& input, const Port& output, const Tensor& value);
  Tensor skipped_states(session::TensorMap& outputs, std::int64_t clip_skip);

  std::map<std::string, Part, std::less<>> parts_;
  DiffusionFacts facts_;
  Port ids_, states_;                                       // of text_encoder
  Port sample_, timestep_, text_, time_cond_, prediction_;  // of unet; time_cond_ may be nameless
  Port latents_, picture_;                                  // of vae_decoder
  Port source_, parameters_;                                // of vae_encoder
  double norm_epsilon_ = 1e-5;
};

}  // namespace tenon::pipelines
