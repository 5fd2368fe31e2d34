#include "tensor/source.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <mutex>
#include <numeric>

#include "base/error.h"

namespace tenon {

std::int64_t TensorSource::row_count() const {
  return shape_.empty() ? 1 : element_count(std::span(shape_).subspan(1));
}

Tensor TensorSource::load() const {
  Tensor made(dtype_, shape_);
  if (rows() > 0) read(0, rows(), made.data());
  return made;
}

namespace {

DType narrowest_of(const std::vector<SourcePtr>& parts) {
  const DType first = parts[0]->narrowest();
  const bool all = std::all_of(parts.begin(), parts.end(),
                               [&](const SourcePtr& part) { return part->narrowest() == first; });
  return all ? first : parts[0]->dtype();
}

class ViewSource final : public TensorSource {
 public:
  ViewSource(TensorView view, std::shared_ptr<const void> owner, std::function<void()> release)
      : TensorSource(view.dtype, view.shape),
        view_(std::move(view)),
        owner_(std::move(owner)),
        release_(std::move(release)) {}

  void read(std::int64_t begin, std::int64_t end, std::byte* out) const override {
    const auto row_bytes = static_cast<std::size_t>(row_count()) * dtype_size(dtype());
    const auto size = static_cast<std::size_t>(end - begin) * row_bytes;
    if (size > 0) std::memcpy(out, view_.data + static_cast<std::size_t>(begin) * row_bytes, size);
  }
  std::optional<TensorView> view() const override { return view_; }
  void release() const override {
    if (release_) release_();
  }

 private:
  TensorView view_;
  std::shared_ptr<const void> owner_;
  std::function<void()> release_;
};

class CastSource final : public TensorSource {
 public:
  CastSource(SourcePtr base, DType dtype)
      : TensorSource(dtype, base->shape()), base_(std::move(base)) {}

  void read(std::int64_t begin, std::int64_t end, std::byte* out) const override {
    const auto row_elements = static_cast<std::size_t>(row_count());
    if (const auto view = base_->view()) {
      const std::byte* from =
          view->data + static_cast<std::size_t>(begin) * row_elements * dtype_size(view->dtype);
      convert(view->dtype, from, dtype(), out,
              static_cast<std::size_t>(end - begin) * row_elements);
      return;
    }
    constexpr std::size_t kChunkElements = std::size_t{1} << 18;
    const auto step = static_cast<std::int64_t>(
        std::max<std::size_t>(1, kChunkElements / std::max<std::size_t>(1, row_elements)));
    std::vector<std::byte> rows(static_cast<std::size_t>(std::min(step, end - begin)) *
                                row_elements * dtype_size(base_->dtype()));
    for (std::int64_t row = begin; row < end; row += step) {
      const std::int64_t last = std::min(row + step, end);
      const auto count = static_cast<std::size_t>(last - row) * row_elements;
      base_->read(row, last, rows.data());
      convert(base_->dtype(), rows.data(), dtype(), out, count);
      out += count * dtype_size(dtype());
    }
  }
  DType narrowest() const override {
    const DType base = base_->narrowest();
    const bool widens =
        is_float(base) && is_float(dtype()) && dtype_size(base) < dtype_size(dtype());
    return widens ? base : dtype();
  }
  void release() const override { base_->release(); }

  const SourcePtr& base() const { return base_; }

 private:
  SourcePtr base_;
};

// The transpose of a cast is the cast of the transpose, and that can be read in place.
SourcePtr base_of_cast(const SourcePtr& source) {
  const auto* cast = dynamic_cast<const CastSource*>(source.get());
  return cast == nullptr ? nullptr : cast->base();
}

class TransposedSource final : public TensorSource {
 public:
  explicit TransposedSource(SourcePtr base)
      : TensorSource(base->dtype(), {base->shape()[1], base->shape()[0]}), base_(std::move(base)) {}

  void read(std::int64_t begin, std::int64_t end, std::byte* out) const override {
    const TensorView view = matrix();
    switch (dtype_size(dtype())) {
      case 1:
        return transpose<std::uint8_t>(view, begin, end, out);
      case 2:
        return transpose<std::uint16_t>(view, begin, end, out);
      case 4:
        return transpose<std::uint32_t>(view, begin, end, out);
      default:
        return transpose<std::uint64_t>(view, begin, end, out);
    }
  }
  DType narrowest() const override { return base_->narrowest(); }
  void release() const override {
    const std::lock_guard lock(mutex_);
    loaded_.reset();
    base_->release();
  }

