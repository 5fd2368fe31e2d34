#include "checkpoint/weight_map.h"

#include <cstring>

#include "base/error.h"

namespace tenon::checkpoint {
namespace {

constexpr std::size_t kMaxNameBytes = 1024;

// No view: elements that straddle their natural alignment may only be copied out bytewise.
class UnalignedSource final : public TensorSource {
 public:
  UnalignedSource(MappedFilePtr file, DType dtype, Shape shape, std::uint64_t offset)
      : TensorSource(dtype, std::move(shape)), file_(std::move(file)), offset_(offset) {}

  void read(std::int64_t begin, std::int64_t end, std::byte* out) const override {
    const auto row_bytes = static_cast<std::size_t>(row_count()) * dtype_size(dtype());
    const auto size = static_cast<std::size_t>(end - begin) * row_bytes;
    const std::byte* from = file_->bytes().data() + offset_;
    if (size > 0) std::memcpy(out, from + static_cast<std::size_t>(begin) * row_bytes, size);
  }
  void release() const override {
    file_->release(offset_, static_cast<std::size_t>(element_count(shape())) * dtype_size(dtype()));
  }

 private:
  MappedFilePtr file_;
  std::uint64_t offset_;
};

// Bytes of the UTF-8 sequence that starts `text`; 0 when it is broken.
std::size_t sequence_length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xc2 && lead < 0xe0   ? 2
                             : lead >= 0xe0 && lead < 0xf0 ? 3
                             : lead >= 0xf0 && lead < 0xf5 ? 4
                                                           : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0U) != 0x80U) return 0;
  }
  const auto second = static_cast<unsigned char>(text[1]);
  const bool overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
  const bool outside = (lead == 0xed && second >= 0xa0) || (lead == 0xf4 && second >= 0x90);
  return overlong || outside ? 0 : length;
}

bool is_control(char character) {
  return static_cast<unsigned char>(character) < 0x20 || character == 0x7f;
}

}  // namespace

SourcePtr mapped_source(const MappedFilePtr& file, DType dtype, Shape shape, std::uint64_t offset) {
  const std::byte* data = file->bytes().data() + offset;
  if (reinterpret_cast<std::uintptr_t>(data) % dtype_size(dtype) != 0) {
    return std::make_shared<UnalignedSource>(file, dtype, std::move(shape), offset);
  }
  TensorView view{dtype, std::move(shape), data};
  const std::size_t size = view.bytes();
  const MappedFile* mapped = file.get();  // the source's owner keeps it alive
  return view_source(std::move(view), file,
                     [mapped, offset, size] { mapped->release(offset, size); });
}

std::string shown_name(std::string_view name) {
  constexpr std::size_t kShown = 120;
  std::string text = "'";
  for (std::string_view rest = name.substr(0, kShown); !rest.empty();) {
    const std::size_t length = sequence_length(rest);
    if (length == 0 || is_control(rest[0])) {
      text += '?';
    } else {
      text += rest.substr(0, length);
    }
    rest.remove_prefix(length == 0 ? 1 : length);
  }
  return text + (name.size() > kShown ? "...'" : "'");
}

void check_tensor_name(std::string_view name) {
  if (name.empty()) bad_input("a tensor has an empty name");
  if (name.size() > kMaxNameBytes) {
    bad_input("tensor name {} has {} bytes, at most {} are read", shown_name(name), name.size(),
              kMaxNameBytes);
  }
  for (std::string_view rest = name; !rest.empty();) {
    const std::size_t length = sequence_length(rest);
    if (length == 0 || is_control(rest[0])) {
      bad_input("tensor name {} has a byte that is no printable UTF-8", shown_name(name));
    }
    rest.remove_prefix(length);
  }
}

void add_weight(WeightMap& weights, std::string_view name, Weight weight) {
  const auto [place, added] = weights.try_emplace(std::string(name), std::move(weight));
  if (!added) {
    bad_input("tensor {} stands twice, first in {}", shown_name(name),
              place->second.extents.at(0).file->path().string());
  }
}

void add_weights(WeightMap& weights, WeightMap more) {
  while (!more.empty()) {
    auto node = more.extract(more.begin());
    const auto result = weights.insert(std::move(node));
    if (result.inserted) continue;
    bad_input("tensor {} stands in two files, {} and {}", shown_name(result.node.key()),
              result.position->second.extents.at(0).file->path().string(),
              result.node.mapped().extents.at(0).file->path().string());
  }
}

}  // namespace tenon::checkpoint
