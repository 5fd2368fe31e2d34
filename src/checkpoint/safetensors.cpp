#include "checkpoint/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <unordered_set>

#include "base/error.h"
#include "base/json.h"

namespace tenon::checkpoint {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;
constexpr std::size_t kLengthBytes = 8;

struct NamedType {
  std::string_view name;
  DType dtype;
};
constexpr std::array<NamedType, 10> kTypes = {{{"F64", DType::f64},
                                               {"F32", DType::f32},
                                               {"F16", DType::f16},
                                               {"BF16", DType::bf16},
                                               {"I64", DType::i64},
                                               {"I32", DType::i32},
                                               {"I16", DType::i16},
                                               {"I8", DType::i8},
                                               {"U8", DType::u8},
                                               {"BOOL", DType::boolean}}};
// Types of the format that have no kernels here.
constexpr std::array<std::string_view, 13> kOtherTypes = {
    "U16", "U32",     "U64",     "F8_E4M3",     "F8_E5M2",     "F8_E8M0", "F4",
    "C64", "F6_E2M3", "F6_E3M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "C128"};

DType type_of(std::string_view text) {
  for (const NamedType& type : kTypes) {
    if (type.name == text) return type.dtype;
  }
  if (std::find(kOtherTypes.begin(), kOtherTypes.end(), text) != kOtherTypes.end()) {
    Error error(ErrorCode::bad_input, fmt::format("element type {} is not supported; one of F64, "
                                                  "F32, F16, BF16, I64, I32, I16, I8, U8, BOOL was "
                                                  "expected",
                                                  text));
    throw error.hint("take the model's bfloat16 or float16 release");
  }
  bad_input("element type {} is none of the format's", shown_name(text));
}

// The header has one fixed structure, so the reader is a small state machine over JSON events. It
// refuses the first event that does not belong, which bounds depth and memory.
class HeaderReader final : public nlohmann::json_sax<Json> {
 public:
  std::vector<SafetensorsEntry> take() { return std::move(entries_); }

  bool null() override { refuse("null"); }
  bool boolean(bool) override { refuse("a truth value"); }
  bool number_integer(number_integer_t value) override {
    refuse(fmt::format("the number {}", value));
  }
  bool number_float(number_float_t, const string_t& text) override {
    refuse("the number " + shown_name(text));
  }
  bool binary(binary_t&) override { refuse("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (at_ == At::shape) {
      if (entry_.shape.size() == kMaxRank) {
        bad_input("tensor {} has more than {} dimensions", shown_name(entry_.name), kMaxRank);
      }
      if (value > std::uint64_t{INT64_MAX}) refuse(fmt::format("the number {}", value));
      entry_.shape.push_back(static_cast<std::int64_t>(value));
      return true;
    }
    if (at_ == At::offsets && offsets_ < 2) {
      (offsets_++ == 0 ? entry_.begin : entry_.end) = value;
      return true;
    }
    refuse(fmt::format("the number {}", value));
  }

  bool string(string_t& value) override {
    if (at_ == At::metadata) return true;
    if (at_ != At::dtype) refuse("a string");
    entry_.dtype = with_context(place(), [&] { return type_of(value); });
    at_ = At::fields;
    return true;
  }

  bool start_object(std::size_t) override {
    if (at_ == At::outside) {
      at_ = At::names;
    } else if (at_ == At::before_metadata) {
      at_ = At::metadata;
    } else if (at_ == At::before_fields) {
      at_ = At::fields;
    } else {
      refuse("an object");
    }
    return true;
  }

  bool key(string_t& name) override {
    if (at_ == At::names) {
      start_name(name);
    } else if (at_ == At::fields) {
      start_field(name);
    }  // a key of __metadata__ may be anything
    return true;
  }

  bool end_object() override {
    if (at_ == At::fields) {
      if (fields_ != 7) bad_input("{} lacks dtype, shape or data_offsets", place());
      entries_.push_back(std::move(entry_));
    }
    at_ = at_ == At::names ? At::outside : At::names;
    return true;
  }

  bool start_array(std::size_t) override {
    if (at_ == At::before_shape) {
      at_ = At::shape;
    } else if (at_ == At::before_offsets) {
      at_ = At::offsets;
    } else {
      refuse("a list");
    }
    return true;
  }

  bool end_array() override {
    if (at_ == At::offsets && offsets_ != 2) {
      bad_input("{} has {} data_offsets, two were expected", place(), offsets_);
    }
    at_ = At::fields;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const Json::exception&) override {
    bad_input("the header is not valid JSON in UTF-8, first at its byte {}", position);
  }

 private:
  enum class At {
    outside,
    names,
    before_metadata,
    metadata,
    before_fields,
    fields,
    dtype,
    before_shape,
    shape,
    before_offsets,
    offsets
  };

  std::string place() const { return "tensor " + shown_name(entry_.name); }

  [[noreturn]] void refuse(const std::string& found) const {
    switch (at_) {
      case At::outside:
        bad_input("the header is {}, a JSON object was expected", found);
      case At::before_metadata:
        bad_input("__metadata__ is {}, an object of strings was expected", found);
      case At::metadata:
        bad_input("__metadata__ holds {}, strings were expected", found);
      case At::dtype:
        bad_input("{}: dtype is {}, a string was expected", place(), found);
      case At::before_shape:
        bad_input("{}: shape is {}, a list was expected", place(), found);
      case At::shape:
        bad_input("{}: shape holds {}, integers from 0 to 2^63 - 1 were expected", place(), found);
      case At::before_offsets:
        bad_input("{}: data_offsets is {}, a list was expected", place(), found);
      case At::offsets:
        bad_input("{}: data_offsets holds {}, two integers from 0 to 2^64 - 1 were expected",
                  place(), found);
      default:
        bad_input("{} is {}, an object was expected", place(), found);
    }
  }

  void start_name(const std::string& name) {
    if (!names_.insert(name).second) bad_input("tensor {} stands twice", shown_name(name));
    if (name == "__metadata__") {
      at_ = At::before_metadata;
      return;
    }
    if (entries_.size() == kMaxTensors) bad_input("more than {} tensors", kMaxTensors);
    check_tensor_name(name);
    entry_ = {};
    entry_.name = name;
    fields_ = 0;
    offsets_ = 0;
    at_ = At::before_fields;
  }

  void start_field(const std::string& name) {
    unsigned bit = 0;
    if (name == "dtype") {
      bit = 1;
      at_ = At::dtype;
    } else if (name == "shape") {
      bit = 2;
      at_ = At::before_shape;
    } else if (name == "data_offsets") {
      bit = 4;
      at_ = At::before_offsets;
    } else {
      bad_input("{} has the unknown field {}", place(), shown_name(name));
    }
    if ((fields_ & bit) != 0) bad_input("{} has the field {} twice", place(), name);
    fields_ |= bit;
  }

  At at_ = At::outside;
  SafetensorsEntry entry_;
  unsigned fields_ = 0;  // a bit for each of dtype, shape, data_offsets seen
  int offsets_ = 0;
  std::vector<SafetensorsEntry> entries_;
  std::unordered_set<std::string> names_;
};

std::string_view header_of(std::span<const std::byte> file) {
  if (file.size() < kLengthBytes) {
    bad_input("has {} bytes, a safetensors file has at least {}", file.size(), kLengthBytes);
  }
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof length);
  if (length > kMaxHeaderBytes) {
    bad_input("header length {} is above the format's limit of {} bytes", length, kMaxHeaderBytes);
  }
  if (length > file.size() - kLengthBytes) {
    Error error(ErrorCode::bad_input, fmt::format("header length {} is beyond the end of the file, "
                                                  "which has {} bytes",
                                                  length, file.size()));
    throw error.hint("copy or download the file again: it is cut short");
  }
  const std::string_view header(reinterpret_cast<const char*>(file.data()) + kLengthBytes,
                                static_cast<std::size_t>(length));
  if (header.empty() || header[0] != '{') {
    bad_input("the header does not start with '{{': a JSON object was expected");
  }
  return header;
}

// Sorted by place, the tensors must follow each other without hole or overlap to the last byte.
void check_layout(std::vector<SafetensorsEntry>& entries, std::uint64_t data_bytes) {
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  std::uint64_t position = 0;
  for (const SafetensorsEntry& entry : entries) {
    const auto range = [&] { return fmt::format("[{}, {}]", entry.begin, entry.end); };
    if (entry.begin > entry.end) {
      bad_input("tensor {}: data_offsets {} run backwards", shown_name(entry.name), range());
    }
    if (entry.end > data_bytes) {
      Error error(ErrorCode::bad_input,
                  fmt::format("tensor {}: data_offsets {} lie outside the {} bytes of data",
                              shown_name(entry.name), range(), data_bytes));
      throw error.hint("copy or download the file again: it may be cut short");
    }
    const auto size = with_context("tensor " + shown_name(entry.name), [&] {
      return static_cast<std::uint64_t>(element_count(entry.shape)) * dtype_size(entry.dtype);
    });
    if (entry.end - entry.begin != size) {
      bad_input("tensor {}: data_offsets {} hold {} bytes, shape {} of {} takes {}",
                shown_name(entry.name), range(), entry.end - entry.begin, to_string(entry.shape),
                dtype_name(entry.dtype), size);
    }
    if (entry.begin != position) {
      bad_input("tensor {}: data starts at {}, {} was expected: tensors must follow each other {}",
                shown_name(entry.name), entry.begin, position,
                entry.begin > position ? "without a hole" : "without overlap");
    }
    position = entry.end;
  }
  if (position != data_bytes) {
    bad_input("{} bytes follow the last tensor: the tensors must cover the whole file",
              data_bytes - position);
  }
}

}  // namespace

std::vector<SafetensorsEntry> parse_safetensors(std::span<const std::byte> file) {
  const std::string_view header = header_of(file);
  HeaderReader reader;
  Json::sax_parse(header.begin(), header.end(), &reader);
  std::vector<SafetensorsEntry> entries = reader.take();
  const std::uint64_t start = kLengthBytes + header.size();
  check_layout(entries, file.size() - start);
  for (SafetensorsEntry& entry : entries) {
    entry.begin += start;
    entry.end += start;
  }
  return entries;
}

WeightMap read_safetensors(const MappedFilePtr& file) {
  return with_context(file->path().string(), [&] {
    WeightMap weights;
    for (SafetensorsEntry& entry : parse_safetensors(file->bytes())) {
      add_weight(weights, entry.name,
                 {mapped_source(file, entry.dtype, std::move(entry.shape), entry.begin),
                  {{file, entry.begin, entry.end - entry.begin, std::nullopt}}});
    }
    return weights;
  });
}

}  // namespace tenon::checkpoint
