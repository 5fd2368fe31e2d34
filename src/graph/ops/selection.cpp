// Operators that take, join and place elements.
#include <algorithm>

#include "graph/ops/common.h"
#include "graph/ops/content.h"
#include "graph/ops/ops.h"
#include "graph/ops/slice.h"

namespace tenon::graph::ops {
namespace {

// Indices that are known must lie in [-size, size).
void check_indices(const InferenceContext& context, std::size_t index, const Dim& size) {
  const auto limit = size.constant();
  const auto content = context.try_content(index);
  if (!limit || !content) return;
  for (const Dim& element : *content) {
    const auto number = element.constant();
    if (number && (*number < -*limit || *number >= *limit)) {
      bad_input("index {} of input {} ({}) is outside an axis of size {}", *number, index,
                context.input(index).name, *limit);
    }
  }
}

void gather_content(InferenceContext& context) {
  const auto data = context.try_content(0);
  const auto indices = context.try_content(1);
  if (!data || !indices || context.input(0).shape.size() != 1) return;
  const auto size = static_cast<std::int64_t>(data->size());
  std::vector<Dim> taken;
  for (const Dim& index : *indices) {
    const auto number = index.constant();
    if (!number) return;
    taken.push_back((*data)[static_cast<std::size_t>(*number < 0 ? *number + size : *number)]);
  }
  context.set_content(0, std::move(taken));
}

void infer_gather(InferenceContext& context) {
  const Value& data = context.input(0);
  const Value& indices = index_input(context, 1);
  require_min_rank(context, 0, 1);
  const std::size_t axis =
      InferenceContext::axis(context.attributes().get_int("axis", 0), data.shape.size());
  check_indices(context, 1, data.shape[axis]);
  DimShape shape(data.shape.begin(), data.shape.begin() + static_cast<std::ptrdiff_t>(axis));
  shape.insert(shape.end(), indices.shape.begin(), indices.shape.end());
  shape.insert(shape.end(), data.shape.begin() + static_cast<std::ptrdiff_t>(axis) + 1,
               data.shape.end());
  context.set_output(0, data.dtype, std::move(shape));
  gather_content(context);
}

// Off the axis, the indices are no larger than the data.
void require_indices_inside(InferenceContext& context, std::size_t axis) {
  const DimShape& data = context.input(0).shape;
  const DimShape& indices = context.input(1).shape;
  for (std::size_t i = 0; i < data.size(); ++i) {
    const Dim room = data[i] - indices[i];
    if (i == axis || never_negative(room)) continue;
    if (room.constant()) {
      bad_input("indices of shape {} do not lie inside {} off axis {}", to_string(indices),
                to_string(data), axis);
    }
    context.require_equal(Dim::max(indices[i], data[i]), data[i]);
  }
}

void infer_gather_elements(InferenceContext& context) {
  const Value& data = context.input(0);
  const Value& indices = index_input(context, 1);
  require_min_rank(context, 0, 1);
  require_rank(context, 1, data.shape.size());
  const std::size_t axis =
      InferenceContext::axis(context.attributes().get_int("axis", 0), data.shape.size());
  check_indices(context, 1, data.shape[axis]);
  require_indices_inside(context, axis);
  context.set_output(0, data.dtype, indices.shape);
}

// The length of the index tuples: the last dimension of `index`, between 1 and `most`.
std::size_t tuple_length(const InferenceContext& context, std::size_t index, std::size_t most) {
  require_min_rank(context, index, 1);
  const Dim& last = context.input(index).shape.back();
  const auto length = last.constant();
  if (!length || *length < 1 || *length > static_cast<std::int64_t>(most)) {
    bad_input("the last dimension of the indices is {}, expected a number from 1 to {}",
              last.to_string(), most);
  }
  return static_cast<std::size_t>(*length);
}

void infer_gather_nd(InferenceContext& context) {
  const Value& data = context.input(0);
  const Value& indices = typed_input(context, 1, DType::i64);
  require_min_rank(context, 0, 1);
  require_min_rank(context, 1, 1);
  const std::int64_t batch = context.attributes().get_int("batch_dims", 0);
  const std::size_t least = std::min(data.shape.size(), indices.shape.size());
  if (batch < 0 || batch >= static_cast<std::int64_t>(least))
    bad_input("batch_dims {} of tensors of rank {} and more", batch, least);
  const auto skipped = static_cast<std::size_t>(batch);
  const std::size_t length = tuple_length(context, 1, data.shape.size() - skipped);
  DimShape shape(indices.shape.begin(), indices.shape.end() - 1);
  for (std::size_t i = 0; i < skipped; ++i)
    shape[i] = context.require_equal(data.shape[i], indices.shape[i]);
  shape.insert(shape.end(), data.shape.begin() + static_cast<std::ptrdiff_t>(skipped + length),
               data.shape.end());
  context.set_output(0, data.dtype, std::move(shape));
}

void check_reduction(const InferenceContext& context) {
  const std::string how = context.attributes().get_string("reduction", "none");
  for (const char* known : {"none", "add", "mul", "max", "min"}) {
    if (how == known) return;
  }
  bad_input("reduction \"{}\", expected one of none, add, mul, max, min", how);
}

void require_same_shape(InferenceContext& context, const DimShape& wanted, std::size_t index) {
  require_rank(context, index, wanted.size());
  const Value& value = context.input(index);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    with_context(value.name, [&] { context.require_equal(value.shape[i], wanted[i]); });
  }
}

void infer_scatter_nd(InferenceContext& context) {
  const Value& data = context.input(0);
  const Value& indices = typed_input(context, 1, DType::i64);
  require_same_type(context, 0, 2);
  require_min_rank(context, 0, 1);
  check_reduction(context);
  const std::size_t length = tuple_length(context, 1, data.shape.size());
  DimShape wanted(indices.shape.begin(), indices.shape.end() - 1);
  wanted.insert(wanted.end(), data.shape.begin() + static_cast<std::ptrdiff_t>(length),
                data.shape.end());
  require_same_shape(context, wanted, 2);
  infer_like_input(context);
}

void infer_scatter_elements(InferenceContext& context) {
  const Value& data = context.input(0);
  const Value& indices = index_input(context, 1);
  require_same_type(context, 0, 2);
  require_min_rank(context, 0, 1);
  require_rank(context, 1, data.shape.size());
  check_reduction(context);
  const std::size_t axis =
      InferenceContext::axis(context.attributes().get_int("axis", 0), data.shape.size());
  check_indices(context, 1, data.shape[axis]);
  require_indices_inside(context, axis);
  require_same_shape(context, indices.shape, 2);
  infer_like_input(context);
}

void slice_content(InferenceContext& context, const SliceExtent& extent, std::int64_t step) {
  const auto content = context.try_content(0);
  const auto first = extent.first.constant();
  const auto count = extent.count.constant();
  if (!content || !first || !count || context.input(0).shape.size() != 1) return;
  std::vector<Dim> taken;
  for (std::int64_t i = 0; i < *count; ++i)
    taken.push_back((*content)[static_cast<std::size_t>(*first + i * step)]);
  context.set_content(0, std::move(taken));
}

void infer_slice(InferenceContext& context) {
  const Value& input = context.input(0);
  const std::vector<Dim> starts = context.content(1);
  const std::vector<Dim> ends = context.content(2);
  std::vector<std::int64_t> axes(starts.size());
  for (std::size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<std::int64_t>(i);
  if (context.has_input(3)) axes = context.numbers(3);
  std::vector<std::int64_t> steps(starts.size(), 1);
  if (context.has_input(4)) steps = context.numbers(4);
  if (ends.size() != starts.size() || axes.size() != starts.size() ||
      steps.size() != starts.size()) {
    bad_input("{} starts, {} ends, {} axes and {} steps: expected as many of each", starts.size(),
              ends.size(), axes.size(), steps.size());
  }
  checked_axes(axes, input.shape.size());
  DimShape shape = input.shape;
  SliceExtent extent{0, shape.empty() ? Dim(0) : shape[0]};
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const std::size_t axis = InferenceContext::axis(axes[i], shape.size());
    extent = slice_extent(context, shape[axis], starts[i], ends[i], steps[i]);
    shape[axis] = extent.count;
  }
  context.set_output(0, input.dtype, std::move(shape));
  slice_content(context, extent, steps.empty() ? 1 : steps[0]);
}

std::vector<Dim> split_sizes(InferenceContext& context, const Dim& size) {
  if (context.has_input(1)) {
    std::vector<Dim> sizes = context.content(1);
    if (sizes.size() != context.output_count())
      bad_input("{} sizes for {} outputs", sizes.size(), context.output_count());
    Dim sum;
    for (const Dim& part : sizes) {
      if (part.constant().value_or(0) < 0)
        bad_input("split sizes {} have a negative one", to_string(sizes));
      sum = sum + part;
    }
    with_context(fmt::format("split sizes {}", to_string(sizes)),
                 [&] { context.require_equal(sum, size); });
    return sizes;
  }
  const auto count = static_cast<std::int64_t>(context.output_count());
  const std::int64_t wanted = context.attributes().get_int("num_outputs", count);
  if (wanted != count) bad_input("num_outputs is {}, the node has {} outputs", wanted, count);
  const Dim part = Dim::ceil_div(size, Dim(count));
  const Dim last = size - part * Dim(count - 1);
  if (last.constant().value_or(0) < 0)
    bad_input("a size of {} cannot be split into {} parts", size.to_string(), count);
  std::vector<Dim> sizes(context.output_count(), part);
  sizes.back() = last;
  return sizes;
}

void infer_split(InferenceContext& context) {
  const Value& input = context.input(0);
  const std::size_t axis =
      InferenceContext::axis(context.attributes().get_int("axis", 0), input.shape.size());
  const std::vector<Dim> sizes = split_sizes(context, input.shape[axis]);
  const auto content =
      input.shape.size() == 1 && constant_shape(sizes) ? input.content : std::nullopt;
  std::size_t at = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    DimShape shape = input.shape;
    shape[axis] = sizes[i];
    context.set_output(i, input.dtype, std::move(shape));
    if (!content) continue;
    const auto count = static_cast<std::size_t>(*sizes[i].constant());
    context.set_content(i, {content->begin() + static_cast<std::ptrdiff_t>(at),
                            content->begin() + static_cast<std::ptrdiff_t>(at + count)});
    at += count;
  }
}

