// tenon run for anything: outputs from inputs, as .npy files.
#include <algorithm>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "commands/run.h"
#include "session/tensor_session.h"
#include "tensor/npy.h"

namespace tenon::apps {
namespace {

const std::shared_ptr<const engine::Engine>& engine_of(const Model& model,
                                                       const std::string& part) {
  const auto found = model.engines.find(part);
  return found == model.engines.end() ? model.engine() : found->second;
}

}  // namespace

void add_tensor_flags(CLI::App& command, TensorOptions& options) {
  command.add_option("--input", options.inputs, "NAME=FILE.npy: run on plain tensors; repeatable");
  command.add_option("--part", options.part, "of a picture model, with --input: unet, ...");
  command.add_option("--output-dir", options.output_dir, "where the outputs go, one .npy each");
}

void run_tensors(const RunOptions& options, const TensorOptions& tensors, const Common& common) {
  if (tensors.output_dir.empty()) fail(ErrorCode::usage, "--input needs --output-dir");
  backend::CpuBackend backend(common.threads);
  Target target = Target::native(parse_precision(options.precision));
  target.keep_state = false;
  const Model model = load_model(options.source, target, common.threads);
  session::TensorMap inputs;
  for (const std::string& pair : tensors.inputs) {
    const auto equals = pair.find('=');
    if (equals == std::string::npos)
      fail(ErrorCode::usage, "--input {} is not NAME=FILE.npy", pair);
    inputs[pair.substr(0, equals)] = read_npy(pair.substr(equals + 1));
  }
  session::TensorSession session(engine_of(model, tensors.part), backend);
  const auto outputs = session.run(inputs);
  std::filesystem::create_directories(tensors.output_dir);
  Json written = Json::object();
  for (const auto& [name, tensor] : outputs) {
    std::string file = name;
    std::replace(file.begin(), file.end(), '/', '_');
    const auto path = std::filesystem::path(tensors.output_dir) / (file + ".npy");
    write_npy(path, tensor.view());
    written[name] = path.string();
    if (!common.json)
      fmt::print(stderr, "{} {} {} -> {}\n", name, dtype_name(tensor.dtype()),
                 to_string(tensor.shape()), path.string());
  }
  if (common.json) print_json({{"outputs", written}});
}

}  // namespace tenon::apps