 private:
  // Every row of the result needs all rows of the base: a base that does not lie in memory is
  // loaded once, until it is released.
  TensorView matrix() const {
    if (const auto view = base_->view()) return *view;
    const std::lock_guard lock(mutex_);
    if (!loaded_) loaded_ = std::make_unique<const Tensor>(base_->load());
    return loaded_->view();
  }

  // Square tiles keep both the rows read and the rows written inside the caches.
  template <typename T>
  static void transpose(const TensorView& matrix, std::int64_t begin, std::int64_t end,
                        std::byte* out) {
    constexpr std::int64_t kTile = 32;
    const auto* from = reinterpret_cast<const T*>(matrix.data);
    auto* to = reinterpret_cast<T*>(out);
    const std::int64_t rows = matrix.shape[0];
    const std::int64_t columns = matrix.shape[1];
    for (std::int64_t row0 = 0; row0 < rows; row0 += kTile) {
      const std::int64_t row1 = std::min(row0 + kTile, rows);
      for (std::int64_t column0 = begin; column0 < end; column0 += kTile) {
        const std::int64_t column1 = std::min(column0 + kTile, end);
        for (std::int64_t column = column0; column < column1; ++column) {
          for (std::int64_t row = row0; row < row1; ++row) {
            to[(column - begin) * rows + row] = from[row * columns + column];
          }
        }
      }
    }
  }

  SourcePtr base_;
  mutable std::mutex mutex_;  // guards loaded_
  mutable std::unique_ptr<const Tensor> loaded_;
};

class GatheredRowsSource final : public TensorSource {
 public:
  GatheredRowsSource(SourcePtr base, std::vector<std::int64_t> order)
      : TensorSource(base->dtype(), shape_of(*base, order)),
        base_(std::move(base)),
        order_(std::move(order)) {}

  void read(std::int64_t begin, std::int64_t end, std::byte* out) const override {
    const auto row_bytes = static_cast<std::size_t>(row_count()) * dtype_size(dtype());
    for (std::int64_t row = begin; row < end;) {
      std::int64_t last = row + 1;  // runs of neighbours are read in one call
      while (last < end && order_[last] == order_[last - 1] + 1) ++last;
      base_->read(order_[row], order_[last - 1] + 1, out);
      out += static_cast<std::size_t>(last - row) * row_bytes;
      row = last;
    }
  }
  DType narrowest() const override { return base_->narrowest(); }
  void release() const override { base_->release(); }

 private:
  static Shape shape_of(const TensorSource& base, const std::vector<std::int64_t>& order) {
    Shape shape = base.shape();
    shape.at(0) = static_cast<std::int64_t>(order.size());
    return shape;
  }
  SourcePtr base_;
  std::vector<std::int64_t> order_;
};

class ConcatRowsSource final : public TensorSource {
 public:
  ConcatRowsSource(std::vector<SourcePtr> parts, Shape shape)
      : TensorSource(parts[0]->dtype(), std::move(shape)), parts_(std::move(parts)) {}

  void read(std::int64_t begin, std::int64_t end, std::byte* out) const override {
    const auto row_bytes = static_cast<std::size_t>(row_count()) * dtype_size(dtype());
    std::int64_t start = 0;
    for (const auto& part : parts_) {
      const std::int64_t first = std::max(begin, start) - start;
      const std::int64_t last = std::min(end, start + part->rows()) - start;
      if (first < last) {
        part->read(first, last, out);
        out += static_cast<std::size_t>(last - first) * row_bytes;
      }
      start += part->rows();
    }
  }
  DType narrowest() const override { return narrowest_of(parts_); }
  void release() const override {
    for (const auto& part : parts_) part->release();
  }

 private:
  std::vector<SourcePtr> parts_;
};

// Joins along an inner axis: row r of the result is row r of every part, side by side in blocks.
class ConcatInnerSource final : public TensorSource {
 public:
  ConcatInnerSource(std::vector<SourcePtr> parts, Shape shape, int axis)
      : TensorSource(parts[0]->dtype(), std::move(shape)), parts_(std::move(parts)), axis_(axis) {}

  void read(std::int64_t begin, std::int64_t end, std::byte* out) const override {
    const std::size_t element = dtype_size(dtype());
    const auto size = static_cast<std::size_t>(axis_);
    const std::int64_t outer = element_count(std::span(shape()).subspan(1, size - 1));
    const std::int64_t inner = element_count(std::span(shape()).subspan(size + 1));
    const auto out_block = static_cast<std::size_t>(shape()[size] * inner) * element;
    std::size_t offset = 0;
    for (const auto& part : parts_) {
      const auto block = static_cast<std::size_t>(part->shape()[size] * inner) * element;
      const std::int64_t blocks = (end - begin) * outer;
      std::vector<std::byte> rows(static_cast<std::size_t>(blocks) * block);
      part->read(begin, end, rows.data());
      for (std::int64_t i = 0; i < blocks; ++i) {
        std::memcpy(out + static_cast<std::size_t>(i) * out_block + offset,
                    rows.data() + static_cast<std::size_t>(i) * block, block);
      }
      offset += block;
    }
  }
  DType narrowest() const override { return narrowest_of(parts_); }
  void release() const override {
    for (const auto& part : parts_) part->release();
  }

