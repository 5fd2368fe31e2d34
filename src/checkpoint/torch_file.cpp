#include "checkpoint/torch_file.h"

#include <cstring>
#include <map>
#include <string>

#include "base/error.h"
#include "checkpoint/pickle.h"
#include "checkpoint/state_dict.h"
#include "checkpoint/strided_source.h"
#include "checkpoint/zip_directory.h"

namespace tenon::checkpoint {
namespace {

using Kind = PickleValue::Kind;

constexpr std::uint64_t kMaxPickleBytes = std::uint64_t{1} << 26;
constexpr std::string_view kLegacyMagic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);
constexpr std::int64_t kLegacyProtocol = 1001;
constexpr unsigned char kPickleStart = 0x80;
constexpr std::size_t kTarMagicAt = 257;

using Storages = std::map<std::string, ZipEntry, std::less<>>;

Shape dims_of(const PickleValue& tuple) {
  Shape dims;
  for (const PickleValue* item : tuple.items) dims.push_back(item->integer);
  return dims;
}

Weight weight_of(const MappedFilePtr& file, const PickleValue& tensor, const Storages& storages,
                 bool summed) {
  const PickleValue& storage = *tensor.items[0];
  const auto place = storages.find(storage.text);
  if (place == storages.end()) bad_input("storage {} is not there", shown_name(storage.text));
  const auto& [offset, bytes, crc32, method] = place->second;
  const std::size_t size = dtype_size(storage.dtype);
  if (bytes % size != 0 || bytes / size != static_cast<std::uint64_t>(storage.integer)) {
    bad_input("storage {} has {} bytes, {} elements of {} were expected", shown_name(storage.text),
              bytes, storage.integer, dtype_name(storage.dtype));
  }
  SourcePtr source =
      strided_source(file, {storage.dtype, offset, storage.integer, tensor.items[1]->integer,
                            dims_of(*tensor.items[2]), dims_of(*tensor.items[3])});
  Extent extent{file, offset, bytes, std::nullopt};
  if (summed) extent.crc32 = crc32;
  return {std::move(source), {std::move(extent)}};
}

WeightMap weights_of(const MappedFilePtr& file, const PickleValue& root, const Storages& storages,
                     bool summed) {
  WeightMap weights;
  for (const auto& [name, tensor] : find_state_dict(root)) {
    const PickleValue& value = *tensor;
    add_weight(weights, name, with_context("tensor " + shown_name(name), [&] {
                 return weight_of(file, value, storages, summed);
               }));
  }
  return weights;
}

// The zip form

std::string root_of(const Storages& entries) {
  constexpr std::string_view kPickle = "/data.pkl";
  std::string root;
  for (const auto& [name, entry] : entries) {
    if (!name.ends_with(kPickle)) continue;
    if (!root.empty()) bad_input("has two entries data.pkl");
    root = name.substr(0, name.size() - kPickle.size() + 1);
  }
  if (root.empty()) bad_input("is a zip archive without data.pkl; torch.save writes one");
  return root;
}

void refuse_script(const Storages& entries, const std::string& root) {
  const auto code = entries.lower_bound(root + "code/");
  const bool has_code = code != entries.end() && code->first.starts_with(root + "code/");
  if (!has_code && !entries.contains(root + "constants.pkl")) return;
  Error error(ErrorCode::bad_input, "is a TorchScript program, a state dict was expected");
  throw error.hint("save the module's state_dict() instead");
}

std::span<const std::byte> checked_contents(std::span<const std::byte> file,
                                            const std::string& name, const ZipEntry& entry) {
  require_stored(name, entry);
  if (entry.bytes > kMaxPickleBytes) {
    bad_input("zip entry {} has {} bytes, at most {} are read", shown_name(name), entry.bytes,
              kMaxPickleBytes);
  }
  const auto contents = file.subspan(entry.offset, entry.bytes);
  const std::uint32_t sum = crc32_of(contents);
  if (sum != entry.crc32) {
    Error error(ErrorCode::bad_input,
                fmt::format("zip entry {} has the sum {:08x}, {:08x} was expected",
                            shown_name(name), sum, entry.crc32));
    throw error.hint("copy or download the file again: it is damaged");
  }
  return contents;
}

WeightMap read_zip_form(const MappedFilePtr& file) {
  const Storages entries = read_zip(file->bytes());
  const std::string root = root_of(entries);
  refuse_script(entries, root);
  if (const auto order = entries.find(root + "byteorder"); order != entries.end()) {
    const auto text = checked_contents(file->bytes(), order->first, order->second);
    if (std::string_view(reinterpret_cast<const char*>(text.data()), text.size()) != "little") {
      bad_input("byte order is {}, little was expected",
                shown_name({reinterpret_cast<const char*>(text.data()), text.size()}));
    }
  }
  Storages storages;
  const std::string prefix = root + "data/";
  for (auto entry = entries.lower_bound(prefix);
       entry != entries.end() && entry->first.starts_with(prefix); ++entry) {
    require_stored(entry->first, entry->second);
    storages.emplace(entry->first.substr(prefix.size()), entry->second);
  }
  const auto pickled = entries.find(root + "data.pkl");
  const auto contents = checked_contents(file->bytes(), pickled->first, pickled->second);
  const Pickle pickle = with_context("data.pkl", [&] { return read_pickle(contents); });
  return weights_of(file, pickle.root(), storages, true);
}

// The form before: pickles of a magic number, a version, the writer's system, the object and the
// list of its storages, then each storage as its number of elements and its bytes.

class LegacyReader {
 public:
  explicit LegacyReader(const MappedFilePtr& file) : file_(file), bytes_(file->bytes()) {}

