// Which values of a graph lie channels last, [N, spatial..., C], and how readers of the other order
// get theirs.
#pragma once

#include <map>
#include <set>

#include "passes/match.h"

namespace tenon::passes {

/// Ends the name of a value that lies channels last where the source model has it channels first:
/// what precedes it is the name in the source model. Verification compares by it.
inline constexpr std::string_view kChannelsLastMark = "@channels_last";
std::string channels_last_name(std::string_view name);

/// The axes of a channels-first value of this rank (3 or more), in channels-last order.
std::vector<std::int64_t> last_order(std::size_t rank);
/// The axes of a channels-last value, in channels-first order.
std::vector<std::int64_t> first_order(std::size_t rank);
/// Where axis `axis` of a channels-first value lies channels last.
std::int64_t last_axis(std::int64_t axis, std::size_t rank);
DimShape permuted(const DimShape& shape, const std::vector<std::int64_t>& order);
Tensor permuted(const TensorView& tensor, const std::vector<std::int64_t>& order);

/// The axes that are not of size 1 stay in their order: a Transpose would be a Reshape.
bool moves_nothing(const DimShape& shape, const std::vector<std::int64_t>& order);

/// The constant that tells a Reshape of a value of shape `from` to give `to`; kNoValue when more
/// than one size is open and not at the same place of `from`.
ValueId shape_for_reshape(Graph& graph, const DimShape& from, const DimShape& to,
                          std::string_view name);
/// Reshape to `shape` when its open sizes can be written down: taken from the same place of the
/// value, or one of them told from the rest; kNoValue otherwise.
ValueId reshaped(Graph& graph, ValueId value, const DimShape& shape, std::string_view name);
/// Transpose, or changes of shape when only axes of size 1 change places.
ValueId reordered(Graph& graph, ValueId value, const std::vector<std::int64_t>& order,
                  std::string_view name);

/// Kept while a pass walks the nodes in order. A value that is converted keeps its id: from then on
/// it is written channels last, and `graph.value(id).shape` says so.
class Layouts {
 public:
  explicit Layouts(Graph& graph) : graph_(graph) {}

  /// The value is written channels last from now on: its shape changes and its name is marked.
  void convert(ValueId value);
  bool is_converted(ValueId value) const { return converted_.contains(value); }
  /// `last` holds the elements of `first` channels last already.
  void note_pair(ValueId first, ValueId last) { last_.emplace(first, last); }
  bool has_last(ValueId value) const { return is_converted(value) || last_.contains(value); }

  /// Shape as the source model has it.
  DimShape first_shape(ValueId value) const;
  /// The value channels last; a constant is permuted, what has no such form yet is transposed.
  /// Rank 3 or more.
  ValueId last(ValueId value);
  /// The value in the source model's order.
  ValueId first(ValueId value);
  /// What broadcasts against channels-last values of `rank` as `value` does against channels-first
  /// ones; kNoValue when its open sizes cannot be written down.
  ValueId operand(ValueId value, std::size_t rank);

 private:
  ValueId permuted_constant(ValueId value, std::size_t rank);

  Graph& graph_;
  std::set<ValueId> converted_;
  std::map<ValueId, ValueId> last_;
  std::map<ValueId, ValueId> first_;
};

}  // namespace tenon::passes