void infer_concat(InferenceContext& context) {
  const Value& first = context.input(0);
  if (!context.attributes().has("axis")) bad_input("attribute \"axis\" is missing");
  DimShape shape = first.shape;
  const std::size_t axis =
      InferenceContext::axis(context.attributes().get_int("axis", 0), shape.size());
  bool known = shape.size() == 1 && first.content;
  std::vector<Dim> joined = known ? *first.content : std::vector<Dim>();
  for (std::size_t i = 1; i < context.input_count(); ++i) {
    require_same_type(context, 0, i);
    require_rank(context, i, shape.size());
    const Value& next = context.input(i);
    for (std::size_t d = 0; d < shape.size(); ++d) {
      shape[d] =
          d == axis ? shape[d] + next.shape[d] : context.require_equal(shape[d], next.shape[d]);
    }
    known = known && next.content && joined.size() <= static_cast<std::size_t>(kMaxContent);
    if (known) joined.insert(joined.end(), next.content->begin(), next.content->end());
  }
  context.set_output(0, first.dtype, std::move(shape));
  if (known) context.set_content(0, std::move(joined));
}

void check_pad_mode(const InferenceContext& context) {
  const std::string mode = context.attributes().get_string("mode", "constant");
  for (const char* known : {"constant", "reflect", "edge", "wrap"}) {
    if (mode == known) return;
  }
  bad_input("mode \"{}\", expected one of constant, reflect, edge, wrap", mode);
}

