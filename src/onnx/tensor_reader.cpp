#include "onnx/tensor_reader.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>

#include "base/error.h"
#include "onnx-ml.pb.h"
#include "onnx/types.h"

namespace tenon::onnx {
namespace {

using ::onnx::TensorProto;

constexpr int kMaxRank = 32;

Shape shape_of(const TensorProto& tensor) {
  if (tensor.dims_size() > kMaxRank) {
    bad_input("{} dimensions, at most {} are supported", tensor.dims_size(), kMaxRank);
  }
  Shape shape(tensor.dims().begin(), tensor.dims().end());
  element_count(shape);
  return shape;
}

DType type_of(const TensorProto& tensor) {
  if (const auto type = from_onnx(tensor.data_type())) return *type;
  bad_input("element type {} is not supported", onnx_type_name(tensor.data_type()));
}

// Bytes of a bool are 0 or 1 for the program; files hold others.
Tensor normalised_bools(const TensorView& view) {
  Tensor tensor(DType::boolean, view.shape);
  std::transform(view.data, view.data + view.bytes(), tensor.data(),
                 [](std::byte byte) { return std::byte{byte != std::byte{0}}; });
  return tensor;
}

// Bytes in memory or in a mapped file; copied where they are not what the type asks for.
SourcePtr source_of_bytes(TensorView view, std::shared_ptr<const void> owner,
                          std::function<void()> release) {
  if (view.dtype == DType::boolean) return owned_source(normalised_bools(view));
  const auto address = reinterpret_cast<std::uintptr_t>(view.data);
  if (address % dtype_size(view.dtype) != 0) {
    Tensor aligned(view.dtype, view.shape);
    std::copy(view.data, view.data + view.bytes(), aligned.data());
    return owned_source(std::move(aligned));
  }
  return view_source(std::move(view), std::move(owner), std::move(release));
}

template <typename T>
void narrow(const google::protobuf::RepeatedField<std::int32_t>& from, Tensor& to) {
  auto out = to.as<T>();
  for (int i = 0; i < from.size(); ++i) {
    if (from[i] < std::numeric_limits<T>::min() || from[i] > std::numeric_limits<T>::max()) {
      bad_input("element {} is {}, which {} cannot hold", i, from[i], dtype_name(to.dtype()));
    }
    out[static_cast<std::size_t>(i)] = static_cast<T>(from[i]);
  }
}

// int32_data holds the bits of 16-bit floats and the values of small integers.
SourcePtr read_int32_data(const TensorProto& tensor, DType type, Shape shape) {
  Tensor made(type, std::move(shape));
  const auto& data = tensor.int32_data();
  switch (type) {
    case DType::f16:
    case DType::bf16: {
      auto* out = reinterpret_cast<std::uint16_t*>(made.data());
      for (const std::int32_t bits : data) *out++ = static_cast<std::uint16_t>(bits);
      break;
    }
    case DType::i8:
      narrow<std::int8_t>(data, made);
      break;
    case DType::u8:
      narrow<std::uint8_t>(data, made);
      break;
    case DType::i16:
      narrow<std::int16_t>(data, made);
      break;
    case DType::boolean:
      std::transform(data.begin(), data.end(), made.as<bool>().begin(),
                     [](std::int32_t value) { return value != 0; });
      break;
    default:
      std::copy(data.begin(), data.end(), made.as<std::int32_t>().begin());
  }
  return owned_source(std::move(made));
}

struct TypedData {
  const char* field;
  std::int64_t count;
  const void* data;  // null where the elements have to be converted
};

TypedData typed_data(const TensorProto& tensor, DType type) {
  switch (type) {
    case DType::f32:
      return {"float_data", tensor.float_data_size(), tensor.float_data().data()};
    case DType::f64:
      return {"double_data", tensor.double_data_size(), tensor.double_data().data()};
    case DType::i64:
      return {"int64_data", tensor.int64_data_size(), tensor.int64_data().data()};
    default:
      return {"int32_data", tensor.int32_data_size(), nullptr};
  }
}

int filled_fields(const TensorProto& tensor) {
  return int{tensor.has_raw_data()} + int{tensor.float_data_size() > 0} +
         int{tensor.int32_data_size() > 0} + int{tensor.int64_data_size() > 0} +
         int{tensor.double_data_size() > 0} + int{tensor.uint64_data_size() > 0} +
         int{tensor.string_data_size() > 0};
}

std::uint64_t parse_number(const std::string& key, const std::string& text) {
  std::uint64_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || end != text.data() + text.size()) {
    bad_input("external data: {} is \"{}\", a number from 0 was expected", key, text.substr(0, 64));
  }
  return number;
}

struct Place {
  std::string location;
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> length;
};

Place place_of(const TensorProto& tensor) {
  Place place;
  std::set<std::string> seen;
  for (const auto& entry : tensor.external_data()) {
    const std::string& key = entry.key();
    if (!seen.insert(key).second) bad_input("external data: {} is given twice", key);
    if (key == "location") {
      place.location = entry.value();
    } else if (key == "offset") {
      place.offset = parse_number(key, entry.value());
    } else if (key == "length") {
      place.length = parse_number(key, entry.value());
    } else if (key != "checksum") {
      bad_input(
          "external data: \"{}\" is not a known key; location, offset, length and checksum are",
          key.substr(0, 64));
    }
  }
  return place;
}

}  // namespace

