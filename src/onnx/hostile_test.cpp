// Files that mean harm, or were cut short: each ends in an Error that says what is wrong.
#include <fstream>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "onnx/reader.h"
#include "onnx/test_models.h"

namespace tenon::onnx {
namespace {

namespace fs = std::filesystem;
using ::onnx::AttributeProto;
using ::onnx::TensorProto;
using testing::HasSubstr;

::onnx::ModelProto with_weight(const std::string& location, const std::string& offset = "0",
                               const std::string& length = "16") {
  auto model = model_of(17);
  add_external(model, location, offset, length);
  add_node(model, "Neg", {"w"}, {"y"});
  return model;
}

TEST(Hostile, BytesThatAreNoModel) {
  EXPECT_THROW(read(std::span<const std::byte>(), {}), Error);
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    std::string bytes(random() % 300, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    EXPECT_THROW(read(std::as_bytes(std::span(bytes)), {}), Error);
  }
}

TEST(Hostile, EveryTruncationIsReadOrRefused) {
  auto model = model_of(17);
  add_floats(model, "w", {2}, {1, 2});
  add_node(model, "Concat", {"w", "w"}, {"z"});
  set_ints(add_node(model, "Transpose", {"x"}, {"y"}), "perm", {1, 0});
  const std::string whole = model.SerializeAsString();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    try {
      read(std::as_bytes(std::span(whole).first(size)), {});
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input);
    }
  }
}

TEST(Hostile, FlippedBytesAreReadOrRefused) {
  auto model = model_of(17);
  add_floats(model, "w", {2, 1}, {1, 2});
  add_node(model, "MatMul", {"x", "w"}, {"t"});
  set_ints(add_node(model, "Transpose", {"x"}, {"y"}), "perm", {1, 0});
  const std::string whole = model.SerializeAsString();
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const int change : {1, 0x80, 0xff}) {
      std::string bytes = whole;
      bytes[at] = static_cast<char>(bytes[at] ^ change);
      try {
        read(std::as_bytes(std::span(bytes)), {});
      } catch (const Error&) {
      }
    }
  }
}

TEST(Hostile, ExternalDataStaysBeneathTheFolder) {
  const TestFolder folder;
  fs::create_directories(folder / "model/inner");
  write_file(folder / "outside", std::string(16, 'x'));
  write_file(folder / "model/inside", std::string(16, 'x'));
  const fs::path model = folder / "model";
  EXPECT_EQ(refusal(with_weight("inside"), model), "");
  for (const std::string location :
       {"../outside", "../../etc/passwd", "/etc/passwd", "inner/../../outside", "a/../../b",
        "C:\\x", "..\\outside", "", "*/_ORT_MEM_ADDR_/*"}) {
    EXPECT_THAT(refusal(with_weight(location), model), HasSubstr("external data")) << location;
  }
  EXPECT_THAT(refusal(with_weight((folder / "outside").string()), model),
              HasSubstr("not a relative path"));
  EXPECT_THAT(refusal(with_weight("inside"), {}), HasSubstr("without a folder"));
}

TEST(Hostile, LinksAndDevicesAreNoWeights) {
  const TestFolder folder;
  fs::create_directories(folder / "model");
  fs::create_directories(folder / "elsewhere");
  write_file(folder / "elsewhere/data", std::string(16, 'x'));
  const fs::path model = folder / "model";
  fs::create_symlink("../elsewhere/data", model / "link");
  fs::create_directory_symlink("../elsewhere", model / "parent");
  fs::create_hard_link(folder / "elsewhere/data", model / "hard");
  ASSERT_EQ(::mkfifo((model / "fifo").c_str(), 0600), 0);
  EXPECT_THAT(refusal(with_weight("link"), model), HasSubstr("symbolic link"));
  EXPECT_THAT(refusal(with_weight("parent/data"), model), HasSubstr("symbolic link"));
  EXPECT_THAT(refusal(with_weight("hard"), model), HasSubstr("hard link"));
  EXPECT_THAT(refusal(with_weight("fifo"), model), HasSubstr("not a regular file"));
  EXPECT_THAT(refusal(with_weight("missing"), model), HasSubstr("cannot be opened"));
}

TEST(Hostile, LinksOfADownloadCacheAreFollowed) {
  const TestFolder folder;
  fs::create_directories(folder / "blobs");
  fs::create_directories(folder / "snapshots/0123/onnx");
  write_file(folder / "blobs/abc", std::string(16, 'x'));
  write_file(folder / "secret", std::string(16, 'x'));
  const fs::path model = folder / "snapshots/0123/onnx";
  fs::create_symlink("../../../blobs/abc", model / "data");
  fs::create_symlink("../../../secret", model / "escape");
  EXPECT_EQ(refusal(with_weight("data"), model), "");
  EXPECT_THAT(refusal(with_weight("escape"), model), HasSubstr("symbolic link"));
}

