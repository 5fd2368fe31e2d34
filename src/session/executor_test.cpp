// Engines made by hand: sizes that are refused by name, plans that come back, aliases, observers.
#include "session/executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "session/tensor_session.h"

namespace tenon::session {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

backend::CpuBackend& cpu() {
  static backend::CpuBackend backend(1);
  return backend;
}

// The plain kernel of an op stands last.
engine::Step step(const char* op, const char* name, std::vector<engine::ValueIndex> inputs,
                  engine::ValueIndex output, bool view = false) {
  engine::Step made;
  made.op = op;
  made.name = name;
  if (!view) made.kernels.push_back({std::string(kernels::rows_for(op).back()->name)});
  made.inputs = std::move(inputs);
  made.outputs = {output};
  return made;
}

const Dim kRows = Dim::symbol("n");

// y = -reshape(x) + c, z = reshape(x): x [n, 2] -> [2 * n].
std::shared_ptr<engine::Engine> small_engine() {
  auto engine = std::make_shared<engine::Engine>();
  engine->name = "small";
  engine->values = {
      {"x", DType::f32, {kRows, Dim(2)}},         {"flat", DType::f32, {kRows * Dim(2)}},
      {"negative", DType::f32, {kRows * Dim(2)}}, {"c", DType::f32, {}, 0},
      {"y", DType::f32, {kRows * Dim(2)}},        {"w", DType::f32, {kRows}}};
  engine::Constant ten;
  ten.bytes = sizeof(float);
  const auto data =
      std::shared_ptr<std::byte>(new std::byte[ten.bytes], std::default_delete<std::byte[]>());
  *reinterpret_cast<float*>(data.get()) = 10;
  ten.data = data;
  engine->constants = {ten};
  engine->steps = {step("Reshape", "flatten", {0}, 1, true), step("Neg", "negate", {1}, 2),
                   step("Add", "shift", {2, 3}, 4)};
  engine->inputs = {0, 5};
  engine->outputs = {4, 1};
  engine::validate(*engine);
  return engine;
}

Tensor floats(Shape shape, float first) {
  Tensor made(DType::f32, std::move(shape));
  for (float& number : made.as<float>()) number = first++;
  return made;
}

TensorMap inputs(std::int64_t rows, float first = 1) {
  TensorMap made;
  made.emplace("x", floats({rows, 2}, first));
  made.emplace("w", floats({rows}, 0));
  return made;
}

TEST(Executor, TellsTheMemoryOfSizesBeforeTheyRun) {
  TensorSession session(small_engine(), cpu());
  const std::size_t small = session.required_bytes({{"x", {3, 2}}, {"w", {3}}});
  const std::size_t large = session.required_bytes({{"x", {3000, 2}}, {"w", {3000}}});
  EXPECT_EQ(session.executor().arena_bytes(), 0U);
  session.run(inputs(3));
  EXPECT_EQ(session.executor().arena_bytes(), small);
  session.run(inputs(3000));
  EXPECT_EQ(session.executor().arena_bytes(), large);
  EXPECT_GE(large, 2 * 3000 * 2 * sizeof(float));
  EXPECT_THROW(session.required_bytes({{"x", {3, 2}}}), Error);
  EXPECT_THROW(session.required_bytes({{"x", {3, 2}}, {"w", {4}}}), Error);
}

TEST(Executor, MoreThanTheMachineHasIsRefusedAndHarmsNothing) {
  TensorSession session(small_engine(), cpu());
  session.run(inputs(3));
  const std::int64_t rows = std::int64_t{1} << 55;
  const TensorView x{DType::f32, {rows, 2}, nullptr};
  const TensorView w{DType::f32, {rows}, nullptr};
  try {
    session.executor().prepare(std::vector<TensorView>{x, w});
    FAIL() << "was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::resource);
    EXPECT_THAT(error.what(), HasSubstr("MB are free"));
  }
  const TensorMap outputs = session.run(inputs(3));
  EXPECT_EQ(outputs.at("y").as<float>()[0], 9);
}

std::string refusal(const TensorMap& given) {
  TensorSession session(small_engine(), cpu());
  try {
    session.run(given);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    return error.what();
  }
  return "no error";
}

TEST(Executor, RunsAndAliasesInputs) {
  TensorSession session(small_engine(), cpu());
  const TensorMap given = inputs(2);
  const TensorMap result = session.run(given);
  EXPECT_THAT(result.at("y").as<float>(), ElementsAre(9, 8, 7, 6));
  EXPECT_EQ(result.at("flat").shape(), (Shape{4}));
  EXPECT_THAT(result.at("flat").as<float>(), ElementsAre(1, 2, 3, 4));
  // A view of an input is the caller's memory.
  EXPECT_EQ(session.executor().output(1).data, given.at("x").data());
}

TEST(Executor, NamesWhatIsWrongWithInputs) {
  TensorMap given = inputs(2);
  given.erase("w");
  EXPECT_THAT(refusal(given), HasSubstr("input w is missing"));
  given = inputs(2);
  given.emplace("v", floats({1}, 0));
  EXPECT_THAT(refusal(given), HasSubstr("the model has no input v"));
  given = inputs(2);
  given.at("x") = floats({2, 3}, 0);
  EXPECT_THAT(refusal(given), HasSubstr("input x is [2, 3], expected [n, 2] = [2, 2]"));
  given.at("x") = floats({4}, 0);
  EXPECT_THAT(refusal(given), HasSubstr("input x is fp32 [4], expected fp32 [n, 2]"));
  given.at("x") = Tensor::from_ints({2, 2}, {{1, 2, 3, 4}});
  EXPECT_THAT(refusal(given), HasSubstr("input x is int64 [2, 2], expected fp32 [n, 2]"));
  given = inputs(2);
  given.at("w") = floats({3}, 0);
  EXPECT_THAT(refusal(given), HasSubstr("input w is [3], expected [n] = [2]"));
}

TEST(Executor, NamesAConstraintThatDoesNotHold) {
  auto engine = small_engine();
  engine->constraints.push_back({kRows, Dim(2), "shift"});
  TensorSession session(engine, cpu());
  session.run(inputs(2));
  EXPECT_THROW(session.run(inputs(3)), Error);
  EXPECT_THAT(session.run(inputs(2)).at("y").as<float>(), ElementsAre(9, 8, 7, 6));
}

TEST(Executor, NamesAKernelThatIsNotThere) {
  auto engine = small_engine();
  engine->steps[1].kernels[0].kernel = "neg_of_another_machine";
  try {
    TensorSession session(engine, cpu());
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("step negate: kernel neg_of_another_machine does not run"));
  }
}

