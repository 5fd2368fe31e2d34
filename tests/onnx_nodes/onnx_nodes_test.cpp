// Runs the node test cases that record.py wrote, each read by the importer and computed by the
// reference kernels. The folder is named by TENON_ONNX_NODES; without it nothing is tested.
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include <gtest/gtest.h>
#include <onnx-ml.pb.h>

#include "base/error.h"
#include "base/mapped_file.h"
#include "graph/op_schema.h"
#include "onnx/reader.h"
#include "onnx/tensor_reader.h"
#include "planner/evaluate.h"

namespace tenon {
namespace {

namespace fs = std::filesystem;

struct NodeCase {
  std::string name;
  double rtol = 0;
  double atol = 0;
};

Tensor read_tensor(const fs::path& path) {
  auto proto = std::make_shared<::onnx::TensorProto>();
  if (!proto->ParseFromString(read_file(path))) bad_input("{}: not a tensor", path.string());
  return onnx::TensorReader(path.parent_path(), proto).read(*proto)->load();
}

// Cases in bfloat16 round every intermediate result to its 8 bits, which moves the last two of
// them.
double relative_tolerance(DType type, const NodeCase& test) {
  return type == DType::bf16 ? std::max(test.rtol, std::ldexp(1, -6)) : test.rtol;
}

std::string difference(const Tensor& found, const Tensor& expected, const NodeCase& test) {
  if (found.dtype() != expected.dtype())
    return fmt::format("{} for {}", dtype_name(found.dtype()), dtype_name(expected.dtype()));
  if (found.shape() != expected.shape())
    return fmt::format("{} for {}", to_string(found.shape()), to_string(expected.shape()));
  const double rtol = relative_tolerance(expected.dtype(), test);
  const Tensor left = converted(found.view(), DType::f64);
  const Tensor right = converted(expected.view(), DType::f64);
  for (std::size_t i = 0; i < right.as<double>().size(); ++i) {
    const double a = left.as<double>()[i];
    const double b = right.as<double>()[i];
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    if (!(std::abs(a - b) <= test.atol + rtol * std::abs(b)))
      return fmt::format("element {}: {} for {}", i, a, b);
  }
  return "";
}

// What is wrong with the case; "" when nothing is.
std::string run(const fs::path& folder, const NodeCase& test) {
  try {
    const graph::Graph graph = onnx::read(folder / "model.onnx");
    const fs::path data = folder / "test_data_set_0";
    std::map<graph::ValueId, Tensor> feeds;
    for (std::size_t i = 0; i < graph.inputs().size(); ++i)
      feeds.emplace(graph.inputs()[i], read_tensor(data / fmt::format("input_{}.pb", i)));
    const auto found = planner::evaluate(graph, graph.outputs(), feeds);
    for (std::size_t i = 0; i < found.size(); ++i) {
      const Tensor expected = read_tensor(data / fmt::format("output_{}.pb", i));
      const std::string wrong = difference(found[i], expected, test);
      if (!wrong.empty()) return fmt::format("output {}: {}", i, wrong);
    }
  } catch (const Error& error) {
    return std::string("refused: ") + error.what();
  }
  return "";
}

std::vector<NodeCase> cases_in(const fs::path& folder) {
  std::vector<NodeCase> cases;
  std::ifstream list(folder / "cases.txt");
  for (NodeCase test; list >> test.name >> test.rtol >> test.atol;) cases.push_back(test);
  return cases;
}

std::set<std::string> known_refusals() {
  std::set<std::string> names;
  std::ifstream list(TENON_SOURCE_DIR "/tests/onnx_nodes/refused.txt");
  for (std::string line; std::getline(list, line);) {
    if (!line.empty() && line[0] != '#') names.insert(line.substr(0, line.find(' ')));
  }
  return names;
}

// The list of refused cases may only shrink: a case on it that passes is a failure too.
TEST(OnnxNodes, AllPassButTheListedOnes) {
  const char* folder = std::getenv("TENON_ONNX_NODES");
  if (folder == nullptr) GTEST_SKIP() << "TENON_ONNX_NODES does not name a folder of node cases";
  const auto refusals = known_refusals();
  const auto cases = cases_in(folder);
  ASSERT_FALSE(cases.empty()) << folder << " has no cases.txt";
  int passed = 0;
  for (const NodeCase& test : cases) {
    const std::string wrong = run(fs::path(folder) / test.name, test);
    passed += wrong.empty() ? 1 : 0;
    if (!refusals.contains(test.name)) {
      EXPECT_EQ(wrong, "") << test.name;
    } else if (!wrong.starts_with("refused")) {
      ADD_FAILURE() << test.name << " is listed as refused: " << (wrong.empty() ? "passes" : wrong);
    }
  }
  std::cout << passed << " of " << cases.size() << " cases pass, " << refusals.size()
            << " are refused by name\n";
}

}  // namespace
}  // namespace tenon