TEST(Hostile, PlacesOutsideTheFile) {
  const TestFolder folder;
  write_file(folder / "data", std::string(16, 'x'));
  const std::vector<std::pair<std::string, std::string>> places = {
      {"-1", "16"},
      {"0", "-1"},
      {"1", "16"},
      {"16", "16"},
      {"0", "9223372036854775808"},
      {"18446744073709551615", "16"},
      {"99999999999999999999999", "16"},
      {"0x0", "16"},
      {"0", "8"},
      {"", "17"},
      {" 0", "16"}};
  for (const auto& [offset, length] : places) {
    EXPECT_THAT(refusal(with_weight("data", offset, length), folder.path()),
                HasSubstr("external data"))
        << offset << " " << length;
  }
  auto model = with_weight("data");
  auto& entry = *model.mutable_graph()->mutable_initializer(0)->add_external_data();
  entry.set_key("__class__");
  EXPECT_THAT(refusal(model, folder.path()), HasSubstr("not a known key"));
  entry.set_key("location");
  EXPECT_THAT(refusal(model, folder.path()), HasSubstr("given twice"));
}

TEST(Hostile, TensorsWhoseBytesDoNotFit) {
  struct Case {
    std::function<void(TensorProto&)> spoil;
    const char* says;
  };
  const std::vector<Case> cases = {
      {[](TensorProto& t) { t.add_float_data(1); }, "elements"},
      {[](TensorProto& t) { t.set_raw_data("abc"); }, "more than one field"},
      {[](TensorProto& t) { t.clear_float_data(), t.set_raw_data("abc"); }, "raw_data has 3 bytes"},
      {[](TensorProto& t) { t.set_dims(0, -1); }, "negative"},
      {[](TensorProto& t) {
         t.set_dims(0, std::int64_t{1} << 40), t.add_dims(std::int64_t{1} << 40);
       },
       "more elements"},
      {[](TensorProto& t) {
         for (int i = 0; i < 100; ++i) t.add_dims(1);
       },
       "dimensions"},
      {[](TensorProto& t) { t.set_data_type(TensorProto::STRING); }, "STRING"},
      {[](TensorProto& t) { t.set_data_type(99); }, "type 99"},
      {[](TensorProto& t) { t.mutable_segment(); }, "segment"},
      {[](TensorProto& t) {
         t.clear_float_data(), t.set_data_type(TensorProto::INT8);
         t.add_int32_data(300), t.add_int32_data(0);
       },
       "cannot hold"},
  };
  for (const Case& one : cases) {
    auto model = model_of(17);
    one.spoil(add_floats(model, "w", {2}, {1, 2}));
    add_node(model, "Neg", {"w"}, {"y"});
    EXPECT_THAT(refusal(model), HasSubstr(one.says));
    EXPECT_THAT(refusal(model), HasSubstr("tensor w"));
  }
}

TEST(Hostile, GraphsThatAreNone) {
  auto cycle = model_of(17);
  add_node(cycle, "Add", {"x", "b"}, {"a"});
  add_node(cycle, "Neg", {"a"}, {"b"});
  add_node(cycle, "Neg", {"b"}, {"y"});
  EXPECT_THAT(refusal(cycle), HasSubstr("cycle"));
  auto twice = model_of(17);
  add_node(twice, "Neg", {"x"}, {"y"});
  add_node(twice, "Exp", {"x"}, {"y"});
  EXPECT_THAT(refusal(twice), HasSubstr("y is written twice"));
  auto shadow = model_of(17);
  add_floats(shadow, "w", {1}, {1});
  add_node(shadow, "Neg", {"x"}, {"w"});
  add_node(shadow, "Neg", {"w"}, {"y"});
  EXPECT_THAT(refusal(shadow), HasSubstr("w is written twice"));
  auto none = model_of(17);
  EXPECT_THAT(refusal(none), HasSubstr("output y"));
  ::onnx::ModelProto empty;
  empty.set_ir_version(8);
  EXPECT_THAT(refusal(empty), HasSubstr("no graph"));
}

