#include "checkpoint/zip_directory.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <vector>

#include <zlib.h>

#include "base/error.h"
#include "checkpoint/weight_map.h"

namespace tenon::checkpoint {
namespace {

constexpr std::uint32_t kLocalSignature = 0x04034b50;
constexpr std::uint32_t kCentralSignature = 0x02014b50;
constexpr std::uint32_t kEndSignature = 0x06054b50;
constexpr std::uint32_t kEnd64Signature = 0x06064b50;
constexpr std::uint32_t kLocatorSignature = 0x07064b50;
constexpr std::uint64_t kLocalBytes = 30;
constexpr std::uint64_t kCentralBytes = 46;
constexpr std::uint64_t kEndBytes = 22;
constexpr std::uint64_t kEnd64Bytes = 56;
constexpr std::uint64_t kLocatorBytes = 20;
constexpr std::uint64_t kMaxComment = 65535;
constexpr std::uint16_t kExtra64 = 1;
constexpr std::uint32_t kIn64 = 0xffffffff;  // a field whose value stands in the 64-bit extra

// Little-endian fields at checked places.
class Bytes {
 public:
  explicit Bytes(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::uint64_t size() const { return bytes_.size(); }
  void check(std::uint64_t offset, std::uint64_t count) const {
    if (offset > bytes_.size() || count > bytes_.size() - offset) {
      bad_input("a zip record of {} bytes at {} lies outside its {} bytes", count, offset,
                bytes_.size());
    }
  }
  template <typename T>
  T at(std::uint64_t offset) const {
    check(offset, sizeof(T));
    T value;
    std::memcpy(&value, bytes_.data() + offset, sizeof value);
    return value;
  }
  std::string_view text(std::uint64_t offset, std::uint64_t count) const {
    check(offset, count);
    return {reinterpret_cast<const char*>(bytes_.data()) + offset, static_cast<std::size_t>(count)};
  }

 private:
  std::span<const std::byte> bytes_;
};

struct Directory {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint64_t entries = 0;
};

std::uint64_t find_end(const Bytes& file) {
  if (file.size() < kEndBytes) bad_input("{} bytes are too few for a zip file", file.size());
  const std::uint64_t last = file.size() - kEndBytes;
  const std::uint64_t first = last > kMaxComment ? last - kMaxComment : 0;
  for (std::uint64_t place = last + 1; place-- > first;) {
    if (file.at<std::uint32_t>(place) == kEndSignature &&
        place + kEndBytes + file.at<std::uint16_t>(place + 20) == file.size()) {
      return place;
    }
  }
  Error error(ErrorCode::bad_input, "the zip file has no directory at its end");
  throw error.hint("copy or download the file again: it is cut short");
}

Directory find_directory(const Bytes& file) {
  const std::uint64_t end = find_end(file);
  Directory directory{file.at<std::uint32_t>(end + 16), file.at<std::uint32_t>(end + 12),
                      file.at<std::uint16_t>(end + 10)};
  std::uint64_t limit = end;
  if (end >= kLocatorBytes && file.at<std::uint32_t>(end - kLocatorBytes) == kLocatorSignature) {
    const auto end64 = file.at<std::uint64_t>(end - kLocatorBytes + 8);
    file.check(end64, kEnd64Bytes);
    if (file.at<std::uint32_t>(end64) != kEnd64Signature) {
      bad_input("the 64-bit end record of the zip file is not at {}", end64);
    }
    directory = {file.at<std::uint64_t>(end64 + 48), file.at<std::uint64_t>(end64 + 40),
                 file.at<std::uint64_t>(end64 + 32)};
    limit = end64;
  }
  if (directory.offset > limit || directory.bytes > limit - directory.offset) {
    bad_input("the zip directory of {} bytes at {} runs beyond {}, where its end record is",
              directory.bytes, directory.offset, limit);
  }
  if (directory.entries > directory.bytes / kCentralBytes || directory.entries > 2 * kMaxTensors) {
    bad_input("the zip directory claims {} entries in {} bytes", directory.entries,
              directory.bytes);
  }
  return directory;
}

void check_entry_name(std::string_view name) {
  bool safe = !name.empty() && name.size() <= 1024 && name[0] != '/' &&
              name.find_first_of(std::string_view("\\\0", 2)) == std::string_view::npos;
  for (std::string_view rest = name; safe && !rest.empty();) {
    const std::size_t slash = rest.find('/');
    safe = rest.substr(0, slash) != "..";
    rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  }
  if (!safe) bad_input("zip entry {} leads out of its archive", shown_name(name));
}

// One record of the directory.
struct Record {
  std::string_view name;
  std::uint16_t flags = 0;
  std::uint16_t method = 0;
  std::uint32_t crc32 = 0;
  std::uint64_t packed = 0;
  std::uint64_t bytes = 0;
  std::uint64_t header = 0;  // offset of the entry's own header
  std::uint64_t end = 0;     // of this record
};

// The 64-bit extra holds, in this order, those fields that do not fit their 32 bits.
void read_extra64(const Bytes& file, std::uint64_t extra, std::uint64_t size, Record& record) {
  for (const std::uint64_t end = extra + size; end - extra >= 4;) {
    const auto id = file.at<std::uint16_t>(extra);
    const auto length = file.at<std::uint16_t>(extra + 2);
    if (length > end - extra - 4) bad_input("an extra field of the zip directory is cut short");
    if (id == kExtra64) {
      std::uint64_t place = extra + 4;
      for (std::uint64_t* field : {&record.bytes, &record.packed, &record.header}) {
        if (*field != kIn64) continue;
        if (place + 8 > extra + 4 + length) bad_input("the 64-bit field of an entry is cut short");
        *field = file.at<std::uint64_t>(place);
        place += 8;
      }
      return;
    }
    extra += 4 + std::uint64_t{length};
  }
}

Record read_record(const Bytes& file, std::uint64_t place) {
  file.check(place, kCentralBytes);
  if (file.at<std::uint32_t>(place) != kCentralSignature) {
    bad_input("the zip directory has no record at {}", place);
  }
  const auto name_bytes = file.at<std::uint16_t>(place + 28);
  const auto extra_bytes = file.at<std::uint16_t>(place + 30);
  const auto comment_bytes = file.at<std::uint16_t>(place + 32);
  Record record;
  record.name = file.text(place + kCentralBytes, name_bytes);
  record.flags = file.at<std::uint16_t>(place + 8);
  record.method = file.at<std::uint16_t>(place + 10);
  record.crc32 = file.at<std::uint32_t>(place + 16);
  record.packed = file.at<std::uint32_t>(place + 20);
  record.bytes = file.at<std::uint32_t>(place + 24);
  record.header = file.at<std::uint32_t>(place + 42);
  const std::uint64_t extra = place + kCentralBytes + name_bytes;
  file.check(extra, extra_bytes);
  read_extra64(file, extra, extra_bytes, record);
  record.end = extra + extra_bytes + comment_bytes;
  return record;
}

ZipEntry entry_of(const Bytes& file, const Record& record, std::uint64_t limit) {
  if ((record.flags & 1U) != 0) bad_input("is encrypted");
  if (record.method == 0 && record.packed != record.bytes) {
    bad_input("is stored as it is, but has {} bytes inside and {} outside", record.packed,
              record.bytes);
  }
  if (file.at<std::uint32_t>(record.header) != kLocalSignature ||
      file.at<std::uint16_t>(record.header + 8) != record.method) {
    bad_input("has no header of its own at {}", record.header);
  }
  const auto name_bytes = file.at<std::uint16_t>(record.header + 26);
  const auto extra_bytes = file.at<std::uint16_t>(record.header + 28);
  if (file.text(record.header + kLocalBytes, name_bytes) != record.name) {
    bad_input("has another name in its own header");
  }
  const std::uint64_t offset = record.header + kLocalBytes + name_bytes + extra_bytes;
  if (offset > limit || record.packed > limit - offset) {
    bad_input("claims {} bytes at {}, the directory starts at {}", record.packed, offset, limit);
  }
  return {offset, record.packed, record.crc32, record.method};
}

// Entries that share bytes are how small archives unpack to huge ones.
void check_overlap(std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges) {
  std::sort(ranges.begin(), ranges.end());
  for (std::size_t i = 1; i < ranges.size(); ++i) {
    if (ranges[i].first < ranges[i - 1].second) {
      bad_input("zip entries at {} and {} overlap", ranges[i - 1].first, ranges[i].first);
    }
  }
}

}  // namespace

bool is_zip(std::span<const std::byte> file) noexcept {
  std::uint32_t signature = 0;
  if (file.size() >= sizeof signature) std::memcpy(&signature, file.data(), sizeof signature);
  return signature == kLocalSignature;
}

void require_stored(std::string_view name, const ZipEntry& entry) {
  if (entry.method == 0) return;
  Error error(ErrorCode::bad_input,
              fmt::format("zip entry {} is compressed by method {}; torch.save stores contents as "
                          "they are",
                          shown_name(name), entry.method));
  throw error.hint("unpack the archive and zip it again without compression (zip -0)");
}

std::map<std::string, ZipEntry, std::less<>> read_zip(std::span<const std::byte> bytes) {
  const Bytes file(bytes);
  const Directory directory = find_directory(file);
  std::map<std::string, ZipEntry, std::less<>> entries;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  std::uint64_t place = directory.offset;
  for (std::uint64_t i = 0; i < directory.entries; ++i) {
    const Record record = read_record(file, place);
    if (record.end > directory.offset + directory.bytes) {
      bad_input("the zip directory ends inside its record {}", i);
    }
    check_entry_name(record.name);
    const ZipEntry entry = with_context("zip entry " + shown_name(record.name),
                                        [&] { return entry_of(file, record, directory.offset); });
    if (!entries.emplace(record.name, entry).second) {
      bad_input("zip entry {} stands twice", shown_name(record.name));
    }
    ranges.emplace_back(record.header, entry.offset + entry.bytes);
    place = record.end;
  }
  check_overlap(std::move(ranges));
  return entries;
}

std::uint32_t crc32_of(std::span<const std::byte> bytes, std::uint32_t before) noexcept {
  return static_cast<std::uint32_t>(
      ::crc32_z(before, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace tenon::checkpoint
