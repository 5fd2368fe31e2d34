// Reductions along any set of axes: y = finish(fold over the reduced elements), in double for
// floating types, in int64 for integers where the formula stays among them.
#include <array>
#include <cmath>
#include <limits>

#include "kernels/cpu/elementwise/formulas.h"
#include "kernels/cpu/reduction/rows.h"
#include "kernels/cpu/reference/accepts.h"
#include "kernels/cpu/reference/strided.h"

namespace tenon::kernels::cpu {
namespace {

using namespace reference;

// Each formula: where it starts, how an element joins, what becomes of the sum.
struct Sum {
  template <typename T>
  static T start() {
    return 0;
  }
  template <typename T>
  static T join(T sum, T x) {
    return Add::apply(sum, x);
  }
  static double finish(double sum, std::int64_t) { return sum; }
};
struct Mean : Sum {
  static double finish(double sum, std::int64_t count) { return sum / static_cast<double>(count); }
};
struct LogSum : Sum {
  static double finish(double sum, std::int64_t) { return std::log(sum); }
};
struct SumSquare : Sum {
  template <typename T>
  static T join(T sum, T x) {
    return Add::apply(sum, Mul::apply(x, x));
  }
};
struct L2 : SumSquare {
  static double finish(double sum, std::int64_t) { return std::sqrt(sum); }
};
struct L1 : Sum {
  template <typename T>
  static T join(T sum, T x) {
    return x < 0 ? Sub::apply(sum, x) : Add::apply(sum, x);
  }
};
struct Product : Sum {
  template <typename T>
  static T start() {
    return 1;
  }
  template <typename T>
  static T join(T sum, T x) {
    return Mul::apply(sum, x);
  }
};
struct Largest : Sum {
  template <typename T>
  static T start() {
    using Limits = std::numeric_limits<T>;
    return Limits::has_infinity ? -Limits::infinity() : Limits::min();
  }
  template <typename T>
  static T join(T sum, T x) {
    return Max::apply(sum, x);
  }
};
struct Smallest : Sum {
  template <typename T>
  static T start() {
    using Limits = std::numeric_limits<T>;
    return Limits::has_infinity ? Limits::infinity() : Limits::max();
  }
  template <typename T>
  static T join(T sum, T x) {
    return Min::apply(sum, x);
  }
};

/// The elements of the input: `kept` walks the results, `reduced` what goes into each.
struct Axes {
  Strided kept;
  Strided reduced;
  std::int64_t results = 1;
  std::int64_t count = 1;
};

Axes axes_of(const Invocation& call, bool none_is_all) {
  const TensorView& x = call.inputs[0];
  const std::size_t rank = x.shape.size();
  std::array<bool, kMaxRank> goes{};
  const bool given = call.inputs.size() > 1 && call.inputs[1].data != nullptr;
  const std::int64_t named = given ? call.inputs[1].count() : 0;
  for (std::int64_t i = 0; i < named; ++i) {
    const std::int64_t axis = index_at(call.inputs[1].dtype, call.inputs[1].data, i);
    goes[static_cast<std::size_t>(axis < 0 ? axis + static_cast<std::int64_t>(rank) : axis)] = true;
  }
  if (named == 0 && none_is_all) goes.fill(true);
  std::array<std::int64_t, kMaxRank> strides{};
  row_major(x.shape, strides.data());
  Axes axes;
  for (std::size_t i = 0; i < rank; ++i) {
    (goes[i] ? axes.reduced : axes.kept).add_axis(x.shape[i], strides[i]);
    (goes[i] ? axes.count : axes.results) *= x.shape[i];
  }
  return axes;
}

// body(values, count) for the elements of one result, in blocks.
template <typename Wide, typename Body>
void each_block(const TensorView& x, const Axes& axes, std::int64_t base, Body&& body) {
  for (std::int64_t at = 0; at < axes.count;) {
    const Strided::Run run = axes.reduced.at(at);
    const std::int64_t count = std::min({run.length, axes.count - at, kBlock});
    Wide values[kBlock];
    if constexpr (std::is_same_v<Wide, double>) {
      load_real(x.dtype, x.data, base + run.offset, run.stride, count, values);
    } else {
      load_integer(x.dtype, x.data, base + run.offset, run.stride, count, values);
    }
    body(values, count);
    at += count;
  }
}

template <typename Op, typename Wide>
Wide folded(const TensorView& x, const Axes& axes, std::int64_t base) {
  Wide sum = Op::template start<Wide>();
  each_block<Wide>(x, axes, base, [&](const Wide* values, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) sum = Op::join(sum, values[i]);
  });
  return sum;
}

std::int64_t result_grain(std::int64_t count) {
  return std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(1, count));
}