void infer_pad(InferenceContext& context) {
  const Value& input = context.input(0);
  const std::size_t rank = input.shape.size();
  check_pad_mode(context);
  typed_input(context, 1, DType::i64);
  const std::vector<Dim> pads = context.content(1);
  if (context.has_input(2)) require_same_type(context, 0, 2);
  std::vector<std::int64_t> axes(rank);
  for (std::size_t i = 0; i < rank; ++i) axes[i] = static_cast<std::int64_t>(i);
  if (context.has_input(3)) axes = context.numbers(3);
  checked_axes(axes, rank);
  if (pads.size() != 2 * axes.size())
    bad_input("{} pads for {} axes, expected two for each", pads.size(), axes.size());
  DimShape shape = input.shape;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    Dim& dim = shape[InferenceContext::axis(axes[i], rank)];
    dim = dim + pads[i] + pads[i + axes.size()];
    if (dim.constant().value_or(0) < 0)
      bad_input("pads {} leave a negative size of shape {}", to_string(pads),
                to_string(input.shape));
  }
  context.set_output(0, input.dtype, std::move(shape));
}

void infer_trilu(InferenceContext& context) {
  require_min_rank(context, 0, 2);
  if (context.has_input(1)) typed_input(context, 1, DType::i64);
  infer_like_input(context);
}

