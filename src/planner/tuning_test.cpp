// The choice among kernels by measured time, with a clock of the test's own.
#include "planner/tuning.h"

#include <fstream>

#include <gmock/gmock.h>

#include "base/atomic_file.h"

namespace tenon::planner {
namespace {

using kernels::KernelRow;
using kernels::StepDescription;

constexpr KernelRow toy_row(std::string_view name, Isa isa) {
  return {.op = "Toy", .name = name, .isa = isa, .weight_format = "", .accepts = {}, .bind = {}};
}
constexpr KernelRow kWide = toy_row("toy_wide", Isa::avx512);
constexpr KernelRow kNarrow = toy_row("toy_narrow", Isa::avx2);
constexpr const KernelRow* kRows[] = {&kWide, &kNarrow};

const Attributes kNone;

StepDescription toy(DType dtype = DType::f32) {
  StepDescription step;
  step.op = "Toy";
  step.attributes = &kNone;
  step.inputs.resize(1);
  step.inputs[0].dtype = dtype;
  step.inputs[0].shape = {-1, 8};
  step.outputs = step.inputs;
  return step;
}

const std::vector<DimShape> kShapes = {{Dim::symbol("tokens"), Dim(8)}};

std::vector<Dim::Bindings> tokens(std::vector<std::int64_t> counts) {
  std::vector<Dim::Bindings> sizes;
  for (const auto count : counts) sizes.push_back({{"tokens", count}});
  return sizes;
}

// The narrow one takes a time a row, the wide one is dear to start.
double narrow_wins_below_ten(const KernelRow& row, const Trial& trial) {
  return row.name == "toy_wide" ? 10.0 : static_cast<double>(trial.rows());
}

TEST(Tuner, PutsTheBorderBetweenSizesWithDifferentWinners) {
  Tuner tuner(tokens({1, 4, 16, 64}), 2, narrow_wins_below_ten);
  const auto choices = tuner.choose(toy(), kShapes, kShapes, kRows);
  ASSERT_EQ(choices.size(), 2U);
  EXPECT_EQ(choices[0].kernel, "toy_narrow");
  EXPECT_EQ(choices[0].max_rows, 8);  // sqrt(4 * 16)
  EXPECT_EQ(choices[1].kernel, "toy_wide");
  EXPECT_EQ(choices[1].max_rows, std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(tuner.measured(), 8);
}

TEST(Tuner, KeepsTheMostSpecialisedWhenTheOthersWinByLittle) {
  Tuner tuner(tokens({1}), 2,
              [](const KernelRow& row, const Trial&) { return &row == &kWide ? 1.0 : 0.97; });
  const auto choices = tuner.choose(toy(), kShapes, kShapes, kRows);
  ASSERT_EQ(choices.size(), 1U);
  EXPECT_EQ(choices[0].kernel, "toy_wide");
}

TEST(Tuner, DoesNotMeasureWhatNeedNotBeMeasured) {
  const auto never = [](const KernelRow&, const Trial&) -> double {
    ADD_FAILURE() << "measured";
    return 1;
  };
  Tuner alone(tokens({1}), 2, never);
  EXPECT_EQ(alone.choose(toy(), kShapes, kShapes, std::span(kRows).first(1)).size(), 1U);
  EXPECT_EQ(alone.choose(toy(DType::i64), kShapes, kShapes, kRows)[0].kernel, "toy_wide");
  Tuner other_sizes({{{"width", 3}}}, 2, never);
  EXPECT_EQ(other_sizes.choose(toy(), kShapes, kShapes, kRows)[0].kernel, "toy_wide");
}

TEST(Tuner, RemembersTimingsInItsFile) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "tenon_tuner";
  std::filesystem::remove_all(folder);
  const auto file = folder / "timings.json";
  {
    Tuner first(tokens({1, 64}), 2, narrow_wins_below_ten, file);
    first.choose(toy(), kShapes, kShapes, kRows);
    first.choose(toy(), kShapes, kShapes, kRows);  // an equal step costs nothing
    EXPECT_EQ(first.measured(), 4);
    first.save();
  }
  Tuner second(tokens({1, 64}), 2, narrow_wins_below_ten, file);
  EXPECT_EQ(second.choose(toy(), kShapes, kShapes, kRows).size(), 2U);
  EXPECT_EQ(second.measured(), 0);
  Tuner other_threads(tokens({1}), 1, narrow_wins_below_ten, file);
  other_threads.choose(toy(), kShapes, kShapes, kRows);
  EXPECT_EQ(other_threads.measured(), 2);

  write_file(file, "{\"version\": 1, \"machine\": 3}");
  Tuner damaged(tokens({1}), 2, narrow_wins_below_ten, file);
  EXPECT_EQ(damaged.choose(toy(), kShapes, kShapes, kRows)[0].kernel, "toy_narrow");
}

TEST(Tuner, MeasuresRealKernels) {
  StepDescription step = toy();
  step.op = "Relu";
  step.inputs[0].shape = step.outputs[0].shape = {32, 8};
  ThreadPool pool(1);
  const auto rows = kernels::rows_for("Relu");
  ASSERT_FALSE(rows.empty());
  EXPECT_GT(measure(*rows.back(), Trial{step, {{32, 8}}, {{32, 8}}}, pool), 0.0);
}

}  // namespace
}  // namespace tenon::planner