template <typename Op>
void run_real(const Invocation& call, const Axes& axes) {
  const MutableTensorView& y = call.outputs[0];
  parallel(call, axes.results, result_grain(axes.count), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const double sum = folded<Op, double>(call.inputs[0], axes, axes.kept.at(i).offset);
      const double result = Op::finish(sum, axes.count);
      store_real(y.dtype, y.data, i, 1, 1, &result);
    }
  });
}

// Of no elements: the start, as near as the type comes to it.
template <typename Op>
void run_empty(const Invocation& call, const Axes& axes) {
  const MutableTensorView& y = call.outputs[0];
  double start = Op::template start<double>();
  if (y.dtype == DType::boolean) start = start > 0 ? 1 : 0;
  for (std::int64_t i = 0; i < axes.results; ++i) store_real(y.dtype, y.data, i, 1, 1, &start);
}

template <typename Op>
void run_integer(const Invocation& call, const Axes& axes) {
  const MutableTensorView& y = call.outputs[0];
  if (axes.count == 0) return run_empty<Op>(call, axes);
  parallel(call, axes.results, result_grain(axes.count), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const auto sum = folded<Op, std::int64_t>(call.inputs[0], axes, axes.kept.at(i).offset);
      store_integer(y.dtype, y.data, i, 1, 1, &sum);
    }
  });
}

bool none_is_all(const StepDescription& step) {
  return step.attributes->get_int("noop_with_empty_axes", 0) == 0;
}

// Formulas that keep integers integers.
template <typename Op>
BoundKernel bind_integral(const StepDescription& step) {
  return [all = none_is_all(step)](const Invocation& call) {
    const Axes axes = axes_of(call, all);
    if (is_float(call.inputs[0].dtype)) return run_real<Op>(call, axes);
    run_integer<Op>(call, axes);
  };
}

// Formulas that leave them: computed in double, towards zero at the end.
template <typename Op>
BoundKernel bind_real(const StepDescription& step) {
  return
      [all = none_is_all(step)](const Invocation& call) { run_real<Op>(call, axes_of(call, all)); };
}

// log(sum(e^x)) = m + log(sum(e^(x - m))) with m the largest, so that nothing overflows.
BoundKernel bind_log_sum_exp(const StepDescription& step) {
  return [all = none_is_all(step)](const Invocation& call) {
    const Axes axes = axes_of(call, all);
    const MutableTensorView& y = call.outputs[0];
    for (std::int64_t i = 0; i < axes.results; ++i) {
      const std::int64_t base = axes.kept.at(i).offset;
      const double largest = folded<Largest, double>(call.inputs[0], axes, base);
      const double shift = std::isfinite(largest) ? largest : 0;
      double sum = 0;
      each_block<double>(call.inputs[0], axes, base, [&](const double* values, std::int64_t count) {
        for (std::int64_t k = 0; k < count; ++k) sum += std::exp(values[k] - shift);
      });
      const double result = shift + std::log(sum);
      store_real(y.dtype, y.data, i, 1, 1, &result);
    }
  };
}

bool accepts_reduce(const StepDescription& step) {
  const DType from = step.inputs[0].dtype;
  const DType to = step.outputs[0].dtype;
  return all_plain(step) && (from == to || (is_float(from) && is_float(to)));
}

constexpr KernelRow row(std::string_view op, std::string_view name,
                        BoundKernel (*bind)(const StepDescription&)) {
  return {.op = op,
          .name = name,
          .isa = Isa::none,
          .weight_format = "",
          .accepts = accepts_reduce,
          .bind = bind};
}

constexpr KernelRow kRows[] = {
    row("ReduceSum", "reduce_sum_reference", bind_integral<Sum>),
    row("ReduceMean", "reduce_mean_reference", bind_real<Mean>),
    row("ReduceMax", "reduce_max_reference", bind_integral<Largest>),
    row("ReduceMin", "reduce_min_reference", bind_integral<Smallest>),
    row("ReduceProd", "reduce_prod_reference", bind_integral<Product>),
    row("ReduceL1", "reduce_l1_reference", bind_integral<L1>),
    row("ReduceL2", "reduce_l2_reference", bind_real<L2>),
    row("ReduceSumSquare", "reduce_sum_square_reference", bind_integral<SumSquare>),
    row("ReduceLogSum", "reduce_log_sum_reference", bind_real<LogSum>),
    row("ReduceLogSumExp", "reduce_log_sum_exp_reference", bind_log_sum_exp),
};

}  // namespace

std::span<const KernelRow> reduce_rows() { return kRows; }

}  // namespace tenon::kernels::cpu
