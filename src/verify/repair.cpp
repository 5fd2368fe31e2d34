#include "verify/repair.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/interrupt.h"
#include "planner/planner.h"
#include "verify/output_errors.h"

namespace tenon::verify {
namespace {

using graph::Graph;
using graph::ValueId;

constexpr std::int64_t kMostRuns = 64;
constexpr double kGoodEnough = 0.05;
constexpr const char* kWide = ".float32";
constexpr const char* kNarrow = ".narrowed";

ValueId cast(Graph& graph, ValueId value, DType to, const std::string& name,
             const std::string& module) {
  Attributes attributes;
  attributes.set("to", onnx_type(to));
  return graph.add("Cast", name, {value}, attributes, module);
}

// Names of nodes that read an output of the node.
std::vector<std::string> readers_of(const Graph& graph, const std::string& name) {
  std::vector<std::string> found;
  for (const graph::NodeId id : graph.order()) {
    if (graph.node(id).name != name) continue;
    for (const ValueId output : graph.node(id).outputs) {
      if (output == graph::kNoValue) continue;
      for (const graph::NodeId reader : graph.readers(output))
        found.push_back(graph.node(reader).name);
    }
  }
  return found;
}

struct Trial {
  std::optional<std::string> broken;  // name of the first step that is not finite
  double relative = 0;
};

class Search {
 public:
  Search(const std::function<Graph()>& make, const session::TensorMap& inputs,
         const session::TensorMap& wanted, backend::Backend& backend)
      : make_(make), original_(make()), inputs_(inputs), wanted_(wanted), backend_(backend) {}

  std::optional<Float32Repair> run() {
    Trial trial = attempt(kept_);
    while (trial.broken) {
      if (!widen(*trial.broken) || tried_ >= kMostRuns) return std::nullopt;
      trial = attempt(kept_);
    }
    if (kept_.empty() || trial.relative > kGoodEnough) return std::nullopt;
    for (std::size_t i = kept_.size(); i-- > 0 && tried_ < kMostRuns;) {
      std::vector<std::string> fewer = kept_;
      fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
      const Trial without = attempt(fewer);
      if (without.broken || without.relative > kGoodEnough) continue;
      kept_ = std::move(fewer);
      trial = without;
    }
    return Float32Repair{kept_, trial.relative, tried_};
  }

 private:
  Trial attempt(const std::vector<std::string>& nodes) {
    check_interrupt();
    ++tried_;
    Graph graph = make_();
    keep_in_float32(graph, nodes);
    planner::CompileOptions options;
    options.target = Target::reference_run();
    TensorSubject subject("repaired", planner::compile(graph, options), backend_);
    Trial trial;
    subject.watched(inputs_).run(
        [&](const engine::Step& step, const engine::Value&, const TensorView& view) {
          if (trial.broken || !is_float(view.dtype)) return;
          const Tensor wide = converted(view, DType::f32);
          const auto numbers = wide.as<float>();
          const bool fits = std::none_of(numbers.begin(), numbers.end(), [](float number) {
            return !(number < HUGE_VALF);  // NaN or plus infinity: minus infinity is a mask
          });
          if (!fits) trial.broken = step.name;
        });
    if (!trial.broken) {
      const auto pairs = output_pairs(names_of(wanted_), output_names(subject.engine()));
      trial.relative = relative_error(pairs, wanted_, subject.run(inputs_));
    }
    return trial;
  }

  static std::vector<std::string> names_of(const session::TensorMap& map) {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : map) names.push_back(name);
    return names;
  }

  // What must be wide because of this step; false when nothing more can be.
  bool widen(const std::string& broken) {
    const auto without = [&](const char* ending) { return broken.substr(0, broken.rfind(ending)); };
    if (broken.find(kNarrow) == std::string::npos) {
      return broken.find(kWide) == std::string::npos && add(broken);
    }
    bool added = false;
    for (const std::string& reader : readers_of(original_, without(kNarrow)))
      added = add(reader) || added;
    return added;
  }

  bool add(const std::string& name) {
    if (std::find(kept_.begin(), kept_.end(), name) != kept_.end()) return false;
    kept_.push_back(name);
    return true;
  }

  const std::function<Graph()>& make_;
  Graph original_;
  const session::TensorMap& inputs_;
  const session::TensorMap& wanted_;
  backend::Backend& backend_;
  std::vector<std::string> kept_;
  std::int64_t tried_ = 0;
};

}  // namespace

void keep_in_float32(Graph& graph, const std::vector<std::string>& nodes) {
  const std::set<std::string> names(nodes.begin(), nodes.end());
  std::map<ValueId, ValueId> wide;  // by the narrow value
  for (const graph::NodeId id : graph.order()) {
    if (!names.contains(graph.node(id).name)) continue;
    graph::Node node = graph.node(id);
    const std::string name = node.name;
    const std::vector<ValueId> outputs = node.outputs;
    std::vector<std::string> written;
    for (ValueId& input : node.inputs) {
      if (input == graph::kNoValue || graph.value(input).dtype != DType::f16) continue;
      const auto found = wide.find(input);
      input = found != wide.end()
                  ? found->second
                  : cast(graph, input, DType::f32, graph.value(input).name + kWide, node.module);
    }
    for (const ValueId output : outputs)
      written.push_back(output == graph::kNoValue ? "" : graph.value(output).name + kWide);
    node.name += kWide;
    node.outputs.clear();
    const graph::NodeId added = graph.add_node(std::move(node), written);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (outputs[i] == graph::kNoValue) continue;
      const ValueId result = graph.node(added).outputs[i];
      if (graph.value(outputs[i]).dtype == graph.value(result).dtype) {
        graph.replace_value(outputs[i], result);
        continue;
      }
      const ValueId narrow =
          cast(graph, result, DType::f16, name + kNarrow, graph.node(added).module);
      graph.replace_value(outputs[i], narrow);
      wide.emplace(narrow, result);
    }
  }
  graph.tidy();
}

std::optional<Float32Repair> find_float32_repair(const std::function<Graph()>& make,
                                                 const session::TensorMap& inputs,
                                                 const session::TensorMap& wanted,
                                                 backend::Backend& backend) {
  return Search(make, inputs, wanted, backend).run();
}

}  // namespace tenon::verify
