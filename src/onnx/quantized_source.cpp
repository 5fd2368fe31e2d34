#include "onnx/quantized_source.h"

#include "base/error.h"

namespace tenon::onnx {
namespace {

std::vector<float> numbers_of(const SourcePtr& source) {
  const Tensor wide = converted(source->load().view(), DType::f32);
  const auto numbers = wide.as<float>();
  return {numbers.begin(), numbers.end()};
}

void require_count(const char* what, const TensorSource& source, std::int64_t wanted) {
  const std::int64_t found = element_count(source.shape());
  if (found != wanted)
    bad_input("{} has {} elements {}, expected {}", what, found, to_string(source.shape()), wanted);
}

// The number at `index` of a row of numbers of a few bits.
int packed_at(const std::uint8_t* row, std::int64_t index, std::int64_t bits) {
  if (bits == 8) return row[index];
  return index % 2 == 0 ? row[index / 2] & 15 : row[index / 2] >> 4;
}

std::vector<float> zeros_of(const BlockFormat& format, const SourcePtr& zeros,
                            const TensorSource& scales) {
  const auto count = static_cast<std::size_t>(format.n * format.blocks());
  if (zeros == nullptr)
    return std::vector<float>(count, static_cast<float>(1 << (format.bits - 1)));
  if (zeros->dtype() != DType::u8) {
    if (zeros->dtype() != scales.dtype())
      bad_input("zero points are {}, expected uint8 or the type of the scales",
                dtype_name(zeros->dtype()));
    require_count("zero_points", *zeros, static_cast<std::int64_t>(count));
    return numbers_of(zeros);
  }
  const std::int64_t row_bytes = (format.blocks() * format.bits + 7) / 8;
  require_count("zero_points", *zeros, format.n * row_bytes);
  const Tensor bytes = zeros->load();
  std::vector<float> made;
  for (std::int64_t row = 0; row < format.n; ++row) {
    const std::uint8_t* at = bytes.as<std::uint8_t>().data() + row * row_bytes;
    for (std::int64_t b = 0; b < format.blocks(); ++b)
      made.push_back(static_cast<float>(packed_at(at, b, format.bits)));
  }
  return made;
}

// [N, K], a row for each column of the product's weight.
class BlockSource final : public TensorSource {
 public:
  BlockSource(const BlockFormat& format, SourcePtr packed, std::vector<float> scales,
              std::vector<float> zeros)
      : TensorSource(DType::f32, {format.n, format.k}),
        format_(format),
        packed_(std::move(packed)),
        scales_(std::move(scales)),
        zeros_(std::move(zeros)) {}

  void read(std::int64_t begin, std::int64_t end, std::byte* out) const override {
    const std::int64_t row_bytes = format_.blocks() * format_.block_bytes();
    std::vector<std::uint8_t> row(static_cast<std::size_t>(row_bytes));
    auto* to = reinterpret_cast<float*>(out);
    for (std::int64_t n = begin; n < end; ++n) {
      packed_->read(n, n + 1, reinterpret_cast<std::byte*>(row.data()));
      for (std::int64_t k = 0; k < format_.k; ++k) {
        const std::int64_t block = k / format_.block;
        const auto at = static_cast<std::size_t>(n * format_.blocks() + block);
        const std::uint8_t* bytes = row.data() + block * format_.block_bytes();
        const int number = packed_at(bytes, k % format_.block, format_.bits);
        *to++ = (static_cast<float>(number) - zeros_[at]) * scales_[at];
      }
    }
  }
  void release() const override { packed_->release(); }

 private:
  BlockFormat format_;
  SourcePtr packed_;
  std::vector<float> scales_;
  std::vector<float> zeros_;
};

class ScaledSource final : public TensorSource {
 public:
  ScaledSource(SourcePtr numbers, std::vector<float> scales, std::vector<float> zeros,
               std::int64_t inner)
      : TensorSource(DType::f32, numbers->shape()),
        numbers_(cast_source(std::move(numbers), DType::f32)),
        scales_(std::move(scales)),
        zeros_(std::move(zeros)),
        inner_(inner) {}

  void read(std::int64_t begin, std::int64_t end, std::byte* out) const override {
    numbers_->read(begin, end, out);
    auto* values = reinterpret_cast<float*>(out);
    const auto channels = static_cast<std::int64_t>(scales_.size());
    const std::int64_t first = begin * row_count();
    const std::int64_t count = (end - begin) * row_count();
    for (std::int64_t i = 0; i < count; ++i) {
      const auto channel = static_cast<std::size_t>((first + i) / inner_ % channels);
      values[i] = (values[i] - zeros_[channel]) * scales_[channel];
    }
  }
  void release() const override { numbers_->release(); }

 private:
  SourcePtr numbers_;
  std::vector<float> scales_;
  std::vector<float> zeros_;
  std::int64_t inner_;  // elements behind one index of the axis
};

}  // namespace

SourcePtr block_source(const BlockFormat& format, SourcePtr packed, const SourcePtr& scales,
                       const SourcePtr& zeros) {
  constexpr std::int64_t kMost = std::int64_t{1} << 30;
  if (format.k < 1 || format.k > kMost || format.n < 1 || format.n > kMost)
    bad_input("K = {} and N = {}, expected 1 to {}", format.k, format.n, kMost);
  if (format.bits != 4 && format.bits != 8)
    bad_input("weights of {} bits are not supported, 4 and 8 are", format.bits);
  if (format.block < 16 || format.block > kMost || (format.block & (format.block - 1)) != 0)
    bad_input("block_size = {}, expected a power of two from 16 on", format.block);
  if (packed->dtype() != DType::u8)
    bad_input("packed weights are {}, expected uint8", dtype_name(packed->dtype()));
  require_count("B", *packed, format.n * format.blocks() * format.block_bytes());
  require_count("scales", *scales, format.n * format.blocks());
  packed = reshaped_source(std::move(packed), {format.n, format.blocks() * format.block_bytes()});
  return transposed_source(std::make_shared<BlockSource>(
      format, std::move(packed), numbers_of(scales), zeros_of(format, zeros, *scales)));
}

SourcePtr scaled_source(SourcePtr numbers, const SourcePtr& scales, const SourcePtr& zeros,
                        std::int64_t axis) {
  const Shape& shape = numbers->shape();
  const auto rank = static_cast<std::int64_t>(shape.size());
  std::int64_t inner = 1;
  std::int64_t channels = element_count(scales->shape());
  if (channels != 1) {
    if (axis < 0) axis += rank;
    if (axis < 0 || axis >= rank || scales->shape().size() != 1 ||
        channels != shape[static_cast<std::size_t>(axis)])
      bad_input("scales {} do not belong to axis {} of {}", to_string(scales->shape()), axis,
                to_string(shape));
    for (auto i = static_cast<std::size_t>(axis) + 1; i < shape.size(); ++i) inner *= shape[i];
  }
  std::vector<float> points(static_cast<std::size_t>(channels), 0.0F);
  if (zeros != nullptr) {
    points = numbers_of(zeros);
    if (points.size() == 1) points.assign(static_cast<std::size_t>(channels), points[0]);
    if (static_cast<std::int64_t>(points.size()) != channels)
      bad_input("{} zero points for {} scales", points.size(), channels);
  }
  return std::make_shared<ScaledSource>(std::move(numbers), numbers_of(scales), std::move(points),
                                        inner);
}

}  // namespace tenon::onnx
