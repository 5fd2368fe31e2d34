#include "kernels/cpu/reference/strided.h"

#include <cstring>

namespace tenon::kernels::reference {

void Strided::add_axis(std::int64_t size, std::int64_t stride) noexcept {
  if (size == 1) return;
  if (axes_ > 0 && strides_[axes_ - 1] == stride * size) {
    sizes_[axes_ - 1] *= size;
    strides_[axes_ - 1] = stride;
    return;
  }
  sizes_[axes_] = size;
  strides_[axes_] = stride;
  ++axes_;
}

Strided Strided::broadcast(std::span<const std::int64_t> shape,
                           std::span<const std::int64_t> result) noexcept {
  std::array<std::int64_t, kMaxRank> strides{};
  row_major(shape, strides.data());
  Strided where;
  const std::size_t shift = result.size() - shape.size();
  for (std::size_t i = 0; i < result.size(); ++i) {
    const bool repeats = i < shift || shape[i - shift] == 1;
    where.add_axis(result[i], repeats ? 0 : strides[i - shift]);
  }
  return where;
}

Strided::Run Strided::at(std::int64_t index) const noexcept {
  if (axes_ == 0) return {base_, 0, 1};
  const std::size_t inner = axes_ - 1;
  std::int64_t rest = index / sizes_[inner];
  const std::int64_t first = index - rest * sizes_[inner];
  std::int64_t offset = base_ + first * strides_[inner];
  for (std::size_t axis = inner; axis-- > 0;) {
    const std::int64_t outer = rest / sizes_[axis];
    offset += (rest - outer * sizes_[axis]) * strides_[axis];
    rest = outer;
  }
  return {offset, strides_[inner], sizes_[inner] - first};
}

void StridedOperand::load(std::int64_t begin, std::int64_t count, double* out) const noexcept {
  while (count > 0) {
    const Strided::Run run = where.at(begin);
    const std::int64_t taken = std::min(count, run.length);
    load_real(type, data, run.offset, run.stride, taken, out);
    begin += taken;
    out += taken;
    count -= taken;
  }
}

void StridedOperand::load(std::int64_t begin, std::int64_t count,
                          std::int64_t* out) const noexcept {
  while (count > 0) {
    const Strided::Run run = where.at(begin);
    const std::int64_t taken = std::min(count, run.length);
    load_integer(type, data, run.offset, run.stride, taken, out);
    begin += taken;
    out += taken;
    count -= taken;
  }
}

namespace {

template <typename Word>
void copy_run(const std::byte* data, const Strided::Run& run, std::int64_t count, std::byte* out) {
  const Word* from = reinterpret_cast<const Word*>(data) + run.offset;
  Word* to = reinterpret_cast<Word*>(out);
  for (std::int64_t i = 0; i < count; ++i) to[i] = from[i * run.stride];
}

}  // namespace

void copy_strided(const std::byte* data, const Strided& where, std::size_t size, std::int64_t begin,
                  std::int64_t end, std::byte* out) noexcept {
  while (begin < end) {
    const Strided::Run run = where.at(begin);
    const std::int64_t count = std::min(end - begin, run.length);
    std::byte* to = out + static_cast<std::size_t>(begin) * size;
    if (run.stride == 1) {
      std::memcpy(to, data + run.offset * static_cast<std::int64_t>(size),
                  static_cast<std::size_t>(count) * size);
    } else if (size == 1) {
      copy_run<std::uint8_t>(data, run, count, to);
    } else if (size == 2) {
      copy_run<std::uint16_t>(data, run, count, to);
    } else if (size == 4) {
      copy_run<std::uint32_t>(data, run, count, to);
    } else {
      copy_run<std::uint64_t>(data, run, count, to);
    }
    begin += count;
  }
}

void copy_strided(const Invocation& call, const std::byte* data, const Strided& where,
                  std::byte* out) {
  const std::size_t size = dtype_size(call.outputs[0].dtype);
  parallel(call, call.outputs[0].count(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    copy_strided(data, where, size, begin, end, out);
  });
}

void row_major(std::span<const std::int64_t> shape, std::int64_t* strides) noexcept {
  std::int64_t stride = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= shape[i];
  }
}

std::int64_t product(std::span<const std::int64_t> shape, std::size_t begin,
                     std::size_t end) noexcept {
  std::int64_t count = 1;
  for (std::size_t i = begin; i < end; ++i) count *= shape[i];
  return count;
}

}  // namespace tenon::kernels::reference
