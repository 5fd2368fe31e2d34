#include "onnx/reader.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <vector>

#include <google/protobuf/io/coded_stream.h>

#include "base/error.h"
#include "base/mapped_file.h"
#include "onnx-ml.pb.h"
#include "onnx/importer.h"

namespace tenon::onnx {

namespace fs = std::filesystem;

namespace {

fs::path model_in(const fs::path& folder) {
  std::error_code error;
  if (fs::exists(folder / "model.onnx", error)) return folder / "model.onnx";
  std::vector<std::string> names;
  fs::directory_iterator entries(folder, error);
  if (error) bad_input("{}: cannot be listed: {}", folder.string(), error.message());
  for (const auto& entry : entries) {
    if (entry.path().extension() == ".onnx") names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  // Halves of one decoder: the one with a cache starts from an empty one as well.
  const std::vector<std::string> halves = {"decoder_model.onnx", "decoder_with_past_model.onnx"};
  for (const char* whole : {"decoder_model_merged.onnx", "decoder_with_past_model.onnx"}) {
    const auto rest = [&](const std::string& name) {
      return name == whole || std::find(halves.begin(), halves.end(), name) != halves.end();
    };
    if (std::all_of(names.begin(), names.end(), rest) &&
        std::find(names.begin(), names.end(), whole) != names.end())
      return folder / whole;
  }
  if (names.size() == 1) return folder / names[0];
  if (names.empty()) bad_input("{}: no .onnx file in this folder", folder.string());
  Error failure(ErrorCode::bad_input, fmt::format("{}: {} .onnx files and none is named model.onnx",
                                                  folder.string(), names.size()));
  throw failure.hint(fmt::format("name one of them, for example {}", (folder / names[0]).string()));
}

std::shared_ptr<const ::onnx::ModelProto> parse(std::span<const std::byte> bytes) {
  constexpr std::size_t kProtobufLimit = std::numeric_limits<int>::max();
  constexpr int kDepth = 100;
  if (bytes.empty()) bad_input("the file is empty, an ONNX model was expected");
  if (bytes.size() > kProtobufLimit) {
    Error error(ErrorCode::bad_input,
                fmt::format("{} bytes, an ONNX file holds at most 2 GB", bytes.size()));
    throw error.hint("save the model with its weights as external data");
  }
  auto model = std::make_shared<::onnx::ModelProto>();
  google::protobuf::io::CodedInputStream stream(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                                static_cast<int>(bytes.size()));
  stream.SetRecursionLimit(kDepth);
  if (!model->ParseFromCodedStream(&stream) || !stream.ConsumedEntireMessage()) {
    Error error(ErrorCode::bad_input, "not an ONNX model: the bytes are cut short or malformed");
    throw error.hint("download or copy the file again");
  }
  return model;
}

}  // namespace

graph::Graph read(std::span<const std::byte> model, const fs::path& data_folder,
                  const ReadOptions& options) {
  return import_model(parse(model), data_folder, options);
}

graph::Graph read(const fs::path& file_or_folder, const ReadOptions& options) {
  std::error_code error;
  const fs::path file =
      fs::is_directory(file_or_folder, error) ? model_in(file_or_folder) : file_or_folder;
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  const auto mapped = MappedFile::open(file);
  return with_context(file.string(), [&] {
    auto model = parse(mapped->bytes());
    mapped->release(0, mapped->bytes().size());
    return import_model(std::move(model), folder, options);
  });
}

}  // namespace tenon::onnx
