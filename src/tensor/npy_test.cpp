#include "tensor/npy.h"

#include <filesystem>

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"

namespace tenon {
namespace {

std::filesystem::path scratch(const char* name) {
  return std::filesystem::temp_directory_path() / fmt::format("tenon-{}-{}", ::getpid(), name);
}

TEST(Npy, WrittenTensorsAreReadBack) {
  const auto path = scratch("a.npy");
  for (const Shape& shape : {Shape{}, Shape{3}, Shape{0, 2}, Shape{2, 3, 4}}) {
    Tensor tensor(DType::f32, shape);
    for (std::int64_t i = 0; i < tensor.count(); ++i)
      tensor.as<float>()[static_cast<std::size_t>(i)] = static_cast<float>(i) / 3;
    write_npy(path, tensor.view());
    const Tensor back = read_npy(path);
    EXPECT_EQ(back.shape(), shape);
    EXPECT_TRUE(
        std::equal(back.as<float>().begin(), back.as<float>().end(), tensor.as<float>().begin()));
    EXPECT_EQ(std::filesystem::file_size(path) % 64, tensor.bytes() % 64);
  }
  std::filesystem::remove(path);
}

std::string with_header(const std::string& header) {
  std::string text = "\x93NUMPY";
  text += std::string("\x01\x00", 2);
  const auto length = static_cast<std::uint16_t>(header.size());
  text.append(reinterpret_cast<const char*>(&length), 2);
  return text + header + std::string(8, '\0');
}

void expect_refused(const std::string& text) {
  EXPECT_THROW(parse_npy(std::as_bytes(std::span(text))), Error) << text;
}

TEST(Npy, HostileHeadersAreRefused) {
  expect_refused("");
  expect_refused("not numpy at all");
  expect_refused(with_header("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"));
  expect_refused(with_header("{'descr': '<f8', 'fortran_order': True, 'shape': (1,), }"));
  expect_refused(
      with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296), }"));
  expect_refused(with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }"));
  expect_refused(with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }"));
  expect_refused(with_header("{'descr': '>f8', 'fortran_order': False, 'shape': (1,), }"));
  expect_refused(with_header("{'fortran_order': False, 'shape': (1,), }"));
  std::string long_header =
      with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }");
  long_header[9] = '\x7f';
  expect_refused(long_header);
  std::string version = with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }");
  version[6] = 9;
  expect_refused(version);
}

}  // namespace
}  // namespace tenon
