#include "picture_models.h"

#include <algorithm>
#include <cmath>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "planner/planner.h"

namespace tenon::tests {

std::filesystem::path picture_folder(const std::string& name) {
  return std::filesystem::path(TENON_SOURCE_DIR) / "tests" / "models_images" / name;
}

std::vector<std::string> picture_cases(const std::string& prefix) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(picture_folder(""))) {
    const std::string name = entry.path().filename();
    if (name.starts_with(prefix) && std::filesystem::exists(entry.path() / "expected.npz"))
      names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string test_name(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

double relative_l2(const TensorView& found, const TensorView& expected) {
  if (found.shape != expected.shape)
    bad_input("shapes {} and {} are compared", to_string(found.shape), to_string(expected.shape));
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < expected.as<float>().size(); ++i) {
    const double wanted = expected.as<float>()[i];
    difference += std::pow(found.as<float>()[i] - wanted, 2);
    norm += wanted * wanted;
  }
  return std::sqrt(difference / norm);
}

session::TensorMap run_reference(graph::Graph graph, const Recording& recording,
                                 const std::string& prefix,
                                 const std::map<std::string, std::string>& renamed) {
  session::TensorMap inputs;
  for (const graph::ValueId id : graph.inputs()) {
    const std::string& name = graph.value(id).name;
    const auto other = renamed.find(name);
    inputs[name] = recording.at(prefix + (other == renamed.end() ? name : other->second));
  }
  static backend::CpuBackend cpu(2);
  planner::CompileOptions options;
  options.target = Target::reference_run();
  session::TensorSession session(planner::compile(graph, options), cpu);
  return session.run(inputs);
}

}  // namespace tenon::tests
