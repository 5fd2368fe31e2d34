#include "serving/append_file.h"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

namespace tenon::serving {

void AppendFile::check_name(const std::string& name, std::string_view what) {
  const auto letter = [](unsigned char c) { return std::isalnum(c) != 0; };
  const bool plain = !name.empty() && name.size() <= 128 && letter(name.front()) &&
                     std::all_of(name.begin(), name.end(), [&](unsigned char c) {
                       return letter(c) || c == '.' || c == '_' || c == '-';
                     });
  if (!plain)
    bad_input(
        "{} is '{}': a plain file name was expected (letters, digits, '.', '_' and '-', 128 at "
        "most), which then stands in the folder that the server was given",
        what, name.substr(0, 128));
}

AppendFile::AppendFile(const std::filesystem::path& folder, const std::string& name) {
  check_name(name, "the file");
  const std::string path = (folder / name).string();
  descriptor_ = ::open(path.c_str(),
                       O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0640);
  struct stat found {};
  if (descriptor_ >= 0 && (::fstat(descriptor_, &found) != 0 || !S_ISREG(found.st_mode))) {
    ::close(descriptor_);
    fail(ErrorCode::resource, "the file '{}' is no plain file", name);
  }
  if (descriptor_ < 0)
    fail(ErrorCode::resource, "the file '{}' cannot be opened: {}", name,
         std::generic_category().message(errno));
}

AppendFile::~AppendFile() { ::close(descriptor_); }

bool AppendFile::add(std::string_view line) {
  if (added_ + line.size() > kMostBytes) return false;
  added_ += line.size();
  while (true) {
    const ssize_t put = ::write(descriptor_, line.data(), line.size());
    if (put >= 0) return static_cast<std::size_t>(put) == line.size();
    if (errno != EINTR) return false;
  }
}

}  // namespace tenon::serving