void infer_one_hot(InferenceContext& context) {
  const Value& indices = number_input(context, 0);
  const Value& values = context.input(2);
  require_vector(context, 2, Dim(2));
  const Dim depth = scalar_content(context, 1);
  if (depth.constant().value_or(0) < 0) bad_input("depth {} is negative", depth.to_string());
  const std::size_t axis =
      InferenceContext::axis(context.attributes().get_int("axis", -1), indices.shape.size() + 1);
  DimShape shape = indices.shape;
  shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(axis), depth);
  context.set_output(0, values.dtype, std::move(shape));
}

void infer_select_rows(InferenceContext& context) {
  const Value& x = context.input(0);
  const Value& rows = typed_input(context, 1, DType::i64);
  require_min_rank(context, 0, 2);
  require_rank(context, 1, 1);
  for (std::size_t i = 0; i + 2 < x.shape.size(); ++i)
    with_context("leading dimension", [&] { context.require_equal(x.shape[i], Dim(1)); });
  check_indices(context, 1, x.shape[x.shape.size() - 2]);
  context.set_output(0, x.dtype, {Dim(1), rows.shape[0], x.shape.back()});
}

const OpSchema kOps[] = {
    {"Gather", 13, 2, 2, 1, 1, {"axis"}, infer_gather},
    {"GatherElements", 13, 2, 2, 1, 1, {"axis"}, infer_gather_elements},
    {"GatherND", 13, 2, 2, 1, 1, {"batch_dims"}, infer_gather_nd},
    {"ScatterND", 18, 3, 3, 1, 1, {"reduction"}, infer_scatter_nd},
    {"ScatterElements", 18, 3, 3, 1, 1, {"axis", "reduction"}, infer_scatter_elements},
    {"Slice", 13, 3, 5, 1, 1, {}, infer_slice},
    {"Split", 18, 1, 2, 1, kAnyNumber, {"axis", "num_outputs"}, infer_split},
    {"Concat", 13, 1, kAnyNumber, 1, 1, {"axis"}, infer_concat},
    {"Pad", 25, 2, 4, 1, 1, {"mode"}, infer_pad},
    {"Trilu", 14, 1, 2, 1, 1, {"upper"}, infer_trilu},
    {"OneHot", 11, 3, 3, 1, 1, {"axis"}, infer_one_hot},
    {"tenon.SelectRows", 0, 2, 2, 1, 1, {}, infer_select_rows},
};

}  // namespace

std::span<const OpSchema> selection_ops() { return kOps; }

}  // namespace tenon::graph::ops
