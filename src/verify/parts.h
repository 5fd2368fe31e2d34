// The comparison of picture models, one network after the other.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "graph/graph.h"
#include "verify/picture_inputs.h"

namespace tenon::verify {

/// The two engines of one part. They are held only while the part is compared.
struct PartEngines {
  std::shared_ptr<const engine::Engine> a;
  std::shared_ptr<const engine::Engine> b;
};

struct PartOptions {
  Options comparison;
  std::optional<Budget> budget;  ///< none: by the precisions of each part's engines
  std::string name_a;
  std::string name_b;
  /// Gives B's graph of a part. With it an overflow of float16 is followed by a search for the
  /// steps that must be kept in float32; may be empty.
  std::function<graph::Graph(const std::string& part)> graph_of_b;
  /// Multiplications that the runs of one part may take on A. Latents get smaller until they fit,
  /// down to the smallest that the unet takes; then there are fewer timesteps and pictures.
  double max_products = 3e10;
};

/// Runs both engines of every part on seeded inputs of A's signature: ids, noise, timesteps over
/// their range. `parts` in the report: the worst first, by the share of its budget that it takes.
Report compare_parts(std::span<const std::string> parts,
                     const std::function<PartEngines(const std::string& part)>& engines,
                     const PictureSizes& sizes, const PartOptions& options,
                     backend::Backend& backend);

/// As evidence for a bundle: the report. Error(check_failed) names the part, what was exceeded and
/// the first departure.
Report prove_parts(std::span<const std::string> parts,
                   const std::function<PartEngines(const std::string& part)>& engines,
                   const PictureSizes& sizes, const PartOptions& options,
                   backend::Backend& backend);

}  // namespace tenon::verify
