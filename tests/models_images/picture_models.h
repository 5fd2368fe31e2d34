// What the tests of picture networks share: recordings, the reference run, the distance of results.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "graph/graph.h"
#include "session/tensor_session.h"
#include "tensor/npy.h"

namespace tenon::tests {

using Recording = std::map<std::string, Tensor, std::less<>>;

// The recordings are computed in float64 (CLIP: float32) and stored in float32, our weights are the
// same numbers. Each of some 60 layers rounds its result once, 6e-8 relative, and sums in float64,
// so 5e-7 of the norm is usual; angles of time, up to 801, are rounded to float32 on both sides in
// ways that differ by 801 * 6e-8 = 5e-5 at the worst frequency of one input among many.
inline constexpr double kPictureTolerance = 1e-5;

/// A folder beside this file.
std::filesystem::path picture_folder(const std::string& name);

/// Names of the recorded networks that begin with `prefix`, sorted.
std::vector<std::string> picture_cases(const std::string& prefix);
/// The name of a network as gtest takes it.
std::string test_name(const testing::TestParamInfo<std::string>& info);

/// Euclidean length of the difference over that of `expected`, both float32 of one shape.
double relative_l2(const TensorView& found, const TensorView& expected);

/// The graph under Target::reference_run(). Inputs are the recording's arrays of the graph's input
/// names behind `prefix`; `renamed` stands in for some names.
session::TensorMap run_reference(graph::Graph graph, const Recording& recording,
                                 const std::string& prefix,
                                 const std::map<std::string, std::string>& renamed = {});

}  // namespace tenon::tests
