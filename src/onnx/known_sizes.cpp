#include "onnx/known_sizes.h"

namespace tenon::onnx {
namespace {

std::string lone_symbol(const Dim& dim) {
  const std::vector<std::string> names = dim.symbols();
  return names.size() == 1 && dim == Dim::symbol(names[0]) ? names[0] : std::string();
}

}  // namespace

void fix_known_sizes(graph::Graph& graph) {
  std::map<std::string, Dim, std::less<>> known;
  for (const graph::Constraint& constraint : graph.constraints) {
    for (const auto& [open, fixed] :
         {std::pair(constraint.a, constraint.b), std::pair(constraint.b, constraint.a)}) {
      const std::string name = lone_symbol(open);
      if (!name.empty() && fixed.constant()) known.emplace(name, fixed);
    }
  }
  if (!known.empty()) graph.substitute(known);
}

}  // namespace tenon::onnx
