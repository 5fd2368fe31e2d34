// Operators that resample or rearrange the spatial axes of pictures.
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "graph/ops/common.h"
#include "graph/ops/ops.h"

namespace tenon::graph::ops {
namespace {

constexpr std::int64_t kMostDenominator = 64;

std::string known_word(const InferenceContext& context, const char* name, const char* fallback,
                       std::initializer_list<std::string_view> words) {
  std::string found = context.attributes().get_string(name, fallback);
  if (std::find(words.begin(), words.end(), found) == words.end())
    bad_input("attribute {} is \"{}\", which is not a known mode", name, found);
  return found;
}

// The numbers of a constant float vector of at most kMaxRank elements.
std::vector<float> constant_floats(const InferenceContext& context, std::size_t index) {
  const Value& value = float_input(context, index);
  require_rank(context, index, 1);
  const auto count = value.shape[0].constant();
  if (!value.constant || !count || *count > static_cast<std::int64_t>(kMaxRank)) {
    bad_input("input {} ({}) of shape {} must be a constant vector", index, value.name,
              to_string(value.shape));
  }
  const Tensor numbers = converted(value.constant->load().view(), DType::f32);
  const auto span = numbers.as<float>();
  return {span.begin(), span.end()};
}

// floor(size * scale): in float32, as runtimes compute it, where the size is known; otherwise with
// the scale as the fraction that it rounds.
Dim scaled_size(const Dim& size, float scale) {
  if (!(scale > 0.0F) || scale > 65536.0F)
    bad_input("scale {} is outside of what is supported, above 0 to 65536", scale);
  if (const auto number = size.constant()) {
    const float product = std::floor(static_cast<float>(*number) * scale);
    if (product > 0x1p62F) bad_input("size {} times {} is too large", *number, scale);
    return Dim(static_cast<std::int64_t>(product));
  }
  for (std::int64_t below = 1; below <= kMostDenominator; ++below) {
    const double above = std::round(static_cast<double>(scale) * static_cast<double>(below));
    if (above >= 1 && static_cast<float>(above / static_cast<double>(below)) == scale)
      return Dim::floor_div(size * Dim(static_cast<std::int64_t>(above)), Dim(below));
  }
  bad_input("size {} times {} is not known: the scale is no fraction of numbers to {}",
            size.to_string(), scale, kMostDenominator);
}

// The axes that are resized, in the order of the attribute.
std::vector<std::size_t> resized_axes(const InferenceContext& context, std::size_t rank) {
  std::vector<std::size_t> axes;
  if (!context.attributes().has("axes")) {
    axes.resize(rank);
    std::iota(axes.begin(), axes.end(), std::size_t{0});
    return axes;
  }
  const auto given = context.attributes().get_ints("axes");
  checked_axes(given, rank);
  for (const std::int64_t axis : given) axes.push_back(InferenceContext::axis(axis, rank));
  return axes;
}

void require_count(std::string_view what, std::size_t found, std::size_t wanted) {
  if (found != wanted) bad_input("{} {} for {} resized axes", found, what, wanted);
}

// One factor for all axes, the least or the largest of the quotients, rounded half up.
DimShape aspect_kept(const InferenceContext& context, const std::vector<std::size_t>& axes,
                     bool larger) {
  const auto sizes = context.numbers(3);
  const auto shape = constant_shape(context.input(0).shape);
  if (!shape)
    bad_input("keep_aspect_ratio_policy needs known sizes, found {}",
              to_string(context.input(0).shape));
  double factor = larger ? 0 : std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < axes.size(); ++i) {
    if ((*shape)[axes[i]] < 1) bad_input("axis {} of an empty picture", axes[i]);
    const double one = static_cast<double>(sizes[i]) / static_cast<double>((*shape)[axes[i]]);
    factor = larger ? std::max(factor, one) : std::min(factor, one);
  }
  DimShape result(shape->begin(), shape->end());
  for (const std::size_t axis : axes) {
    const double size = std::floor(factor * static_cast<double>((*shape)[axis]) + 0.5);
    if (!(size >= 0 && size < 0x1p62)) bad_input("axis {} would get size {}", axis, size);
    result[axis] = Dim(static_cast<std::int64_t>(size));
  }
  return result;
}

DimShape resized_by_sizes(InferenceContext& context, const std::vector<std::size_t>& axes) {
  typed_input(context, 3, DType::i64);
  const auto sizes = context.content(3);
  require_count("sizes", sizes.size(), axes.size());
  const std::string policy = known_word(context, "keep_aspect_ratio_policy", "stretch",
                                        {"stretch", "not_larger", "not_smaller"});
  if (policy != "stretch") return aspect_kept(context, axes, policy == "not_smaller");
  DimShape shape = context.input(0).shape;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    if (sizes[i].constant().value_or(0) < 0)
      bad_input("size {} of axis {} is negative", sizes[i].to_string(), axes[i]);
    assume_at_least(context, sizes[i], 0);
    shape[axes[i]] = sizes[i];
  }
  return shape;
}

