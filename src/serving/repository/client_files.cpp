#include "serving/repository/client_files.h"

#include <cstdlib>
#include <fstream>

#include "base/error.h"

namespace tenon::serving {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostFiles = 1000;
constexpr std::size_t kMostLevels = 8;

void check_path(const std::string& path) {
  std::size_t levels = 0;
  bool fits = path.size() <= 1024;
  for (std::size_t begin = 0; fits && begin <= path.size(); ++levels) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    fits = !part.empty() && part.size() <= 255 && part != "." && part != ".." &&
           part.find_first_of(std::string_view("\\\0", 2)) == std::string::npos;
    if (levels == 0) {
      fits = fits && part.size() <= 19 && part[0] != '0' &&
             part.find_first_not_of("0123456789") == std::string::npos;
    }
    begin = end + 1;
  }
  if (fits && levels >= 2 && levels <= kMostLevels) return;
  std::string shown = path.substr(0, 128);
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 32 || c == 127) c = '?';
  }
  Error error(ErrorCode::bad_input,
              fmt::format("file \"{}\" does not lie in the folder of a version", shown));
  throw error.hint("for instance file:1/model.onnx");
}

void write(const fs::path& path, const std::string& bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) fail(ErrorCode::resource, "the files of the client could not be written");
}

}  // namespace

ClientFiles::ClientFiles(const std::map<std::string, std::string>& files) {
  if (files.size() > kMostFiles)
    bad_input("{} files, at most {} were expected", files.size(), kMostFiles);
  for (const auto& [path, bytes] : files) check_path(path);
  std::string name = (fs::temp_directory_path() / "tenon-model-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr)
    fail(ErrorCode::resource, "no folder could be made for the files of the client");
  folder_ = name;
  try {
    for (const auto& [path, bytes] : files) write(folder_ / path, bytes);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
    throw;
  }
}

ClientFiles::~ClientFiles() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

}  // namespace tenon::serving
