// --profile and trtexec's --minShapes, --optShapes, --maxShapes: the sizes that a build is tuned
// for.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "tensor/dim.h"

namespace tenon::apps {

/// Shapes of inputs by name; a name may begin with a part and a dot, as unet.sample. One entry in
/// `sets` is one set of sizes.
struct SizeProfile {
  std::vector<std::map<std::string, Shape, std::less<>>> sets;
  /// Not asked for: the graph's own numbers count, and sets that it does not take are passed over.
  bool guessed = false;

  bool empty() const { return sets.empty(); }
};

struct ProfileFlags {
  std::vector<std::string> profiles;  ///< NAME=SHAPE[:SHAPE...][,NAME=...], SHAPE 1x4x64x64
  std::vector<std::string> min_shapes, opt_shapes, max_shapes;  ///< NAME:SHAPE[,NAME:SHAPE...]
};

/// Error(usage) shows the part that is no shape, and inputs with unequal numbers of shapes.
SizeProfile parse_profile(const ProfileFlags& flags);

/// The sizes of each set as the graph's symbols: of the sets that give every symbol of the inputs.
/// Inputs that other parts have are passed over. Error(usage) names an input whose shape does not
/// fit the graph, and what it can be.
std::vector<Dim::Bindings> bind_profile(const SizeProfile& profile, const std::string& part,
                                        const graph::Graph& graph);

}  // namespace tenon::apps