  WeightMap read() {
    const Pickle magic = next("the magic number");
    if (magic.root().kind != Kind::big_integer || magic.root().text != kLegacyMagic) {
      bad_input("starts with another pickle than torch.save writes");
    }
    const Pickle version = next("the version");
    if (version.root().kind != Kind::integer || version.root().integer != kLegacyProtocol) {
      bad_input("has another version than {}", kLegacyProtocol);
    }
    check_system(next("the system"));
    const Pickle object = next("the object");
    const Pickle keys = next("the storages");
    return weights_of(file_, object.root(), place_storages(object, keys.root()), false);
  }

 private:
  Pickle next(std::string_view what) {
    Pickle pickle = with_context(what, [&] {
      return read_pickle(bytes_.subspan(
          position_, std::min<std::uint64_t>(bytes_.size() - position_, kMaxPickleBytes)));
    });
    position_ += pickle.size();
    return pickle;
  }

  static void check_system(const Pickle& system) {
    const auto& items = system.root().items;
    if (system.root().kind != Kind::dict) bad_input("has no description of its writer's system");
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
      const bool big = items[i]->text == "little_endian" && items[i + 1]->kind == Kind::boolean &&
                       items[i + 1]->integer == 0;
      if (big) bad_input("byte order is big, little was expected");
    }
  }

  // Types stand only at the uses of the storages.
  Storages place_storages(const Pickle& object, const PickleValue& keys) {
    std::map<std::string_view, DType> types;
    for (const PickleValue& storage : object.values()) {
      if (storage.kind != Kind::storage) continue;
      const auto [known, added] = types.emplace(storage.text, storage.dtype);
      if (!added && known->second != storage.dtype) {
        bad_input("storage {} is used with two types", shown_name(storage.text));
      }
    }
    if (keys.kind != Kind::list) bad_input("has no list of storages");
    Storages storages;
    for (const PickleValue* key : keys.items) {
      if (key->kind != Kind::text) bad_input("has a storage whose key is no text");
      const auto type = types.find(key->text);
      if (type == types.end()) {
        bad_input("storage {} belongs to no tensor", shown_name(key->text));
      }
      place(storages, key->text, dtype_size(type->second));
    }
    return storages;
  }

  void place(Storages& storages, std::string_view key, std::size_t size) {
    std::int64_t elements = 0;
    const bool has_length = bytes_.size() - position_ >= sizeof elements;
    if (has_length) std::memcpy(&elements, bytes_.data() + position_, sizeof elements);
    position_ += has_length ? sizeof elements : 0;
    const std::uint64_t left = bytes_.size() - position_;
    if (!has_length || elements < 0 || static_cast<std::uint64_t>(elements) > left / size) {
      Error error(ErrorCode::bad_input,
                  fmt::format("storage {} claims {} elements of {} bytes, {} bytes are left",
                              shown_name(key), elements, size, left));
      throw error.hint("copy or download the file again: it may be cut short");
    }
    const std::uint64_t bytes = static_cast<std::uint64_t>(elements) * size;
    if (!storages.emplace(key, ZipEntry{position_, bytes}).second) {
      bad_input("storage {} stands twice", shown_name(key));
    }
    position_ += bytes;
  }

  MappedFilePtr file_;
  std::span<const std::byte> bytes_;
  std::uint64_t position_ = 0;
};

bool is_tar(std::span<const std::byte> file) {
  return file.size() > kTarMagicAt + 5 && std::memcmp(file.data() + kTarMagicAt, "ustar", 5) == 0;
}

}  // namespace

bool is_torch_file(std::span<const std::byte> file) noexcept {
  const bool pickled = file.size() >= 2 && file[0] == std::byte{kPickleStart} &&
                       file[1] >= std::byte{2} && file[1] <= std::byte{5};
  return is_zip(file) || is_tar(file) || pickled;
}

WeightMap read_torch(const MappedFilePtr& file) {
  return with_context(file->path().string(), [&] {
    if (is_zip(file->bytes())) return read_zip_form(file);
    if (is_tar(file->bytes())) {
      Error error(ErrorCode::bad_input, "is a tar archive, as torch wrote before version 0.2");
      throw error.hint("load and save it once with a later torch");
    }
    if (!is_torch_file(file->bytes())) {
      bad_input("is neither a zip archive nor a pickle: torch.save did not write it");
    }
    return LegacyReader(file).read();
  });
}

}  // namespace tenon::checkpoint
