// A picture model as the ONNX folders that other programs load: which graphs, files and names.
#pragma once

#include <string>
#include <vector>

#include "model_source.h"

namespace tenon::apps {

enum class PictureLayout {
  /// As optimum exports: ids int64, one int64 timestep for all pictures, vae_encoder gives
  /// latent_parameters.
  optimum,
  /// As diffusers' conversion script does: ids int32, timesteps [1] or one each in the model's
  /// type, vae_encoder gives latent_sample. The script draws that sample; here it is the mean of
  /// the distribution, so that a run can be repeated.
  diffusers,
};

/// "optimum" or "diffusers"; Error(usage) for others.
PictureLayout parse_picture_layout(const std::string& name);

/// The graph of one part with the inputs and outputs of the layout. Error(bad_input) names what is
/// not supported.
graph::Graph graph_in_layout(const ModelSource& source, const std::string& part,
                             PictureLayout layout, DType dtype);

/// Tokenizer, scheduler, a config.json for every part and, last in order, model_index.json, by
/// path. Components that do not come along are null in the index.
std::vector<std::pair<std::string, std::string>> files_in_layout(const ModelSource& source,
                                                                 PictureLayout layout);

}  // namespace tenon::apps
