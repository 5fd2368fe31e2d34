#include "tensor/npy.h"

#include <array>
#include <charconv>
#include <cstring>
#include <memory>

#include <zip.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/mapped_file.h"

namespace tenon {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::uint64_t kMaxArchive = std::uint64_t{4} << 30;

struct TypeCode {
  std::string_view code;
  DType type;
};
constexpr std::array<TypeCode, 10> kTypeCodes = {{{"<f4", DType::f32},
                                                  {"<f2", DType::f16},
                                                  {"<f8", DType::f64},
                                                  {"|i1", DType::i8},
                                                  {"|u1", DType::u8},
                                                  {"<i2", DType::i16},
                                                  {"<i4", DType::i32},
                                                  {"<i8", DType::i64},
                                                  {"|b1", DType::boolean},
                                                  {"<b1", DType::boolean}}};

// The value after 'key': in the header, which is the text of a Python dictionary.
std::string_view field(std::string_view header, std::string_view key) {
  const auto at = header.find(fmt::format("'{}':", key));
  if (at == std::string_view::npos) bad_input("the .npy header has no field '{}'", key);
  std::string_view rest = header.substr(at + key.size() + 3);
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  return rest;
}

DType parse_type(std::string_view text) {
  const auto end = text.size() > 1 ? text.find('\'', 1) : std::string_view::npos;
  if (text.empty() || text[0] != '\'' || end == std::string_view::npos)
    bad_input("the .npy array has a structured type");
  const std::string_view code = text.substr(1, end - 1);
  for (const auto& row : kTypeCodes) {
    if (row.code == code) return row.type;
  }
  bad_input("the .npy element type '{}' is not supported", code);
}

Shape parse_shape(std::string_view text) {
  const auto end = text.find(')');
  if (text.empty() || text[0] != '(' || end == std::string_view::npos)
    bad_input("the .npy shape is not a tuple");
  Shape shape;
  std::string_view rest = text.substr(1, end - 1);
  while (!rest.empty()) {
    rest.remove_prefix(std::min(rest.find_first_not_of(" ,"), rest.size()));
    if (rest.empty()) break;
    std::int64_t dim = 0;
    const auto [next, code] = std::from_chars(rest.data(), rest.data() + rest.size(), dim);
    if (code != std::errc() || dim < 0 || shape.size() == 32)
      bad_input("the .npy shape ({}) is malformed", text.substr(1, end - 1));
    shape.push_back(dim);
    rest.remove_prefix(static_cast<std::size_t>(next - rest.data()));
  }
  return shape;
}

}  // namespace

Tensor parse_npy(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.size() < 12 || text.substr(0, 6) != kMagic) bad_input("not a .npy file");
  const int version = text[6];
  if (version < 1 || version > 3) bad_input(".npy version {} is not known", version);
  const std::size_t prefix = version == 1 ? 10 : 12;
  std::uint32_t length = 0;
  std::memcpy(&length, text.data() + 8, version == 1 ? 2 : 4);
  if (length > text.size() - prefix)
    bad_input("the .npy header of {} bytes is longer than the file", length);
  const std::string_view header = text.substr(prefix, length);
  const DType type = parse_type(field(header, "descr"));
  if (!field(header, "fortran_order").starts_with("False"))
    bad_input("the .npy array is in Fortran order; save it with order='C'");
  const Shape shape = parse_shape(field(header, "shape"));
  const auto wanted = static_cast<std::size_t>(element_count(shape)) * dtype_size(type);
  const auto data = bytes.subspan(prefix + length);
  if (data.size() != wanted) {
    bad_input("the .npy array {} of {} needs {} bytes, the file has {}", to_string(shape),
              dtype_name(type), wanted, data.size());
  }
  return Tensor::copy_of({type, shape, data.data()});
}

Tensor read_npy(const std::filesystem::path& path) {
  return with_context(path.string(), [&] { return parse_npy(MappedFile::open(path)->bytes()); });
}

void write_npy(const std::filesystem::path& path, const TensorView& tensor) {
  if (tensor.dtype == DType::bf16) return write_npy(path, converted(tensor, DType::f32).view());
  std::string_view code;
  for (const auto& row : kTypeCodes) {
    if (row.type == tensor.dtype && code.empty()) code = row.code;
  }
  std::string shape = "(";
  for (const std::int64_t dim : tensor.shape) shape += fmt::format("{}, ", dim);
  std::string header =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': {}), }}", code, shape);
  header.append((64 - (11 + header.size()) % 64) % 64, ' ');
  header += '\n';
  AtomicFile file(path);
  const auto length = static_cast<std::uint16_t>(header.size());
  file.write(kMagic);
  file.write(std::string_view("\x01\x00", 2));
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(header);
  file.write({tensor.data, tensor.bytes()});
  file.commit();
}

std::map<std::string, Tensor, std::less<>> read_npz(const std::filesystem::path& path) {
  return with_context(path.string(), [&] {
    int code = 0;
    const std::unique_ptr<zip_t, void (*)(zip_t*)> archive(
        zip_open(path.c_str(), ZIP_RDONLY, &code), zip_discard);
    if (!archive) bad_input("not a .npz archive (zip error {})", code);
    std::map<std::string, Tensor, std::less<>> tensors;
    std::uint64_t total = 0;
    for (zip_int64_t i = 0; i < zip_get_num_entries(archive.get(), 0); ++i) {
      zip_stat_t status;
      const auto index = static_cast<zip_uint64_t>(i);
      if (zip_stat_index(archive.get(), index, 0, &status) != 0)
        bad_input("entry {} cannot be read", i);
      total += status.size;
      if (total > kMaxArchive) bad_input("the arrays take more than {} bytes", kMaxArchive);
      std::string name = status.name;
      with_context(name, [&] {
        std::vector<std::byte> bytes(status.size);
        const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> file(
            zip_fopen_index(archive.get(), index, 0), zip_fclose);
        if (!file || zip_fread(file.get(), bytes.data(), bytes.size()) !=
                         static_cast<zip_int64_t>(bytes.size())) {
          bad_input("the entry is damaged");
        }
        if (name.ends_with(".npy")) name.resize(name.size() - 4);
        if (!tensors.emplace(name, parse_npy(bytes)).second)
          bad_input("two arrays are named {}", name);
      });
    }
    return tensors;
  });
}

}  // namespace tenon
