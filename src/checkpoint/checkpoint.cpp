#include "checkpoint/checkpoint.h"

#include <algorithm>
#include <array>

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/interrupt.h"
#include "checkpoint/folder.h"
#include "checkpoint/hugging_face.h"
#include "checkpoint/meta.h"
#include "checkpoint/nearest.h"
#include "checkpoint/zip_directory.h"

namespace tenon::checkpoint {

namespace fs = std::filesystem;

namespace {

// What belongs to a model beside its weights.
constexpr std::array<std::string_view, 14> kCompanions = {"config.json",
                                                          "params.json",
                                                          "generation_config.json",
                                                          "tokenizer.json",
                                                          "tokenizer.model",
                                                          "tokenizer_config.json",
                                                          "special_tokens_map.json",
                                                          "added_tokens.json",
                                                          "vocab.json",
                                                          "merges.txt",
                                                          "chat_template.jinja",
                                                          "chat_template.json",
                                                          "preprocessor_config.json",
                                                          "scheduler_config.json"};

// A mapped file that somebody cuts short would end the process at the next read; one that grew or
// was replaced is no longer what the headers described.
void check_unchanged(const Weight& weight) {
  for (const auto& [file, offset, bytes, crc32] : weight.extents) {
    std::error_code error;
    const std::uintmax_t size = fs::file_size(file->path(), error);
    if (!error && size != file->bytes().size()) {
      Error failure(ErrorCode::bad_input,
                    fmt::format("{}: has {} bytes now and had {} when it was opened",
                                file->path().string(), size, file->bytes().size()));
      throw failure.hint("leave the checkpoint alone while it is in use, and start again");
    }
  }
}

// In blocks, dropping the pages behind.
std::uint32_t streamed_crc32(const MappedFile& file, std::uint64_t offset, std::uint64_t bytes) {
  constexpr std::uint64_t kBlock = std::uint64_t{16} << 20;
  std::uint32_t sum = 0;
  for (std::uint64_t done = 0; done < bytes; done += kBlock) {
    const std::uint64_t size = std::min(kBlock, bytes - done);
    sum = crc32_of(file.bytes().subspan(offset + done, size), sum);
    file.release(offset + done, size);
    check_interrupt();
  }
  return sum;
}

}  // namespace

Checkpoint Checkpoint::open(const fs::path& path, std::string_view variant) {
  std::error_code error;
  return fs::is_directory(path, error) ? open_directory(path, variant) : open_file(path);
}

Checkpoint Checkpoint::assemble(WeightSet set, Json config, fs::path directory) {
  Checkpoint checkpoint;
  checkpoint.form_ = std::move(set.form);
  checkpoint.directory_ = std::move(directory);
  checkpoint.config_ = std::move(config);
  checkpoint.weights_ = std::move(set.weights);
  checkpoint.list_files(set.files);
  return checkpoint;
}

Checkpoint Checkpoint::open_directory(const fs::path& path, std::string_view variant) {
  const Folder folder(path);
  Checkpoint checkpoint;
  checkpoint.directory_ = path;
  std::vector<fs::path> companions;
  for (const std::string_view name : kCompanions) {
    if (const auto file = folder.find(name)) companions.push_back(*file);
  }
  WeightSet set;
  if (const auto file = folder.find("config.json"); is_meta(folder) && !is_hugging_face(folder)) {
    MetaCheckpoint meta = read_meta(folder);
    checkpoint.config_ = std::move(meta.config);
    set = std::move(meta.set);
    // Meta's downloads keep one tokenizer beside the folders of all sizes.
    const fs::path shared = path / ".." / "tokenizer.model";
    if (!folder.find("tokenizer.model") && fs::is_regular_file(shared))
      companions.push_back(shared);
  } else {
    if (file) checkpoint.config_ = read_config(*file);
    set = read_hugging_face(folder, variant);
  }
  checkpoint.form_ = std::move(set.form);
  checkpoint.weights_ = std::move(set.weights);
  checkpoint.list_files(companions);
  checkpoint.list_files(set.files);
  return checkpoint;
}

Checkpoint Checkpoint::open_file(const fs::path& path) {
  Checkpoint checkpoint;
  checkpoint.directory_ = path.has_parent_path() ? path.parent_path() : fs::path(".");
  WeightSet set = read_weight_file(path);
  if (const auto file = Folder(checkpoint.directory_).find("config.json")) {
    checkpoint.config_ = read_config(*file);
    checkpoint.list_files({*file});
  }
  checkpoint.form_ = std::move(set.form);
  checkpoint.weights_ = std::move(set.weights);
  checkpoint.list_files(set.files);
  return checkpoint;
}

void Checkpoint::list_files(const std::vector<fs::path>& paths) {
  for (const fs::path& path : paths) files_.push_back({path, fs::file_size(path)});
}

const std::string& Checkpoint::architecture() const {
  const Json* names = find_field(config_, "architectures");
  if (names == nullptr || !names->is_array() || names->empty() || !names->front().is_string()) {
    Error error(ErrorCode::bad_input,
                fmt::format("{}: config.json names no architecture; \"architectures\": "
                            "[\"LlamaForCausalLM\"] or the like was expected",
                            directory_.string()));
    throw error.hint("open the directory that holds the model's config.json");
  }
  return names->front().get_ref<const std::string&>();
}

std::vector<std::string> Checkpoint::names() const {
  std::vector<std::string> names;
  names.reserve(weights_.size());
  for (const auto& [name, weight] : weights_) names.push_back(name);
  return names;
}

const Weight& Checkpoint::find(std::string_view name) const {
  const auto found = weights_.find(name);
  if (found != weights_.end()) return found->second;
  const std::vector<std::string> near = nearest_names(name, names(), 3);
  bad_input("{}: the weights hold no tensor {}; {}", directory_.string(), shown_name(name),
            near.empty() ? fmt::format("none of their {} names is like it", weights_.size())
                         : fmt::format("the nearest are {}", fmt::join(near, ", ")));
}

SourcePtr Checkpoint::weight(std::string_view name) const {
  const Weight& found = find(name);
  check_unchanged(found);
  return found.source;
}

SourcePtr Checkpoint::weight(std::string_view name, const Shape& shape) const {
  SourcePtr source = weight(name);
  if (source->shape() != shape) {
    bad_input("{}: tensor {} has shape {}, the configuration asks for {}", file_of(name).string(),
              shown_name(name), to_string(source->shape()), to_string(shape));
  }
  return source;
}

void Checkpoint::check_sums(std::string_view name) const {
  const Weight& weight = find(name);
  check_unchanged(weight);
  for (const auto& [file, offset, bytes, crc32] : weight.extents) {
    if (!crc32) continue;
    const std::uint32_t sum = streamed_crc32(*file, offset, bytes);
    if (sum == *crc32) continue;
    Error error(ErrorCode::bad_input,
                fmt::format("{}: the bytes of tensor {} have the sum {:08x}, {:08x} was expected",
                            file->path().string(), shown_name(name), sum, *crc32));
    throw error.hint("copy or download the file again: it is damaged");
  }
}

const fs::path& Checkpoint::file_of(std::string_view name) const {
  return find(name).extents.front().file->path();
}

}  // namespace tenon::checkpoint
