// Runs one kernel row on small tensors, as a session would, and compares with what is expected.
#pragma once

#include <cmath>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/kernel.h"

namespace tenon::kernels::testing {

/// Row-major elements, rounded once to `type`.
inline Tensor tensor(DType type, Shape shape, const std::vector<double>& values) {
  const TensorView view{DType::f64, std::move(shape), std::as_bytes(std::span(values)).data()};
  EXPECT_EQ(view.count(), std::ssize(values));
  return converted(view, type);
}
inline Tensor f32(Shape shape, const std::vector<double>& values) {
  return tensor(DType::f32, std::move(shape), values);
}
inline Tensor i64(Shape shape, const std::vector<std::int64_t>& values) {
  return Tensor::from_ints(std::move(shape), values);
}
inline Tensor boolean(Shape shape, const std::vector<double>& values) {
  return tensor(DType::boolean, std::move(shape), values);
}

struct RowCase {
  std::string row;
  std::vector<std::optional<Tensor>> inputs;  ///< nullopt where an optional one is absent
  Attributes attributes;
  std::vector<Tensor> expected;
  double tolerance = 0;  ///< relative to the larger of 1 and the expected magnitude
};

inline StepDescription describe(const RowCase& test, std::string_view op) {
  StepDescription step;
  step.op = op;
  step.attributes = &test.attributes;
  for (const auto& input : test.inputs) {
    StepDescription::Operand operand;
    operand.present = input.has_value();
    if (input) operand = {input->dtype(), input->shape(), false, true, ""};
    step.inputs.push_back(operand);
  }
  for (const Tensor& output : test.expected)
    step.outputs.push_back({output.dtype(), output.shape(), false, true, ""});
  return step;
}

inline std::vector<Tensor> run_row(const KernelRow& row, const RowCase& test, ThreadPool* pool,
                                   bool in_place) {
  const StepDescription step = describe(test, row.op);
  EXPECT_TRUE(row.accepts(step));
  std::vector<Tensor> results;
  for (const Tensor& output : test.expected) {
    results.emplace_back(output.dtype(), output.shape());
    std::memset(results.back().data(), 0xa5, results.back().bytes());
  }
  std::vector<TensorView> inputs;
  std::vector<Shape> shapes;
  for (const auto& input : test.inputs) {
    inputs.push_back(input ? input->view() : TensorView{});
    shapes.push_back(inputs.back().shape);
  }
  if (in_place) {
    std::memcpy(results[0].data(), inputs[0].data, inputs[0].bytes());
    inputs[0].data = results[0].data();
  }
  std::vector<MutableTensorView> outputs;
  for (Tensor& result : results) outputs.push_back({result.dtype(), result.shape(), result.data()});
  const std::size_t bytes = row.workspace == nullptr
                                ? 0
                                : row.workspace(step, shapes, pool == nullptr ? 1 : pool->size());
  const Tensor workspace(DType::u8, {static_cast<std::int64_t>(bytes)});
  const BoundKernel kernel = row.bind(step);
  kernel({inputs, outputs, const_cast<std::byte*>(workspace.data()), pool, nullptr});
  return results;
}

inline void expect_near(const Tensor& found, const Tensor& expected, double tolerance) {
  if (!is_float(expected.dtype())) {
    EXPECT_EQ(converted(found.view(), DType::i64).as<std::int64_t>().size(),
              static_cast<std::size_t>(expected.count()));
    EXPECT_EQ(std::memcmp(found.data(), expected.data(), expected.bytes()), 0);
  }
  const Tensor left = converted(found.view(), DType::f64);
  const Tensor right = converted(expected.view(), DType::f64);
  for (std::size_t i = 0; i < right.as<double>().size(); ++i) {
    const double a = left.as<double>()[i];
    const double b = right.as<double>()[i];
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    EXPECT_LE(std::abs(a - b), tolerance * std::max(1.0, std::abs(b)))
        << "element " << i << ": found " << a << ", expected " << b;
  }
}

/// The row of the table by its name; a failure when there is none.
inline const KernelRow* row_named(std::span<const KernelRow> table, std::string_view name) {
  for (const KernelRow& row : table) {
    if (row.name == name) return &row;
  }
  ADD_FAILURE() << "no row is named " << name;
  return nullptr;
}

/// On the caller's thread, over a pool, and in place where the row allows it.
inline void check(std::span<const KernelRow> table, const RowCase& test) {
  SCOPED_TRACE(test.row);
  const KernelRow* row = row_named(table, test.row);
  if (row == nullptr) return;
  ThreadPool pool(3);
  std::vector<std::vector<Tensor>> runs;
  runs.push_back(run_row(*row, test, nullptr, false));
  runs.push_back(run_row(*row, test, &pool, false));
  if (row->in_place && test.inputs[0]->bytes() == test.expected[0].bytes())
    runs.push_back(run_row(*row, test, nullptr, true));
  for (const auto& results : runs) {
    for (std::size_t i = 0; i < results.size(); ++i)
      expect_near(results[i], test.expected[i], test.tolerance);
  }
}

/// Every row of the table has a case.
inline void expect_all_covered(std::span<const KernelRow> table, std::span<const RowCase> cases) {
  for (const KernelRow& row : table) {
    const bool covered = std::any_of(cases.begin(), cases.end(),
                                     [&](const RowCase& test) { return test.row == row.name; });
    EXPECT_TRUE(covered) << row.name << " has no case";
  }
}

}  // namespace tenon::kernels::testing