 private:
  std::vector<SourcePtr> parts_;
  int axis_;
};

class ReshapedSource final : public TensorSource {
 public:
  ReshapedSource(SourcePtr base, Shape shape)
      : TensorSource(base->dtype(), std::move(shape)), base_(std::move(base)) {}

  void read(std::int64_t begin, std::int64_t end, std::byte* out) const override {
    const std::int64_t first = begin * row_count();
    const std::int64_t last = end * row_count();
    const std::int64_t base_row = base_->row_count();
    if (base_row > 0 && first % base_row == 0 && last % base_row == 0) {
      base_->read(first / base_row, last / base_row, out);
      return;
    }
    const std::int64_t row0 = first / base_row;
    const std::int64_t row1 = (last + base_row - 1) / base_row;
    const std::size_t element = dtype_size(dtype());
    std::vector<std::byte> rows(static_cast<std::size_t>((row1 - row0) * base_row) * element);
    base_->read(row0, row1, rows.data());
    std::memcpy(out, rows.data() + static_cast<std::size_t>(first - row0 * base_row) * element,
                static_cast<std::size_t>(last - first) * element);
  }
  std::optional<TensorView> view() const override {
    auto view = base_->view();
    if (view) view->shape = shape();
    return view;
  }
  DType narrowest() const override { return base_->narrowest(); }
  void release() const override { base_->release(); }

 private:
  SourcePtr base_;
};

}  // namespace

SourcePtr view_source(TensorView view, std::shared_ptr<const void> owner,
                      std::function<void()> release) {
  return std::make_shared<ViewSource>(std::move(view), std::move(owner), std::move(release));
}

SourcePtr owned_source(Tensor tensor) {
  auto owner = std::make_shared<const Tensor>(std::move(tensor));
  return view_source(owner->view(), owner);
}

SourcePtr cast_source(SourcePtr base, DType dtype) {
  if (base->dtype() == dtype) return base;
  return std::make_shared<CastSource>(std::move(base), dtype);
}

SourcePtr transposed_source(SourcePtr base) {
  if (base->shape().size() != 2) {
    fail(ErrorCode::internal, "only a matrix can be transposed, found shape {}",
         to_string(base->shape()));
  }
  if (const SourcePtr inner = base_of_cast(base))
    return cast_source(transposed_source(inner), base->dtype());
  return std::make_shared<TransposedSource>(std::move(base));
}

SourcePtr gathered_rows_source(SourcePtr base, std::vector<std::int64_t> order) {
  for (const std::int64_t row : order) {
    if (row < 0 || row >= base->rows()) {
      fail(ErrorCode::internal, "row {} of a tensor of {} rows", row, base->rows());
    }
  }
  return std::make_shared<GatheredRowsSource>(std::move(base), std::move(order));
}

SourcePtr concat_source(std::vector<SourcePtr> parts, int axis) {
  if (parts.size() == 1) return parts[0];
  Shape shape = parts.at(0)->shape();
  for (std::size_t i = 1; i < parts.size(); ++i) {
    Shape expected = shape;
    expected.at(static_cast<std::size_t>(axis)) =
        parts[i]->shape().at(static_cast<std::size_t>(axis));
    if (parts[i]->shape() != expected || parts[i]->dtype() != parts[0]->dtype()) {
      bad_input("parts of shape {} and {} cannot be joined along axis {}",
                to_string(parts[0]->shape()), to_string(parts[i]->shape()), axis);
    }
    shape[static_cast<std::size_t>(axis)] += parts[i]->shape()[static_cast<std::size_t>(axis)];
  }
  if (axis == 0) return std::make_shared<ConcatRowsSource>(std::move(parts), std::move(shape));
  return std::make_shared<ConcatInnerSource>(std::move(parts), std::move(shape), axis);
}

SourcePtr reshaped_source(SourcePtr base, Shape shape) {
  if (element_count(base->shape()) != element_count(shape)) {
    bad_input("shape {} cannot be read as {}", to_string(base->shape()), to_string(shape));
  }
  return std::make_shared<ReshapedSource>(std::move(base), std::move(shape));
}

}  // namespace tenon
