#include "checkpoint/strided_source.h"

#include <cstring>

#include "base/error.h"

namespace tenon::checkpoint {
namespace {

class StridedSource final : public TensorSource {
 public:
  StridedSource(MappedFilePtr file, const StridedTensor& tensor)
      : TensorSource(tensor.dtype, tensor.shape),
        file_(std::move(file)),
        offset_(tensor.offset),
        bytes_(static_cast<std::uint64_t>(tensor.elements) * dtype_size(tensor.dtype)),
        first_(tensor.first),
        strides_(tensor.strides) {}

  void read(std::int64_t begin, std::int64_t end, std::byte* out) const override {
    switch (dtype_size(dtype())) {
      case 1:
        return gather<1>(begin, end, out);
      case 2:
        return gather<2>(begin, end, out);
      case 4:
        return gather<4>(begin, end, out);
      default:
        return gather<8>(begin, end, out);
    }
  }
  void release() const override { file_->release(offset_, bytes_); }

 private:
  // Counts through all dimensions but the last, which is the inner loop. Bytewise copies: a storage
  // need not be aligned.
  template <std::size_t kBytes>
  void gather(std::int64_t begin, std::int64_t end, std::byte* out) const {
    const std::size_t last = shape().size() - 1;
    const std::int64_t inner = last == 0 ? end - begin : shape()[last];
    const std::byte* storage = file_->bytes().data() + offset_;
    Shape index(shape().size(), 0);
    index[0] = begin;
    for (std::int64_t left = (end - begin) * row_count(); left > 0; left -= inner) {
      std::int64_t place = first_;
      for (std::size_t i = 0; i < index.size(); ++i) place += index[i] * strides_[i];
      for (std::int64_t i = 0; i < inner; ++i, place += strides_[last], out += kBytes) {
        std::memcpy(out, storage + place * static_cast<std::int64_t>(kBytes), kBytes);
      }
      for (std::size_t i = last; i-- > 0;) {
        if (++index[i] < shape()[i] || i == 0) break;
        index[i] = 0;
      }
    }
  }

  MappedFilePtr file_;
  std::uint64_t offset_;
  std::uint64_t bytes_;
  std::int64_t first_;
  Shape strides_;
};

void check_bounds(const StridedTensor& tensor) {
  const auto describe = [&] {
    return fmt::format("shape {} with strides {} at element {} of a storage of {}",
                       to_string(tensor.shape), to_string(tensor.strides), tensor.first,
                       tensor.elements);
  };
  if (tensor.shape.size() != tensor.strides.size() || tensor.shape.size() > kMaxRank) {
    bad_input("{} shape and strides, equally many and at most {}, were expected", describe(),
              kMaxRank);
  }
  const std::int64_t count = element_count(tensor.shape);
  bool inside = tensor.first >= 0 && count <= tensor.elements && tensor.first <= tensor.elements;
  std::int64_t last = tensor.first;
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    std::int64_t reach = 0;
    inside = inside && tensor.strides[i] >= 0;
    if (tensor.shape[i] < 2) continue;
    inside = inside && !__builtin_mul_overflow(tensor.shape[i] - 1, tensor.strides[i], &reach) &&
             !__builtin_add_overflow(last, reach, &last);
  }
  if (!inside || (count > 0 && last >= tensor.elements)) {
    bad_input("{} reaches outside that storage", describe());
  }
}

bool is_contiguous(const StridedTensor& tensor) {
  std::int64_t expected = 1;
  for (std::size_t i = tensor.shape.size(); i-- > 0;) {
    if (tensor.shape[i] != 1 && tensor.strides[i] != expected) return false;
    expected *= tensor.shape[i];
  }
  return true;
}

}  // namespace

SourcePtr strided_source(const MappedFilePtr& file, const StridedTensor& tensor) {
  check_bounds(tensor);
  if (element_count(tensor.shape) == 0 || is_contiguous(tensor)) {
    const auto skipped = static_cast<std::uint64_t>(tensor.first) * dtype_size(tensor.dtype);
    return mapped_source(file, tensor.dtype, tensor.shape, tensor.offset + skipped);
  }
  return std::make_shared<StridedSource>(file, tensor);
}

}  // namespace tenon::checkpoint
