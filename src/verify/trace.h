// Follows two engines through one run each and finds the value of B that departs first.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "verify/report.h"
#include "verify/watched.h"

namespace tenon::verify {

/// Counts differences of two float values of equal element counts; fills everything of ValueError
/// that values tell.
void measure(const TensorView& a, const TensorView& b, ValueError& error);

/// Runs both and compares the values that have the same name, a float type and the
/// same number of elements in both, in B's execution order. Values of A are kept up to `max_bytes`
/// at a time (one at least); what does not fit is compared in further runs.
std::vector<ValueError> trace(const Watched& a, const Watched& b, std::size_t max_bytes);

/// The first value of a run that holds NaN or plus infinity (minus infinity is how masks are
/// written); nullopt when none does. `nan_in_both` counts them.
std::optional<ValueError> first_not_finite(const Watched& watched);

/// Fills `explained` of values that `trace` gave, from the errors of the nearest compared values
/// that each is computed from in `engine`, and gives the first value whose error is more than
/// that; nullopt when there is none.
std::optional<std::size_t> find_departure(const engine::Engine& engine,
                                          std::vector<ValueError>& values);

/// Of values that `find_departure` went through, the one that comes closest to more than its inputs
/// explain; nullopt when all are equal.
std::optional<std::size_t> most_suspect(const std::vector<ValueError>& values);

/// Relative error that rounding alone gives the output of one step computed in this type.
double rounding_of(std::string_view dtype);

/// Type that a step computes in: the kept type of its constant matrix if it has one, else that of
/// its first output.
std::string computing_type(const engine::Engine& engine, const engine::Step& step);
/// Coordinates of a flat index.
std::vector<std::int64_t> coordinates(std::int64_t flat, std::span<const std::int64_t> shape);

/// The values that the layers of a decoder give on, by engine: for each layer the index of the
/// value that the next layer's (or the final) norm reads. Layers are known by modules named
/// ...layers.N...; empty when there are none.
std::vector<engine::ValueIndex> layer_outputs(const engine::Engine& engine);

}  // namespace tenon::verify
