#include "build_store.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "base/cpu_features.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/mapped_file.h"

namespace tenon::apps {
namespace {

namespace fs = std::filesystem;

// A journal of a million constants; what is larger was not written by us.
constexpr std::size_t kLongestJournal = std::size_t{256} << 20;

Json to_json(const std::string& name, const engine::Constant& constant) {
  return {{"name", name},
          {"dtype", dtype_name(constant.dtype)},
          {"shape", constant.shape},
          {"format", constant.format},
          {"bytes", constant.bytes},
          {"sum", constant.sum},
          {"offset", constant.offset}};
}

engine::Constant constant_of(const Json& line) {
  engine::Constant constant;
  constant.dtype = parse_dtype(line.at("dtype").get<std::string>());
  constant.shape = line.at("shape").get<Shape>();
  constant.format = line.at("format").get<std::string>();
  constant.bytes = line.at("bytes").get<std::uint64_t>();
  constant.sum = line.at("sum").get<std::uint64_t>();
  constant.offset = line.at("offset").get<std::uint64_t>();
  return constant;
}

Json size_and_time(const fs::path& path) {
  std::error_code none;
  const auto size = fs::file_size(path, none);
  const auto time = fs::last_write_time(path, none);
  return {path.filename().string(), size, time.time_since_epoch().count()};
}

std::vector<fs::path> large_files(const ModelSource& source) {
  std::vector<fs::path> paths;
  if (source.kind() == SourceKind::onnx && !fs::is_directory(source.path())) {
    // Weights outside of the file lie beside it.
    for (const auto& entry : fs::directory_iterator(fs::absolute(source.path()).parent_path()))
      if (entry.is_regular_file()) paths.push_back(entry.path());
  } else {
    paths = source.files();
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace

Json build_key(const ModelSource& source, const bundle::Files& files, Json options,
               const fs::path& output) {
  Json small = Json::object();
  for (const auto& [name, bytes] : files) small[name] = xxh3(std::as_bytes(std::span(bytes)));
  Json large = Json::array();
  const std::string own = fs::weakly_canonical(output).string();
  for (const auto& path : large_files(source)) {
    if (!fs::weakly_canonical(path).string().starts_with(own)) large.push_back(size_and_time(path));
  }
  return {{"tenon", size_and_time("/proc/self/exe")},
          {"isa", isa_name(native_isa())},
          {"source", fs::weakly_canonical(source.path()).string()},
          {"files", small},
          {"weights", large},
          {"options", std::move(options)}};
}

BuildStore::BuildStore(const fs::path& output, const Json& key, bool resumable)
    : journal_(output.string() + ".part.journal"), key_(key), resumable_(resumable) {
  if (!resumable) {
    writer_.emplace(output);
    return;
  }
  writer_.emplace(output, output.string() + ".part");  // holds the lock of both files
  left_ = read_journal();
  std::vector<engine::Constant> constants;
  for (const Entry& entry : left_) constants.push_back(entry.constant);
  left_.resize(writer_->resume(constants));
  start_journal();
}

BuildStore::~BuildStore() {
  if (journal_fd_ >= 0) ::close(journal_fd_);
}

// The last line may have been cut off by what ended the build; whatever is wrong with a line, those
// before it count.
std::vector<BuildStore::Entry> BuildStore::read_journal() const {
  std::vector<Entry> entries;
  if (!fs::is_regular_file(journal_)) return entries;
  try {
    const std::string text = read_file(journal_, kLongestJournal);
    std::size_t begin = 0;
    for (std::size_t end = text.find('\n'); end != std::string::npos;
         end = text.find('\n', begin)) {
      const Json line = parse_json(text.substr(begin, end - begin), journal_.string());
      if (begin == 0 && line != key_) return {};
      if (begin > 0) entries.push_back({line.at("name").get<std::string>(), constant_of(line)});
      begin = end + 1;
    }
  } catch (const std::exception&) {
    return entries;
  }
  return entries;
}

// Written anew with what is still good, so that it never promises more than the part file holds.
void BuildStore::start_journal() {
  if (journal_fd_ >= 0) ::close(journal_fd_);
  journal_fd_ = ::open(journal_.c_str(),
                       O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (journal_fd_ < 0) {
    fail(ErrorCode::resource, "{}: cannot be created: {}", journal_.string(), std::strerror(errno));
  }
  std::string text = key_.dump() + "\n";
  for (const Entry& entry : left_) text += to_json(entry.name, entry.constant).dump() + "\n";
  append(text);
}

void BuildStore::append(const std::string& line) {
  if (::write(journal_fd_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    fail(ErrorCode::resource, "{}: cannot be written: {}", journal_.string(), std::strerror(errno));
  }
}

bool BuildStore::restore(engine::Constant& constant, std::string_view name, std::uint64_t bytes) {
  name_ = name;
  if (next_ >= left_.size()) return false;
  const Entry& entry = left_[next_];
  const engine::Constant& kept = entry.constant;
  if (entry.name == name && kept.dtype == constant.dtype && kept.shape == constant.shape &&
      kept.format == constant.format && kept.bytes == bytes) {
    constant.bytes = kept.bytes;
    constant.sum = kept.sum;
    constant.offset = kept.offset;
    next_ += 1;
    restored_ += 1;
    restored_bytes_ += bytes;
    return true;
  }
  // Another kernel measured fastest this time: from here on the constants are others.
  writer_->forget_from(kept);
  left_.resize(next_);
  start_journal();
  return false;
}

void BuildStore::put(engine::Constant& constant, std::span<const std::byte> bytes) {
  writer_->put(constant, bytes);
  if (resumable_) append(to_json(name_, constant).dump() + "\n");
}

void BuildStore::finish(const bundle::Engines& engines, const bundle::Contents& contents) {
  writer_->finish(engines, contents);
  remove_files();
}

void BuildStore::unwound_by(const Error& error) noexcept {
  if (error.code() == ErrorCode::interrupted || !resumable_) return;
  writer_->discard();
  remove_files();
}

void BuildStore::remove_files() noexcept {
  if (resumable_) ::unlink(journal_.c_str());
}

}  // namespace tenon::apps
