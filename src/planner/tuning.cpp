#include "planner/tuning.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "backend/cpu/cpu_backend.h"
#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/log.h"

namespace tenon::planner {
namespace {

constexpr int kVersion = 1;

std::optional<std::vector<Shape>> evaluated(std::span<const DimShape> shapes,
                                            const Dim::Bindings& sizes) {
  std::vector<Shape> made;
  for (const DimShape& shape : shapes) {
    for (const Dim& dim : shape) {
      for (const std::string& symbol : dim.symbols()) {
        if (!sizes.contains(symbol)) return std::nullopt;
      }
    }
    made.push_back(evaluate(shape, sizes));
  }
  return made;
}

bool all_floats(const kernels::StepDescription& step) {
  return std::all_of(step.inputs.begin(), step.inputs.end(), [](const auto& input) {
    return !input.present || !input.format.empty() || is_float(input.dtype);
  });
}

std::size_t bytes_of(const kernels::StepDescription::Operand& operand, const Shape& shape) {
  if (!operand.present) return 0;
  if (!operand.format.empty())
    return kernels::find_format(operand.format)->bytes(shape.at(0), shape.at(1));
  return static_cast<std::size_t>(element_count(shape)) * dtype_size(operand.dtype);
}

// Every byte alike: a small number in each float type, so that no sum overflows or is denormal.
constexpr int kFill = 0x3c;

std::shared_ptr<std::byte> filled(std::size_t bytes) {
  auto memory = backend::allocate_huge(bytes);
  std::memset(memory.get(), kFill, bytes);
  return memory;
}

// What the time depends on; the kernels' own code is told by the version of the file.
std::string key_of(const kernels::KernelRow& row, const Trial& trial) {
  std::string key = std::string(row.name);
  for (const auto& [name, value] : *trial.step.attributes)
    key += fmt::format(" {}={}", name, attribute_text(value));
  for (std::size_t i = 0; i < trial.inputs.size(); ++i) {
    const auto& operand = trial.step.inputs[i];
    key += operand.present ? fmt::format(" {}{}{}", dtype_name(operand.dtype), operand.format,
                                         to_string(trial.inputs[i]))
                           : " -";
  }
  return key;
}

}  // namespace

std::int64_t Trial::rows() const {
  const Shape& shape = inputs.empty() ? outputs.at(0) : inputs[0];
  std::int64_t count = 1;
  for (std::size_t i = 0; i + 1 < shape.size(); ++i) count *= shape[i];
  return count;
}

double measure(const kernels::KernelRow& row, const Trial& trial, ThreadPool& pool) {
  constexpr int kRuns = 3;
  constexpr double kEnough = 0.3;  // seconds: longer steps are told apart by one run
  std::vector<std::shared_ptr<std::byte>> memory;
  std::vector<TensorView> inputs;
  for (std::size_t i = 0; i < trial.inputs.size(); ++i) {
    const auto& operand = trial.step.inputs[i];
    inputs.push_back({operand.dtype, trial.inputs[i], nullptr});
    if (!operand.present) continue;
    memory.push_back(filled(bytes_of(operand, trial.inputs[i])));
    inputs.back().data = memory.back().get();
  }
  std::vector<kernels::MutableTensorView> outputs;
  for (std::size_t i = 0; i < trial.outputs.size(); ++i) {
    const auto& operand = trial.step.outputs[i];
    memory.push_back(filled(bytes_of(operand, trial.outputs[i])));
    outputs.push_back({operand.dtype, trial.outputs[i], memory.back().get()});
  }
  kernels::Invocation call{.inputs = inputs, .outputs = outputs, .pool = &pool};
  if (row.workspace != nullptr) {
    memory.push_back(backend::allocate_huge(row.workspace(trial.step, trial.inputs, pool.size())));
    call.workspace = memory.back().get();
  }
  const kernels::BoundKernel run = row.bind(trial.step);
  double best = std::numeric_limits<double>::infinity();
  double spent = 0;
  for (int i = 0; i <= kRuns && spent < kEnough; ++i) {  // the first touches the workspace
    const auto start = std::chrono::steady_clock::now();
    run(call);
    const double took = seconds_since(start);
    spent += took;
    if (i > 0 || spent >= kEnough) best = std::min(best, took);
  }
  return best;
}

Tuner::Tuner(std::vector<Dim::Bindings> profiles, int threads, Stopwatch stopwatch,
             std::filesystem::path cache)
    : profiles_(std::move(profiles)),
      machine_(fmt::format("{} {} x{}", cpu_info().model, isa_name(native_isa()), threads)),
      stopwatch_(std::move(stopwatch)),
      cache_(std::move(cache)) {
  if (cache_.empty() || !std::filesystem::exists(cache_)) return;
  try {
    const Json file = read_json(cache_);
    if (file.value("version", 0) != kVersion || file.value("machine", "") != machine_) return;
    timings_ = file.at("seconds").get<std::map<std::string, double>>();
  } catch (const std::exception& error) {
    log::warn("{}: not a file of timings, it is begun anew ({})", cache_.string(), error.what());
  }
}

double Tuner::seconds(const kernels::KernelRow& row, const Trial& trial) {
  const auto [known, inserted] = timings_.try_emplace(key_of(row, trial), 0.0);
  if (inserted) {
    known->second = stopwatch_(row, trial);
    ++measured_;
  }
  return known->second;
}

std::vector<engine::Choice> Tuner::choose(const kernels::StepDescription& step,
                                          std::span<const DimShape> inputs,
                                          std::span<const DimShape> outputs,
                                          std::span<const kernels::KernelRow* const> candidates) {
  const auto named = [](const kernels::KernelRow& row) { return std::string(row.name); };
  if (candidates.size() == 1 || candidates[0]->uses_state || !all_floats(step))
    return {{named(*candidates[0])}};

  std::map<std::int64_t, const kernels::KernelRow*> fastest;  // by rows
  for (const Dim::Bindings& sizes : profiles_) {
    const auto input_shapes = evaluated(inputs, sizes);
    const auto output_shapes = evaluated(outputs, sizes);
    if (!input_shapes || !output_shapes) continue;
    const Trial trial{step, *input_shapes, *output_shapes};
    const kernels::KernelRow* best = nullptr;
    double time = 0;
    for (const kernels::KernelRow* row : candidates) {
      const double took = seconds(*row, trial);
      if (took > 0 && (best == nullptr || took < time * (1 - kMargin))) {
        best = row;
        time = took;
      }
    }
    if (best != nullptr) fastest.try_emplace(trial.rows(), best);
  }
  if (fastest.empty()) return {{named(*candidates[0])}};

  // Between two sizes with different winners the border is their geometric mean.
  std::vector<engine::Choice> choices;
  for (auto at = fastest.begin(); at != fastest.end(); ++at) {
    const auto next = std::next(at);
    if (next != fastest.end() && next->second == at->second) continue;
    choices.push_back({named(*at->second)});
    if (next == fastest.end()) break;
    choices.back().max_rows = static_cast<std::int64_t>(
        std::sqrt(static_cast<double>(at->first) * static_cast<double>(next->first)));
  }
  return choices;
}

void Tuner::save() const {
  if (cache_.empty() || measured_ == 0) return;
  try {
    std::filesystem::create_directories(cache_.parent_path());
    const Json file = {{"version", kVersion}, {"machine", machine_}, {"seconds", timings_}};
    write_file(cache_, file.dump(1));
  } catch (const std::exception& error) {
    log::warn("{}: timings are not kept: {}", cache_.string(), error.what());
  }
}

std::filesystem::path timing_cache() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache != '\0')
    return std::filesystem::path(cache) / "tenon" / "timings.json";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0')
    return std::filesystem::path(home) / ".cache" / "tenon" / "timings.json";
  return {};
}

}  // namespace tenon::planner
