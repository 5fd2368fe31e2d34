#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>

#include <bundle_generated.h>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/mapped_file.h"
#include "bundle/bundle.h"
#include "bundle/header.h"

namespace tenon::bundle {
namespace {

std::string text_of(const flatbuffers::String* text) {
  return text == nullptr ? std::string() : text->str();
}

template <typename T>
std::vector<T> numbers_of(const flatbuffers::Vector<T>* list) {
  return list == nullptr ? std::vector<T>() : std::vector<T>(list->begin(), list->end());
}

DType read_type(std::uint8_t code) {
  if (code > static_cast<std::uint8_t>(DType::boolean))
    bad_input("element type {} is not known", code);
  return static_cast<DType>(code);
}

Dim read_dim(const flatbuffers::String* text) {
  const auto dim = Dim::parse(text_of(text));
  if (!dim) bad_input("'{}' is not a size", text_of(text));
  return *dim;
}

Attribute read_attribute(const schema::Attribute& from) {
  switch (from.kind()) {
    case 0:
      return from.integer();
    case 1:
      return from.number();
    case 2:
      return text_of(from.text());
    case 3:
      return numbers_of(from.integers());
    case 4:
      return numbers_of(from.numbers());
    case 5: {
      std::vector<std::string> texts;
      if (from.texts() != nullptr) {
        for (const auto* text : *from.texts()) texts.push_back(text_of(text));
      }
      return texts;
    }
    default:
      bad_input("attribute {} is of kind {}, which is not known", text_of(from.name()),
                from.kind());
  }
}

engine::Value read_value(const schema::Value& from) {
  engine::Value value{text_of(from.name()), read_type(from.dtype()), {}, from.constant()};
  if (from.shape() != nullptr) {
    for (const auto* dim : *from.shape()) value.shape.push_back(read_dim(dim));
  }
  return value;
}

engine::Step read_step(const schema::Step& from) {
  engine::Step step;
  step.op = text_of(from.op());
  step.name = text_of(from.name());
  step.module = text_of(from.module_());
  if (from.kernels() != nullptr) {
    for (const auto* choice : *from.kernels())
      step.kernels.push_back({text_of(choice->kernel()), choice->max_rows()});
  }
  step.inputs = numbers_of(from.inputs());
  step.outputs = numbers_of(from.outputs());
  if (from.attributes() != nullptr) {
    for (const auto* attribute : *from.attributes())
      step.attributes.set(text_of(attribute->name()), read_attribute(*attribute));
  }
  return step;
}

// Weights in the mapping; every range is checked against the blob section.
engine::Constant read_constant(const schema::Constant& from,
                               const std::shared_ptr<const MappedFile>& file,
                               const Header& header) {
  engine::Constant constant;
  constant.dtype = read_type(from.dtype());
  constant.shape = numbers_of(from.shape());
  constant.format = text_of(from.format());
  constant.offset = from.offset();
  constant.bytes = from.bytes();
  constant.sum = from.sum();
  const std::uint64_t room = header.structure_offset - header.blob_offset;
  if (constant.offset % kBlobStart != 0 || constant.offset > room ||
      constant.bytes > room - constant.offset) {
    bad_input("a constant of {} bytes at {} lies outside the {} bytes of weights", constant.bytes,
              constant.offset, room);
  }
  constant.data = {file, file->bytes().data() + header.blob_offset + constant.offset};
  return constant;
}

Dim::Bindings read_sizes(const schema::Sizes& from) {
  Dim::Bindings sizes;
  if (from.sizes() == nullptr) return sizes;
  for (const auto* size : *from.sizes()) sizes[text_of(size->name())] = size->size();
  return sizes;
}

engine::Engine read_engine(const schema::Engine& from,
                           const std::shared_ptr<const MappedFile>& file, const Header& header) {
  engine::Engine engine;
  engine.name = text_of(from.name());
  engine.isa = text_of(from.isa());
  engine.precision = text_of(from.precision());
  if (from.values() != nullptr) {
    for (const auto* value : *from.values()) engine.values.push_back(read_value(*value));
  }
  if (from.constants() != nullptr) {
    for (const auto* constant : *from.constants())
      engine.constants.push_back(read_constant(*constant, file, header));
  }
  if (from.steps() != nullptr) {
    for (const auto* step : *from.steps()) engine.steps.push_back(read_step(*step));
  }
  if (from.constraints() != nullptr) {
    for (const auto* constraint : *from.constraints()) {
      engine.constraints.push_back(
          {read_dim(constraint->a()), read_dim(constraint->b()), text_of(constraint->where())});
    }
  }
  engine.inputs = numbers_of(from.inputs());
  engine.outputs = numbers_of(from.outputs());
  engine.state = {from.layers(), from.page_bytes(), from.context_length()};
  if (from.tuned() != nullptr) {
    for (const auto* sizes : *from.tuned()) engine.tuned.push_back(read_sizes(*sizes));
  }
  engine::validate(engine);
  return engine;
}

Header read_header(std::span<const std::byte> bytes) {
  Header header;
  if (bytes.size() < sizeof header) bad_input("{} bytes are too few for a bundle", bytes.size());
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != kMagic) bad_input("not a .tenon bundle");
  if (header.version != kFormatVersion) {
    Error error(ErrorCode::bad_input, fmt::format("bundle format {}, this program reads {}",
                                                  header.version, kFormatVersion));
    throw error.hint("build the bundle again with this version");
  }
  if (header.sum != xxh3(bytes.first(sizeof header - sizeof header.sum)))
    bad_input("the header is damaged");
  if (header.file_bytes != bytes.size()) {
    bad_input("the file has {} bytes, its header says {}: it was cut short or appended to",
              bytes.size(), header.file_bytes);
  }
  const bool ordered = header.blob_offset == kBlobStart && header.structure_offset >= kBlobStart &&
                       header.structure_offset <= bytes.size() &&
                       header.structure_bytes == bytes.size() - header.structure_offset;
  if (!ordered) bad_input("the sections do not fit the file");
  return header;
}

// Places for all weights in one stretch of huge pages.
std::vector<std::shared_ptr<std::byte>> huge_places(const engine::Engine& engine) {
  constexpr std::uint64_t kAlignment = 4096;
  const auto room = [](const engine::Constant& constant) {
    return (constant.bytes + kAlignment - 1) / kAlignment * kAlignment;
  };
  std::uint64_t total = 0;
  for (const auto& constant : engine.constants) total += room(constant);
  const std::shared_ptr<std::byte> memory = backend::allocate_huge(total);
  std::vector<std::shared_ptr<std::byte>> places;
  std::byte* next = memory.get();
  for (const auto& constant : engine.constants) {
    places.emplace_back(memory, next);
    next += room(constant);
  }
  return places;
}

[[noreturn]] void refuse_damaged(const engine::Engine& engine, std::int64_t constant) {
  for (const auto& value : engine.values) {
    if (value.constant == constant)
      bad_input("the weight {} is damaged: its sum does not match", value.name);
  }
  bad_input("a weight is damaged: its sum does not match");
}

// Compares all sums, several weights at once, on the way into `places` where there are some.
void check_weights(engine::Engine& engine, std::span<const std::shared_ptr<std::byte>> places) {
  std::atomic<std::size_t> claimed{0};
  std::atomic<std::int64_t> damaged{-1};
  const std::size_t count = engine.constants.size();
  ThreadPool pool;
  pool.run([&](int) {
    for (std::size_t i = claimed.fetch_add(1); i < count; i = claimed.fetch_add(1)) {
      const engine::Constant& constant = engine.constants[i];
      const std::byte* data = constant.data.get();
      if (!places.empty()) {
        if (constant.bytes > 0) std::memcpy(places[i].get(), data, constant.bytes);
        data = places[i].get();
      }
      if (xxh3({data, constant.bytes}) != constant.sum) damaged.store(static_cast<std::int64_t>(i));
    }
  });
  if (damaged.load() >= 0) refuse_damaged(engine, damaged.load());
  for (std::size_t i = 0; i < places.size(); ++i) engine.constants[i].data = places[i];
}

void load_weights(engine::Engine& engine, const MappedFile& file) {
  if (engine.state.layers == 0) return check_weights(engine, {});
  check_weights(engine, huge_places(engine));
  file.release(0, file.bytes().size());
}

Engines read_engines(const schema::Bundle& root, const std::shared_ptr<const MappedFile>& file,
                     const Header& header, Weights weights) {
  Engines engines;
  for (const auto* entry : *root.engines()) {
    const std::string component = text_of(entry->component());
    with_context(component, [&] {
      engine::Engine engine = read_engine(*entry, file, header);
      if (weights == Weights::checked) load_weights(engine, *file);
      auto made = std::make_shared<const engine::Engine>(std::move(engine));
      if (!engines.emplace(component, std::move(made)).second)
        bad_input("the bundle holds two engines of this name");
    });
  }
  if (engines.empty()) bad_input("the bundle holds no engine");
  return engines;
}

}  // namespace

