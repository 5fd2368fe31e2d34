// GridSample: y takes x at places between -1 and 1 that a grid names, by ONNX's formulas: nearest,
// linear or cubic (Keys, a = -0.75) between neighbours, which beyond the edge are zeros, the edge
// or a reflection.
#include <array>
#include <cmath>

#include "kernels/cpu/image/rows.h"
#include "kernels/cpu/reference/accepts.h"
#include "kernels/cpu/reference/strided.h"

namespace tenon::kernels::cpu {
namespace {

using namespace reference;

enum class Mode { nearest, linear, cubic };
enum class Edge { zeros, border, reflection };

struct Sampler {
  Mode mode = Mode::linear;
  Edge edge = Edge::zeros;
  bool corners = false;

  explicit Sampler(const Attributes& attributes) {
    const std::string named = attributes.get_string("mode", "linear");
    mode = named == "nearest" ? Mode::nearest : named == "cubic" ? Mode::cubic : Mode::linear;
    const std::string beyond = attributes.get_string("padding_mode", "zeros");
    edge = beyond == "border"       ? Edge::border
           : beyond == "reflection" ? Edge::reflection
                                    : Edge::zeros;
    corners = attributes.get_int("align_corners", 0) != 0;
  }

  // Coordinate of x for one of the grid.
  double place(double grid, std::int64_t size) const {
    const auto n = static_cast<double>(size);
    return corners ? (grid + 1) / 2 * (n - 1) : ((grid + 1) * n - 1) / 2;
  }
  // The element that stands for `index`, a whole number; -1 for zero.
  std::int64_t element(double index, std::int64_t size) const;
};

double reflected(double x, double low, double high) {
  const double range = high - low;
  if (!(range > 0)) return 0;
  const bool under = x < low;
  if (!under && !(x > high)) return x;
  const double beyond = under ? low - x : x - high;
  const double rest = std::fmod(beyond, range);
  const bool even = std::fmod(std::trunc(beyond / range), 2) == 0;
  return under == even ? low + rest : high - rest;
}

std::int64_t Sampler::element(double index, std::int64_t size) const {
  const auto last = static_cast<double>(size - 1);
  if (edge == Edge::zeros)
    return index >= 0 && index <= last ? static_cast<std::int64_t>(index) : -1;
  if (edge == Edge::reflection)
    index = corners ? reflected(index, 0, last) : std::trunc(reflected(index, -0.5, last + 0.5));
  if (!(index > 0)) return 0;  // NaN too
  return static_cast<std::int64_t>(std::fmin(index, last));
}

double keys(double x) {
  constexpr double a = -0.75;
  x = std::fabs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

// Along one axis: elements and their weights.
struct Neighbours {
  std::int64_t count = 1;
  std::array<std::int64_t, 4> elements{};
  std::array<double, 4> weights{};
};

Neighbours neighbours(const Sampler& sampler, double grid, std::int64_t size) {
  Neighbours found;
  const double place = sampler.place(grid, size);
  if (sampler.mode == Mode::nearest) {
    found.elements[0] = sampler.element(std::nearbyint(place), size);
    found.weights[0] = 1;
    return found;
  }
  const bool cubic = sampler.mode == Mode::cubic;
  found.count = cubic ? 4 : 2;
  const double first = std::floor(place) - (cubic ? 1 : 0);
  for (std::size_t i = 0; i < static_cast<std::size_t>(found.count); ++i) {
    const double at = first + static_cast<double>(i);
    found.elements[i] = sampler.element(at, size);
    found.weights[i] = cubic ? keys(at - place) : std::fmax(0, 1 - std::fabs(at - place));
  }
  return found;
}

double blend(const TensorView& x, const Neighbours* axes, std::size_t rank,
             const std::int64_t* sizes, std::int64_t offset) {
  if (rank == 0) {
    double value = 0;
    load_real(x.dtype, x.data, offset, 1, 1, &value);
    return value;
  }
  double sum = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(axes->count); ++i) {
    if (axes->elements[i] < 0) continue;
    sum += axes->weights[i] *
           blend(x, axes + 1, rank - 1, sizes + 1, offset * *sizes + axes->elements[i]);
  }
  return sum;
}

void sample(const Invocation& call, const Sampler& sampler, std::int64_t point,
            std::int64_t points) {
  const TensorView& x = call.inputs[0];
  const TensorView& grid = call.inputs[1];
  const MutableTensorView& y = call.outputs[0];
  const std::size_t rank = x.shape.size() - 2;
  std::array<double, kMaxRank> coordinates{};
  load_real(grid.dtype, grid.data, point * static_cast<std::int64_t>(rank), 1,
            static_cast<std::int64_t>(rank), coordinates.data());
  std::array<Neighbours, kMaxRank> axes{};
  for (std::size_t i = 0; i < rank; ++i)
    axes[i] = neighbours(sampler, coordinates[rank - 1 - i], x.shape[i + 2]);
  const std::int64_t image = point / points;
  for (std::int64_t c = 0; c < x.shape[1]; ++c) {
    const std::int64_t plane = image * x.shape[1] + c;
    const double value = blend(x, axes.data(), rank, x.shape.data() + 2, plane);
    store_real(y.dtype, y.data, plane * points + point % points, 1, 1, &value);
  }
}

BoundKernel bind_grid_sample(const StepDescription& step) {
  return [sampler = Sampler(*step.attributes)](const Invocation& call) {
    const MutableTensorView& y = call.outputs[0];
    if (y.count() == 0) return;
    if (call.inputs[0].count() == 0) {  // nothing to take from: zeros
      std::fill_n(y.data, static_cast<std::size_t>(y.count()) * dtype_size(y.dtype), std::byte{0});
      return;
    }
    const std::int64_t points = product(y.shape, 2, y.shape.size());
    parallel(call, y.shape[0] * points, 64, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t point = begin; point < end; ++point) sample(call, sampler, point, points);
    });
  };
}

constexpr KernelRow kRows[] = {
    {.op = "GridSample",
     .name = "grid_sample_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = all_float,
     .bind = bind_grid_sample},
};

}  // namespace

std::span<const KernelRow> grid_sample_rows() { return kRows; }

}  // namespace tenon::kernels::cpu
