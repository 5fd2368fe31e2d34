// Times every packed row of tenon.Linear on the shapes of real models (bench/shapes/*.txt), with
// weights that are cold for few rows. Each result is put beside the machine's limit, measured
// between the iterations: the time that reading the weights or the arithmetic must take.
//   kernels_bench --benchmark_filter='linear/llama2-7b/gate_up/.*/m:1$'
// TENON_BENCH_THREADS sets the team, TENON_BENCH_HUGE_PAGES=1 puts the weights into huge pages.
#include <algorithm>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>

#include <benchmark/benchmark.h>
#include <sys/mman.h>

#include "kernels/cpu/linear/probes.h"
#include "kernels/cpu/tables.h"

namespace tenon::kernels {
namespace {

constexpr std::size_t kColdBytes = std::size_t{600} << 20;  // far beyond any cache

struct Shape2d {
  std::string name;
  std::int64_t k;
  std::int64_t n;
};

std::vector<Shape2d> shapes_of(const std::string& model) {
  std::ifstream file(std::string(TENON_SOURCE_DIR) + "/bench/shapes" + "/" + model + ".txt");
  std::vector<Shape2d> shapes;
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    Shape2d shape;
    if (fields >> shape.k >> shape.n >> shape.name) shapes.push_back(shape);
  }
  return shapes;
}

ThreadPool& team() {
  const char* threads = std::getenv("TENON_BENCH_THREADS");
  static ThreadPool pool(threads == nullptr ? 0 : std::atoi(threads));
  return pool;
}

/// Memory of its own pages, so that the kind of page is the caller's choice.
class Pages {
 public:
  explicit Pages(std::size_t bytes) : size_(bytes) {
    data_ = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (std::getenv("TENON_BENCH_HUGE_PAGES") != nullptr) ::madvise(data_, size_, MADV_HUGEPAGE);
  }
  ~Pages() { ::munmap(data_, size_); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  std::byte* data() const { return static_cast<std::byte*>(data_); }
  std::size_t size() const { return size_; }

 private:
  void* data_;
  std::size_t size_;
};

const PackedFormat& format_of(const KernelRow& row) {
  const auto formats = cpu::linear_formats();
  return *std::find_if(formats.begin(), formats.end(), [&](const PackedFormat& format) {
    return format.name == row.weight_format;
  });
}

/// Copies of one packed weight, as many as the caches cannot hold.
struct Weights {
  Weights(const PackedFormat& format, const Shape2d& shape, bool cold)
      : bytes((format.bytes(shape.k, shape.n) + 4095) / 4096 * 4096),
        copies(cold ? kColdBytes / bytes + 1 : 1),
        pages(bytes * copies) {
    Tensor values(DType::f32, {shape.k, shape.n});
    std::minstd_rand generator(1);
    for (float& value : values.as<float>()) {
      value = static_cast<float>(generator() % 2001) * 1e-4F - 0.1F;
    }
    format.pack(*owned_source(std::move(values)), pages.data(), team());
    for (std::size_t i = 1; i < copies; ++i) {
      std::memcpy(pages.data() + i * bytes, pages.data(), bytes);
    }
  }
  std::size_t bytes;
  std::size_t copies;
  Pages pages;
};

double median(std::vector<double>& values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

// Slices of 64 MB in turn, not those that a kernel has just read.
class BandwidthProbe {
 public:
  double operator()() {
    constexpr std::size_t kSlice = std::size_t{64} << 20;
    at_ = (at_ + kSlice) % pages_.size();
    return read_bandwidth(team(), {pages_.data() + at_, kSlice});
  }

 private:
  Pages pages_{std::size_t{512} << 20};
  std::size_t at_ = (std::memset(pages_.data(), 1, pages_.size()), 0);
};

void run_linear(benchmark::State& state, const KernelRow& row, const Shape2d& shape,
                std::int64_t m) {
  static BandwidthProbe bandwidth_probe;
  const PackedFormat& format = format_of(row);
  const Weights weights(format, shape, m <= 16);
  StepDescription step{.op = row.op, .attributes = nullptr, .inputs = {}, .outputs = {}};
  step.inputs.push_back({DType::f32, {-1, shape.k}, false, true, ""});
  step.inputs.push_back({DType::f32, {shape.k, shape.n}, true, true, format.name});
  step.outputs.push_back({DType::f32, {-1, shape.n}, false, true, ""});
  const BoundKernel kernel = row.bind(step);

  Tensor x(DType::f32, {m, shape.k});
  Tensor y(DType::f32, {m, shape.n});
  for (std::size_t i = 0; i < x.as<float>().size(); ++i) {
    x.as<float>()[i] = static_cast<float>(i * 37 % 101) * 0.02F - 1.0F;
  }
  const std::vector<Shape> shapes = {x.shape(), {shape.k, shape.n}};
  Tensor workspace(DType::u8,
                   {static_cast<std::int64_t>(row.workspace(step, shapes, team().size()) + 64)});
  std::vector<TensorView> inputs = {x.view(), {DType::f32, {shape.k, shape.n}, nullptr}};
  const std::vector<MutableTensorView> outputs = {{DType::f32, y.shape(), y.data()}};

  std::vector<double> times;
  std::vector<double> bandwidths;
  std::vector<double> peaks;
  std::size_t copy = 0;
  for (auto _ : state) {
    // A whole rotation an iteration, so that every copy is cold again.
    const double time = seconds([&] {
                          for (std::size_t i = 0; i < weights.copies; ++i) {
                            inputs[1].data = weights.pages.data() + copy * weights.bytes;
                            copy = (copy + 1) % weights.copies;
                            kernel({inputs, outputs, workspace.data(), &team(), nullptr});
                          }
                        }) /
                        static_cast<double>(weights.copies);
    state.SetIterationTime(time);
    times.push_back(time);
    bandwidths.push_back(bandwidth_probe());
    peaks.push_back(multiply_peak(team(), format.dtype));
  }
  const double operations = 2.0 * static_cast<double>(m * shape.k * shape.n);
  const auto bytes = static_cast<double>(weights.bytes);
  const double typical = median(times);
  const double bandwidth = median(bandwidths);
  const double peak = median(peaks);
  state.counters["G/s"] = operations / typical * 1e-9;
  state.counters["peak_G/s"] = peak * 1e-9;
  state.counters["GB/s"] = bytes / typical * 1e-9;
  state.counters["read_GB/s"] = bandwidth * 1e-9;
  state.counters["peak%"] = 100.0 * operations / typical / peak;
  state.counters["read%"] = 100.0 * bytes / typical / bandwidth;
  const double limit = std::max(operations / peak, m <= 16 ? bytes / bandwidth : 0.0);
  state.counters["limit%"] = 100.0 * limit / typical;
}

const bool kRegistered = [] {
  for (const char* model : {"llama2-7b", "tinyllama-1.1b", "pythia-410m"}) {
    for (const Shape2d& shape : shapes_of(model)) {
      for (const KernelRow& row : cpu::linear_rows()) {
        if (row.weight_format.empty() || row.isa > native_isa() || native_isa() < Isa::avx512) {
          continue;
        }
        for (const std::int64_t m : {1, 4, 16, 128, 512}) {
          const std::string name = "linear/" + std::string(model) + "/" + shape.name + "/" +
                                   std::string(row.name) + "/m:" + std::to_string(m);
          benchmark::RegisterBenchmark(
              name.c_str(),
              [&row, shape, m](benchmark::State& state) { run_linear(state, row, shape, m); })
              ->UseManualTime()
              ->Unit(benchmark::kMicrosecond);
        }
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace tenon::kernels
