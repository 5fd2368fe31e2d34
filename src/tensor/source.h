// Where the values of a constant come from: mapped files and rearrangements of them, read on
// demand. A 7B model is exported, converted and packed through these without ever being copied
// whole.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "tensor/tensor.h"

namespace tenon {

/// Immutable; any number of threads may read at once. Keeps what it reads from alive.
class TensorSource {
 public:
  TensorSource(DType dtype, Shape shape) : dtype_(dtype), shape_(std::move(shape)) {}
  virtual ~TensorSource() = default;
  TensorSource(const TensorSource&) = delete;
  TensorSource& operator=(const TensorSource&) = delete;

  DType dtype() const noexcept { return dtype_; }
  const Shape& shape() const noexcept { return shape_; }
  std::int64_t rows() const noexcept { return shape_.empty() ? 1 : shape_[0]; }
  /// Elements in one row: the product of all dimensions but the first.
  std::int64_t row_count() const;

  /// Writes rows [begin, end) of the first dimension, row-major, in dtype(). A scalar has one row.
  virtual void read(std::int64_t begin, std::int64_t end, std::byte* out) const = 0;
  /// The whole in place, when it lies contiguous in memory in dtype().
  virtual std::optional<TensorView> view() const { return std::nullopt; }
  /// The narrowest type that holds every value exactly: what a widening cast was made from.
  virtual DType narrowest() const { return dtype_; }
  /// The source is done with for now: mapped pages may be dropped.
  virtual void release() const {}

  Tensor load() const;

 private:
  DType dtype_;
  Shape shape_;
};

using SourcePtr = std::shared_ptr<const TensorSource>;

/// A view whose memory `owner` keeps alive; `release` (may be empty) is called by
/// TensorSource::release.
SourcePtr view_source(TensorView view, std::shared_ptr<const void> owner,
                      std::function<void()> release = {});
SourcePtr owned_source(Tensor tensor);
/// Another element type.
SourcePtr cast_source(SourcePtr base, DType dtype);
/// A matrix [rows, columns] read as [columns, rows].
SourcePtr transposed_source(SourcePtr base);
/// `base` with its rows in the order order[0], order[1], ... (a gather; an index may repeat or be
/// left out).
SourcePtr gathered_rows_source(SourcePtr base, std::vector<std::int64_t> order);
/// Parts of equal type and rank, joined along `axis`.
SourcePtr concat_source(std::vector<SourcePtr> parts, int axis);
/// The same elements in another shape.
SourcePtr reshaped_source(SourcePtr base, Shape shape);

}  // namespace tenon