TEST(Executor, ComesBackToSizesSeenBefore) {
  TensorSession session(small_engine(), cpu());
  // More sizes than plans are kept for, growing and shrinking, so that plans are dropped and the
  // arena moves under those that stay.
  for (const std::int64_t rows : {1, 64, 2, 2000, 1, 3, 4, 5, 6, 7, 8, 9, 10, 64, 1, 4000, 2}) {
    const auto first = static_cast<float>(rows);
    const TensorMap result = session.run(inputs(rows, first));
    const auto y = result.at("y").as<float>();
    ASSERT_EQ(y.size(), static_cast<std::size_t>(2 * rows));
    for (std::size_t i = 0; i < y.size(); ++i)
      ASSERT_EQ(y[i], 10 - (first + static_cast<float>(i))) << rows;
  }
  EXPECT_GE(session.executor().arena_bytes(), 4000U * 2 * sizeof(float));
}

TEST(Executor, RunsOnNothing) {
  TensorSession session(small_engine(), cpu());
  EXPECT_EQ(session.run(inputs(0)).at("y").shape(), (Shape{0}));
  EXPECT_THAT(session.run(inputs(1)).at("y").as<float>(), ElementsAre(9, 8));
}

TEST(Executor, ObserversSeeStepsInOrderWithTheirValues) {
  TensorSession session(small_engine(), cpu());
  std::vector<std::string> seen;
  std::vector<float> firsts;
  session.executor().observe(
      [&](const engine::Step& at, const engine::Value& value, const TensorView& view) {
        seen.push_back(at.name + " " + value.name);
        firsts.push_back(view.as<float>()[0]);
      });
  session.executor().enable_timings(true);
  session.run(inputs(2));
  session.run(inputs(3, 5));
  EXPECT_THAT(seen, ElementsAre("negate negative", "shift y", "negate negative", "shift y"));
  EXPECT_THAT(firsts, ElementsAre(-1, 9, -5, 5));
  EXPECT_EQ(session.executor().timings()[1].runs, 2);
  EXPECT_EQ(session.executor().timings()[0].runs, 0);  // a view costs nothing
}

}  // namespace
}  // namespace tenon::session
