// Times every row of tenon.Conv on the convolutions of real models (bench/shapes/*-convs.txt), with
// the prologue and epilogue that a residual block has. Operations count the padded taps. Beside
// each stands the machine's multiply-add peak, measured between the iterations.
//   kernels_bench --benchmark_filter='conv/sd-2.1/unet_320/.*bf16'
// TENON_BENCH_THREADS sets the team; cpu% is the share of the peak in the time that the first
// member had a processor: near peak% unless other programs ran.
#include <algorithm>
#include <ctime>
#include <fstream>
#include <sstream>

#include <benchmark/benchmark.h>

#include "kernels/cpu/convolution/channels_last_harness.h"
#include "kernels/cpu/linear/probes.h"

namespace tenon::kernels {
namespace {

struct Named {
  ConvCase shape;
  std::string name;
};

std::vector<Named> shapes_of(const std::string& model) {
  std::ifstream file(std::string(TENON_SOURCE_DIR) + "/bench/shapes/" + model + "-convs.txt");
  std::vector<Named> shapes;
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    Named made;
    ConvCase& c = made.shape;
    if (!(fields >> c.images >> c.height >> c.width >> c.channels >> c.channels2 >> c.columns >>
          c.kernel >> c.stride >> c.upsample >> made.name)) {
      continue;
    }
    c.pads.assign(4, c.kernel / 2);
    // Pictures enter as they are; shortcuts neither scale nor add.
    c.bias = true;
    c.scale_shift = c.input_silu = c.kernel > 1 && c.channels > 4;
    c.residual = c.image_bias = c.scale_shift && c.columns > 4;
    shapes.push_back(made);
  }
  return shapes;
}

ThreadPool& team() {
  const char* threads = std::getenv("TENON_BENCH_THREADS");
  static ThreadPool pool(threads == nullptr ? 0 : std::atoi(threads));
  return pool;
}

double median(std::vector<double>& values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

void run_conv(benchmark::State& state, const KernelRow& row, const ConvCase& shape) {
  const ConvProblem problem(shape);
  const StepDescription step = problem.describe(row.weight_format);
  const Tensor weight = problem.packed(row, team());
  const auto inputs = problem.inputs(weight);
  Tensor y(DType::f32, problem.result_shape());
  const std::vector<MutableTensorView> outputs = {{DType::f32, y.shape(), y.data()}};
  Tensor workspace(
      DType::u8, {static_cast<std::int64_t>(row.workspace(step, problem.shapes(), team().size()))});
  const BoundKernel kernel = row.bind(step);
  const DType type = format_named(row.weight_format)->dtype;
  kernel({inputs, outputs, workspace.data(), &team(), nullptr});

  std::vector<double> times;
  std::vector<double> own_times;
  std::vector<double> peaks;
  std::vector<double> own_peaks;
  for (auto _ : state) {
    double begin = thread_seconds();
    times.push_back(seconds([&] {
      kernel({inputs, outputs, workspace.data(), &team(), nullptr});
    }));
    own_times.push_back(thread_seconds() - begin);
    state.SetIterationTime(times.back());
    const double probe = seconds([&] {
      begin = thread_seconds();
      peaks.push_back(multiply_peak(team(), type));
    });
    own_peaks.push_back(peaks.back() * probe / (thread_seconds() - begin));
  }
  const double operations = 2.0 * static_cast<double>(element_count(problem.result_shape())) *
                            static_cast<double>(shape.depth());
  const double typical = median(times);
  state.counters["G/s"] = operations / typical * 1e-9;
  state.counters["peak_G/s"] = median(peaks) * 1e-9;
  state.counters["peak%"] = 100.0 * operations / typical / median(peaks);
  state.counters["cpu%"] = 100.0 * operations / median(own_times) / median(own_peaks);
}

const bool kRegistered = [] {
  for (const char* model : {"sd-2.1"}) {
    for (const Named& named : shapes_of(model)) {
      for (const KernelRow& row : cpu::channels_last_convolution_rows()) {
        if (row.weight_format.empty() || row.isa > native_isa() || native_isa() < Isa::avx512) {
          continue;
        }
        const std::string name =
            "conv/" + std::string(model) + "/" + named.name + "/" + std::string(row.name);
        benchmark::RegisterBenchmark(
            name.c_str(),
            [&row, shape = named.shape](benchmark::State& state) { run_conv(state, row, shape); })
            ->UseManualTime()
            ->Unit(benchmark::kMillisecond);
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace tenon::kernels
