// Pickles and zip archives made byte by byte, for the tests of files that no torch would write.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/test_files.h"
#include "checkpoint/zip_directory.h"

namespace tenon::checkpoint::testing {

using namespace std::string_literals;

inline std::string pickle_text(const std::string& text) {
  return "X"s + bytes_of(static_cast<std::uint32_t>(text.size())) + text;
}
inline std::string pickle_integer(std::int64_t value) { return "\x8a\x08"s + bytes_of(value); }
inline std::string pickle_tuple(const std::vector<std::int64_t>& values) {
  std::string bytes = "(";
  for (const std::int64_t value : values) bytes += pickle_integer(value);
  return bytes + "t";
}
inline std::string pickle_global(const std::string& module, const std::string& name) {
  return "c"s + module + "\n" + name + "\n";
}

/// A tensor of float32 over storage "0".
inline std::string pickle_tensor(std::int64_t elements, std::int64_t offset,
                                 const std::vector<std::int64_t>& sizes,
                                 const std::vector<std::int64_t>& strides) {
  return pickle_global("torch._utils", "_rebuild_tensor_v2") + "((" + pickle_text("storage") +
         pickle_global("torch", "FloatStorage") + pickle_text("0") + pickle_text("cpu") +
         pickle_integer(elements) + "tQ" + pickle_integer(offset) + pickle_tuple(sizes) +
         pickle_tuple(strides) + "\x89" + pickle_global("collections", "OrderedDict") + ")RtR";
}

/// {name: tensor}
inline std::string state_dict_pickle(const std::string& name, std::int64_t elements,
                                     std::int64_t offset, const std::vector<std::int64_t>& sizes,
                                     const std::vector<std::int64_t>& strides) {
  return "\x80\x02}"s + pickle_text(name) + pickle_tensor(elements, offset, sizes, strides) + "s.";
}

/// What a zip file is made of; fields that are set replace the right values.
struct ZipFile {
  struct Entry {
    std::string name;
    std::string contents;
    std::optional<std::uint32_t> crc32 = std::nullopt;
    std::uint16_t method = 0;
    std::optional<std::uint32_t> bytes = std::nullopt;   ///< in the directory
    std::optional<std::uint32_t> header = std::nullopt;  ///< in the directory
    std::string extra = {};                              ///< in the directory
    std::string own_name = {};                           ///< in the entry's header
    std::uint16_t flags = 0;
  };
  std::vector<Entry> entries;
  std::optional<std::uint16_t> count = std::nullopt;
  std::optional<std::uint32_t> directory = std::nullopt;
  std::string comment = {};
};

inline std::string zip_of(const ZipFile& file) {
  using U16 = std::uint16_t;
  using U32 = std::uint32_t;
  std::string bytes;
  std::string directory;
  for (const ZipFile::Entry& entry : file.entries) {
    const auto header = static_cast<U32>(bytes.size());
    const auto size = static_cast<U32>(entry.contents.size());
    const std::string sum =
        bytes_of(entry.crc32.value_or(crc32_of(std::as_bytes(std::span(entry.contents)))));
    const std::string own = entry.own_name.empty() ? entry.name : entry.own_name;
    bytes += bytes_of(U32{0x04034b50}) + bytes_of(U16{20}) + bytes_of(entry.flags) +
             bytes_of(entry.method) + bytes_of(U32{0}) + sum + bytes_of(size) + bytes_of(size) +
             bytes_of(static_cast<U16>(own.size())) + bytes_of(U16{0}) + own + entry.contents;
    const std::string claimed = bytes_of(entry.bytes.value_or(size));
    directory += bytes_of(U32{0x02014b50}) + bytes_of(U16{20}) + bytes_of(U16{20}) +
                 bytes_of(entry.flags) + bytes_of(entry.method) + bytes_of(U32{0}) + sum + claimed +
                 claimed + bytes_of(static_cast<U16>(entry.name.size())) +
                 bytes_of(static_cast<U16>(entry.extra.size())) + std::string(10, '\0') +
                 bytes_of(entry.header.value_or(header)) + entry.name + entry.extra;
  }
  const auto start = static_cast<U32>(bytes.size());
  const auto count = file.count.value_or(static_cast<U16>(file.entries.size()));
  return bytes + directory + bytes_of(U32{0x06054b50}) + bytes_of(U32{0}) + bytes_of(count) +
         bytes_of(count) + bytes_of(static_cast<U32>(directory.size())) +
         bytes_of(file.directory.value_or(start)) +
         bytes_of(static_cast<U16>(file.comment.size())) + file.comment;
}

}  // namespace tenon::checkpoint::testing
