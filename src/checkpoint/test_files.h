// What the tests of this folder share: a temporary directory and files made of exact bytes.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"

namespace tenon::checkpoint::testing {

/// Removed with all it holds when the object goes.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    static int count = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("tenon_checkpoint_" + std::to_string(::getpid()) + "_" + std::to_string(count++));
    std::filesystem::create_directories(path_);
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  std::filesystem::path operator/(const std::filesystem::path& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

  std::filesystem::path write(const std::filesystem::path& name, std::string_view bytes) const {
    const std::filesystem::path path = path_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

 private:
  std::filesystem::path path_;
};

/// The bytes of a number, little-endian.
template <typename T>
std::string bytes_of(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

/// A safetensors file of this header and so many bytes of data.
inline std::string safetensors(const std::string& header, const std::string& data) {
  return bytes_of(std::uint64_t{header.size()}) + header + data;
}

/// The message of the bad_input Error that `body` throws; empty when it throws none.
template <typename Body>
std::string refusal(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
    return error.what();
  }
  return "";
}

/// A recorded file that is committed beside the tests.
inline std::filesystem::path recorded(const std::filesystem::path& name) {
  return std::filesystem::path(TENON_SOURCE_DIR) / "src/checkpoint/testdata" / name;
}

/// A file of the shared test data; empty when it is not on this machine.
inline std::filesystem::path shared_data(const std::filesystem::path& name) {
  const char* root = std::getenv("TENON_TEST_DATA");
  const std::filesystem::path path =
      (root != nullptr ? std::filesystem::path(root)
                       : std::filesystem::path(TENON_SOURCE_DIR) / "../shared/data") /
      name;
  return std::filesystem::exists(path) ? path : std::filesystem::path();
}

}  // namespace tenon::checkpoint::testing