SourcePtr TensorReader::read(const TensorProto& tensor) {
  return with_context(fmt::format("tensor {}", tensor.name()), [&]() -> SourcePtr {
    if (tensor.has_segment()) bad_input("tensors in segments are not supported");
    const DType type = type_of(tensor);
    const Shape shape = shape_of(tensor);
    if (tensor.data_location() == TensorProto::EXTERNAL) return read_external(tensor, type, shape);
    if (filled_fields(tensor) > 1) bad_input("its elements are given in more than one field");
    TensorView view{type, shape, nullptr};
    if (tensor.has_raw_data()) {
      if (tensor.raw_data().size() != view.bytes()) {
        bad_input("raw_data has {} bytes, {} {} takes {}", tensor.raw_data().size(),
                  dtype_name(type), tenon::to_string(std::span(shape)), view.bytes());
      }
      view.data = reinterpret_cast<const std::byte*>(tensor.raw_data().data());
      return source_of_bytes(std::move(view), model_, {});
    }
    const TypedData typed = typed_data(tensor, type);
    if (typed.count != view.count()) {
      bad_input("{} has {} elements, shape {} has {}", typed.field, typed.count,
                tenon::to_string(std::span(shape)), view.count());
    }
    if (typed.data == nullptr && typed.count > 0) return read_int32_data(tensor, type, shape);
    view.data = static_cast<const std::byte*>(typed.data);
    return view_source(std::move(view), model_);
  });
}

SourcePtr TensorReader::read_external(const TensorProto& tensor, DType type, const Shape& shape) {
  if (filled_fields(tensor) > 0) bad_input("its elements are inside the model and external too");
  const Place place = place_of(tensor);
  const std::uint64_t bytes = static_cast<std::uint64_t>(element_count(shape)) * dtype_size(type);
  if (place.length && *place.length != bytes) {
    bad_input("external data has a length of {} bytes, {} {} takes {}", *place.length,
              dtype_name(type), tenon::to_string(std::span(shape)), bytes);
  }
  const auto file = files_.open(place.location);
  const std::uint64_t size = file->bytes().size();
  if (place.offset > size || bytes > size - place.offset) {
    Error error(ErrorCode::bad_input,
                fmt::format("external data: bytes {} to {} + {} are wanted of \"{}\", which has {}",
                            place.offset, place.offset, bytes, place.location, size));
    throw error.hint("the file of weights is cut short or belongs to another model: copy it again");
  }
  const auto offset = static_cast<std::size_t>(place.offset);
  return source_of_bytes({type, shape, file->bytes().data() + offset}, file,
                         [file, offset, bytes] { file->release(offset, bytes); });
}

}  // namespace tenon::onnx
