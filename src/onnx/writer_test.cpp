// What the writer promises beyond the values: bounded memory, shared weights, whole files,
// refusals.
#include "onnx/writer.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "graph/op_schema.h"
#include "onnx/reader.h"
#include "onnx/test_models.h"

namespace tenon::onnx {
namespace {

namespace fs = std::filesystem;
using graph::Graph;
using testing::HasSubstr;

std::string refused(const Graph& graph, const WriteOptions& options) {
  const TestFolder folder;
  try {
    write(graph, folder / "model.onnx", options);
  } catch (const Error& error) {
    EXPECT_TRUE(fs::is_empty(folder.path())) << "a refused write left a file";
    return error.what();
  }
  return "";
}

Graph unary(std::string_view op, DType type, Attributes attributes = {}) {
  Graph graph;
  const auto x = graph.add_input("x", type, {2, Dim::symbol("n"), 4});
  graph.mark_output(graph.add(op, "", {x}, std::move(attributes), "model.act"), "y");
  return graph;
}

TEST(Writer, RefusesWhatTheOpsetCannotSay) {
  EXPECT_THAT(refused(unary("tenon.SwiGlu", DType::f32), {}), HasSubstr("tenon.SwiGlu"));
  EXPECT_THAT(refused(unary("Cos", DType::bf16), {}), HasSubstr("opset 22"));
  EXPECT_EQ(refused(unary("Cos", DType::bf16), {.opset = 23}), "");
  EXPECT_THAT(
      refused(unary("Cast", DType::f32, {{"to", std::int64_t{10}}, {"saturate", std::int64_t{0}}}),
              {}),
      HasSubstr("saturate"));
  EXPECT_THAT(refused(unary("Relu", DType::f32), {.opset = 16}), HasSubstr("opset 16"));
  EXPECT_THAT(refused(unary("Relu", DType::f32), {.external_name = "../weights"}),
              HasSubstr("plain file name"));
  Graph bits;
  const auto a = bits.add_input("a", DType::i32, {2});
  bits.mark_output(bits.add("BitwiseAnd", "", {a, a}), "y");
  EXPECT_THAT(refused(bits, {}), HasSubstr("BitwiseAnd came with opset 18"));
  EXPECT_EQ(refused(bits, {.opset = 18}), "");
}

// Counts what a reader asks for at once and fails when told to.
class WatchedSource final : public TensorSource {
 public:
  WatchedSource(Shape shape, std::int64_t fails_at)
      : TensorSource(DType::f32, std::move(shape)), fails_at_(fails_at) {}
  void read(std::int64_t begin, std::int64_t end, std::byte* out) const override {
    if (end > fails_at_) fail(ErrorCode::resource, "the disk is gone");
    most = std::max(most, (end - begin) * row_count() * 4);
    auto* to = reinterpret_cast<float*>(out);
    for (std::int64_t i = begin * row_count(); i < end * row_count(); ++i) {
      *to++ = static_cast<float>(i % 1000);
    }
  }
  void release() const override { ++released; }
  mutable std::int64_t most = 0;
  mutable int released = 0;

 private:
  std::int64_t fails_at_;
};

Graph with_weight(const SourcePtr& source, int readers = 1) {
  Graph graph;
  auto x = graph.add_input("x", DType::f32, {1, source->shape()[0]});
  for (int i = 0; i < readers; ++i) {
    const auto w = graph.add_constant(fmt::format("w{}", i), source);
    graph.mark_output(graph.add("MatMul", "", {x, w}), fmt::format("y{}", i));
  }
  return graph;
}

TEST(Writer, ReadsWeightsInBlocksWithinTheLimit) {
  const auto source = std::make_shared<WatchedSource>(Shape{4096, 64}, 4096);
  const TestFolder folder;
  std::uint64_t done = 0;
  std::uint64_t total = 0;
  write(with_weight(source), folder / "model.onnx", {.max_ram = 64 << 10},
        [&](std::uint64_t so_far, std::uint64_t all) {
          EXPECT_GE(so_far, done);
          done = so_far;
          total = all;
        });
  EXPECT_LE(source->most, 64 << 10);
  EXPECT_GT(source->released, 0);
  EXPECT_EQ(total, 4096U * 64 * 4);
  EXPECT_EQ(done, total);
  EXPECT_EQ(fs::file_size(folder / "model.onnx_data"), total);
  const Graph again = read(folder.path());
  const Tensor loaded = again.value(*again.find_value("w0")).constant->load();
  for (std::int64_t i = 0; i < loaded.count(); ++i) {
    ASSERT_EQ(loaded.as<float>()[static_cast<std::size_t>(i)], static_cast<float>(i % 1000));
  }
}

TEST(Writer, StoresASharedWeightOnce) {
  const auto source = std::make_shared<WatchedSource>(Shape{64, 64}, 64);
  const TestFolder folder;
  write(with_weight(source, 2), folder / "model.onnx");
  EXPECT_EQ(fs::file_size(folder / "model.onnx_data"), 64U * 64 * 4);
}

TEST(Writer, AFailureLeavesNothingBehind) {
  const auto source = std::make_shared<WatchedSource>(Shape{64, 64}, 32);
  EXPECT_THAT(refused(with_weight(source), {.max_ram = 4096}), HasSubstr("the disk is gone"));
}

TEST(Writer, NamesARowThatIsTooLarge) {
  const auto source = std::make_shared<WatchedSource>(Shape{1, 4096}, 1);
  EXPECT_THAT(refused(with_weight(source), {.max_ram = 1024}), HasSubstr("--max-ram"));
}

TEST(Writer, KeepsWeightsInsideWhenAsked) {
  const auto source = std::make_shared<WatchedSource>(Shape{64, 64}, 64);
  const TestFolder folder;
  write(with_weight(source), folder / "model.onnx", {.external_data = false});
  EXPECT_FALSE(fs::exists(folder / "model.onnx_data"));
  EXPECT_EQ(read(folder.path()).value(*read(folder.path()).find_value("w0")).shape[0], Dim(64));
}

TEST(Writer, AConstantMayBeAnOutput) {
  Graph graph;
  const auto x = graph.add_input("x", DType::f32, {2});
  const auto c = graph.add_constant("c", Tensor::from_floats({2}, std::vector<float>{1, 2}));
  graph.mark_output(graph.add("Add", "", {x, c}), "y");
  graph.mark_output(c, "table");
  const TestFolder folder;
  write(graph, folder / "model.onnx");
  const Graph again = read(folder.path());
  ASSERT_EQ(again.outputs().size(), 2U);
  EXPECT_EQ(again.value(again.outputs()[1]).name, "table");
}

}  // namespace
}  // namespace tenon::onnx
