// How far apart the outputs of two runs on plain tensors are, counted over several runs.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "session/tensor_session.h"
#include "verify/report.h"

namespace tenon::verify {

/// Names of an output in A and of the same in B: those that are alike, and where none is, as they
/// stand in order.
std::vector<std::pair<std::string, std::string>> output_pairs(std::span<const std::string> a,
                                                              std::span<const std::string> b);
std::vector<std::string> output_names(const engine::Engine& engine);

class OutputAccumulator {
 public:
  explicit OutputAccumulator(std::vector<std::pair<std::string, std::string>> pairs);

  /// Error(bad_input) when an output differs in shape, or A has none of its name.
  void add(const session::TensorMap& a, const session::TensorMap& b);
  std::vector<OutputError> result() const;
  /// All outputs of all runs together: max_abs, mean_abs, relative_l2 and finite.
  Metrics metrics() const;
  /// Where they are furthest apart: the first run that is not finite before all others.
  std::size_t worst_run() const;

 private:
  struct Sums {
    OutputError error;
    double absolute = 0;
    double squares = 0;
    double squares_a = 0;
    double worst = -1;  // relative error of the worst run
  };
  void add(const TensorView& a, const TensorView& b, Sums& sums);

  std::vector<std::pair<std::string, std::string>> pairs_;
  std::vector<Sums> sums_;
  std::int64_t runs_ = 0;
};

/// Relative error of all outputs together; infinite when one is not finite or of another size.
double relative_error(std::span<const std::pair<std::string, std::string>> pairs,
                      const session::TensorMap& a, const session::TensorMap& b);

}  // namespace tenon::verify