TEST(Hostile, VersionsAndDomains) {
  auto opset = model_of(99);
  EXPECT_THAT(refusal(opset), HasSubstr("opset 99"));
  auto old = model_of(8);
  EXPECT_THAT(refusal(old), HasSubstr("opset 8"));
  auto ir = model_of(17);
  ir.set_ir_version(99);
  EXPECT_THAT(refusal(ir), HasSubstr("IR version 99"));
  auto domain = model_of(17);
  add_node(domain, "Magic", {"x"}, {"y"}).set_domain("org.example");
  EXPECT_THAT(refusal(domain), HasSubstr("operator Magic of org.example is not supported"));
  auto unknown = model_of(17);
  add_node(unknown, "LSTM", {"x", "x", "x"}, {"y"});
  EXPECT_THAT(refusal(unknown),
              HasSubstr("node /model/LSTM (LSTM): operator LSTM is not supported"));
  auto loop = model_of(17);
  auto& body = *add_node(loop, "Loop", {"", "x"}, {"y"}).add_attribute();
  body.set_name("body");
  body.set_type(AttributeProto::GRAPH);
  body.mutable_g();
  EXPECT_THAT(refusal(loop), HasSubstr("(Loop): operator Loop is not supported"));
  auto sparse = model_of(17);
  sparse.mutable_graph()->add_sparse_initializer()->mutable_values()->set_name("s");
  EXPECT_THAT(refusal(sparse), HasSubstr("sparse initializer s"));
}

TEST(Hostile, BranchesNestedTenThousandDeep) {
  // Written from the inside out by hand: the library itself would not serialise it.
  const auto field = [](int number, const std::string& bytes) {
    std::string out(1, static_cast<char>(number * 8 + 2));
    for (std::size_t size = bytes.size();; size >>= 7) {
      const auto low = static_cast<char>(size & 0x7f);
      if (size < 0x80) {
        out += low;
        break;
      }
      out += static_cast<char>(low | 0x80);
    }
    out.append(bytes);
    return out;
  };
  std::string graph;
  for (int depth = 0; depth < 10'000; ++depth) {
    const std::string attribute = field(6, graph);  // AttributeProto.g
    const std::string node = field(5, attribute);   // NodeProto.attribute
    graph = field(1, node);                         // GraphProto.node
  }
  const std::string model = field(7, graph);
  EXPECT_THROW(read(std::as_bytes(std::span(model)), {}), Error);
  std::string group;
  for (int depth = 0; depth < 10'000; ++depth) group += static_cast<char>(15 * 8 + 3);
  EXPECT_THROW(read(std::as_bytes(std::span(group)), {}), Error);
}

TEST(Hostile, HugeCounts) {
  auto wide = model_of(17);
  const std::string x = "x", a = "a", b = "b", local = "local";
  auto& node = add_node(wide, "Concat", {}, {"y"});
  for (int i = 0; i < 1'000'000; ++i) node.add_input(x);
  EXPECT_THAT(refusal(wide), HasSubstr("1000000 inputs"));
  // Functions that each call the next one twice: 2^30 nodes in a file of a kilobyte.
  auto model = model_of(17);
  for (int i = 0; i < 15; ++i) {
    auto& function = *model.add_functions();
    function.set_name(fmt::format("F{}", i));
    function.set_domain(local);
    function.add_input(a);
    function.add_output(b);
    for (int call = 0; call < 20; ++call) {
      auto& inner = *function.add_node();
      inner.set_op_type(i == 0 ? std::string("Neg") : fmt::format("F{}", i - 1));
      inner.set_domain(i == 0 ? std::string() : local);
      inner.add_input(a);
      inner.add_output(call == 0 ? std::string("b") : fmt::format("b{}", call));
    }
  }
  add_node(model, "F14", {"x"}, {"y"}).set_domain("local");
  const std::string bytes = model.SerializeAsString();
  try {
    read(std::as_bytes(std::span(bytes)), {}, {.max_nodes = 10'000});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("more than 10000 nodes"));
  }
}

TEST(Hostile, GreatShapesCostNothing) {
  auto model = model_of(17);
  auto& sizes = *model.mutable_graph()->add_initializer();
  sizes.set_name("sizes");
  sizes.set_data_type(TensorProto::INT64);
  sizes.add_dims(2);
  sizes.add_int64_data(std::int64_t{1} << 40);
  sizes.add_int64_data(std::int64_t{1} << 40);
  add_node(model, "ConstantOfShape", {"sizes"}, {"big"});
  add_node(model, "Neg", {"big"}, {"y"});
  try {
    read_model(model);  // no memory is asked for; inference may refuse it
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
  }
}

TEST(Hostile, AFolderThatDoesNotSayWhichModel) {
  const TestFolder folder;
  EXPECT_THROW(read(folder.path()), Error);
  write_file(folder / "a.onnx", "x");
  write_file(folder / "b.onnx", "x");
  try {
    read(folder.path());
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("none is named model.onnx"));
  }
}

}  // namespace
}  // namespace tenon::onnx