DimShape resized_by_scales(InferenceContext& context, const std::vector<std::size_t>& axes) {
  const auto scales = constant_floats(context, 2);
  require_count("scales", scales.size(), axes.size());
  DimShape shape = context.input(0).shape;
  for (std::size_t i = 0; i < axes.size(); ++i)
    shape[axes[i]] = scaled_size(shape[axes[i]], scales[i]);
  return shape;
}

// Inputs: x, region, scales, sizes.
void infer_resize(InferenceContext& context) {
  const Value& x = number_input(context, 0);
  require_min_rank(context, 0, 1);
  const auto axes = resized_axes(context, x.shape.size());
  const std::string coordinates =
      known_word(context, "coordinate_transformation_mode", "half_pixel",
                 {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
                  "asymmetric", "tf_crop_and_resize"});
  known_word(context, "mode", "nearest", {"nearest", "linear", "cubic"});
  known_word(context, "nearest_mode", "round_prefer_floor",
             {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"});
  if (coordinates == "tf_crop_and_resize") {
    float_input(context, 1);
    require_vector(context, 1, Dim(2 * static_cast<std::int64_t>(axes.size())));
  }
  if (context.has_input(2) == context.has_input(3))
    bad_input("exactly one of the inputs scales and sizes is needed");
  const DimShape shape =
      context.has_input(3) ? resized_by_sizes(context, axes) : resized_by_scales(context, axes);
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (x.shape[i] == Dim(0) && shape[i] != Dim(0))
      bad_input("axis {} of an empty picture cannot become {}", i, shape[i].to_string());
  }
  context.set_output(0, x.dtype, shape);
}

// Grid [N, places..., coordinates of a place in x, the last axis first].
void infer_grid_sample(InferenceContext& context) {
  const Value& x = float_input(context, 0);
  require_min_rank(context, 0, 3);
  const Value& grid = float_input(context, 1);
  require_rank(context, 1, x.shape.size());
  known_word(context, "mode", "linear", {"linear", "nearest", "cubic"});
  known_word(context, "padding_mode", "zeros", {"zeros", "border", "reflection"});
  DimShape shape = {context.require_equal(x.shape[0], grid.shape[0]), x.shape[1]};
  shape.insert(shape.end(), grid.shape.begin() + 1, grid.shape.end() - 1);
  context.require_equal(grid.shape.back(), Dim(static_cast<std::int64_t>(x.shape.size()) - 2));
  context.set_output(0, x.dtype, std::move(shape));
}

std::int64_t block_size(const InferenceContext& context) {
  const std::int64_t block = context.attributes().get_int("blocksize", 0);
  if (block < 1 || block > 65536)
    bad_input("attribute blocksize is {}, expected 1 to 65536", block);
  return block;
}

// dim / divisor, which must leave nothing.
Dim exact_quotient(InferenceContext& context, const Dim& dim, std::int64_t divisor) {
  const Dim quotient = Dim::floor_div(dim, Dim(divisor));
  with_context(fmt::format("{} divides into parts of {}", dim.to_string(), divisor),
               [&] { context.require_equal(quotient * Dim(divisor), dim); });
  return quotient;
}

void infer_depth_to_space(InferenceContext& context) {
  const Value& x = context.input(0);
  require_rank(context, 0, 4);
  const std::int64_t block = block_size(context);
  known_word(context, "mode", "DCR", {"DCR", "CRD"});
  context.set_output(0, x.dtype,
                     {x.shape[0], exact_quotient(context, x.shape[1], block * block),
                      x.shape[2] * Dim(block), x.shape[3] * Dim(block)});
}

void infer_space_to_depth(InferenceContext& context) {
  const Value& x = context.input(0);
  require_rank(context, 0, 4);
  const std::int64_t block = block_size(context);
  context.set_output(
      0, x.dtype,
      {x.shape[0], x.shape[1] * Dim(block * block), exact_quotient(context, x.shape[2], block),
       exact_quotient(context, x.shape[3], block)});
}

const OpSchema kOps[] = {
    {"Resize",
     19,
     2,
     4,
     1,
     1,
     {"antialias", "axes", "coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside",
      "extrapolation_value", "keep_aspect_ratio_policy", "mode", "nearest_mode"},
     infer_resize},
    {"GridSample", 22, 2, 2, 1, 1, {"align_corners", "mode", "padding_mode"}, infer_grid_sample},
    {"DepthToSpace", 13, 1, 1, 1, 1, {"blocksize", "mode"}, infer_depth_to_space},
    {"SpaceToDepth", 13, 1, 1, 1, 1, {"blocksize"}, infer_space_to_depth},
};

}  // namespace

std::span<const OpSchema> image_ops() { return kOps; }

}  // namespace tenon::graph::ops