bool is_bundle(const std::filesystem::path& path) {
  std::array<char, 8> start{};
  std::ifstream file(path, std::ios::binary);
  return file.read(start.data(), start.size()) && start == kMagic;
}

Bundle open(const std::filesystem::path& path, Weights weights) {
  return with_context(path.string(), [&] {
    const auto file = MappedFile::open(path);
    const Header header = read_header(file->bytes());
    const auto structure = file->bytes().subspan(header.structure_offset);
    if (header.structure_sum != xxh3(structure))
      bad_input("the structure is damaged: its sum does not match");
    const auto* data = reinterpret_cast<const std::uint8_t*>(structure.data());
    flatbuffers::Verifier verifier(data, structure.size(), 64, 64'000'000);
    if (!schema::VerifyBundleBuffer(verifier)) bad_input("the structure is malformed");
    const schema::Bundle& root = *schema::GetBundle(data);
    Bundle bundle;
    bundle.tenon_version = text_of(root.tenon_version());
    bundle.file_bytes = file->bytes().size();
    bundle.contents.provenance = parse_json(text_of(root.provenance()), "provenance");
    bundle.contents.evidence = parse_json(text_of(root.evidence()), "evidence");
    if (root.files() != nullptr) {
      for (const auto* entry : *root.files()) {
        const auto* bytes = entry->data();
        bundle.contents.files[text_of(entry->name())] =
            bytes == nullptr
                ? std::string()
                : std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size());
      }
    }
    bundle.engines = read_engines(root, file, header, weights);
    return bundle;
  });
}

}  // namespace tenon::bundle
