#include <bundle_generated.h>

#include "base/hash.h"
#include "base/mapped_file.h"
#include "base/version.h"
#include "bundle/bundle.h"
#include "bundle/header.h"

namespace tenon::bundle {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

Offset<schema::Attribute> write_attribute(FlatBufferBuilder& to, const std::string& name,
                                          const Attribute& value) {
  const auto text = to.CreateString(name);
  const auto* string = std::get_if<std::string>(&value);
  const auto* ints = std::get_if<std::vector<std::int64_t>>(&value);
  const auto* floats = std::get_if<std::vector<float>>(&value);
  const auto* strings = std::get_if<std::vector<std::string>>(&value);
  const auto string_offset = string != nullptr ? to.CreateString(*string) : 0;
  const auto ints_offset = ints != nullptr ? to.CreateVector(*ints) : 0;
  const auto floats_offset = floats != nullptr ? to.CreateVector(*floats) : 0;
  const auto strings_offset = strings != nullptr ? to.CreateVectorOfStrings(*strings) : 0;
  const auto* integer = std::get_if<std::int64_t>(&value);
  const auto* number = std::get_if<float>(&value);
  return schema::CreateAttribute(to, text, static_cast<std::uint8_t>(value.index()),
                                 integer != nullptr ? *integer : 0, number != nullptr ? *number : 0,
                                 string_offset, ints_offset, floats_offset, strings_offset);
}

Offset<schema::Value> write_value(FlatBufferBuilder& to, const engine::Value& value) {
  std::vector<std::string> dims;
  for (const Dim& dim : value.shape) dims.push_back(dim.to_string());
  const auto name = to.CreateString(value.name);
  const auto shape = to.CreateVectorOfStrings(dims);
  return schema::CreateValue(to, name, static_cast<std::uint8_t>(value.dtype), shape,
                             value.constant);
}

Offset<schema::Constant> write_constant(FlatBufferBuilder& to, const engine::Constant& constant) {
  const auto shape = to.CreateVector(constant.shape);
  const auto format = to.CreateString(constant.format);
  return schema::CreateConstant(to, static_cast<std::uint8_t>(constant.dtype), shape, format,
                                constant.offset, constant.bytes, constant.sum);
}

Offset<schema::Step> write_step(FlatBufferBuilder& to, const engine::Step& step) {
  std::vector<Offset<schema::Choice>> kernels;
  for (const auto& choice : step.kernels) {
    kernels.push_back(schema::CreateChoice(to, to.CreateString(choice.kernel), choice.max_rows));
  }
  std::vector<Offset<schema::Attribute>> attributes;
  for (const auto& [name, value] : step.attributes)
    attributes.push_back(write_attribute(to, name, value));
  const auto op = to.CreateString(step.op);
  const auto name = to.CreateString(step.name);
  const auto module = to.CreateString(step.module);
  const auto kernel_list = to.CreateVector(kernels);
  const auto inputs = to.CreateVector(step.inputs);
  const auto outputs = to.CreateVector(step.outputs);
  const auto attribute_list = to.CreateVector(attributes);
  return schema::CreateStep(to, op, name, module, kernel_list, inputs, outputs, attribute_list);
}

template <typename Items, typename Write>
auto write_all(FlatBufferBuilder& to, const Items& items, Write write) {
  std::vector<decltype(write(to, items[0]))> offsets;
  for (const auto& item : items) offsets.push_back(write(to, item));
  return to.CreateVector(offsets);
}

Offset<schema::Constraint> write_constraint(FlatBufferBuilder& to,
                                            const engine::Constraint& constraint) {
  const auto a = to.CreateString(constraint.a.to_string());
  const auto b = to.CreateString(constraint.b.to_string());
  return schema::CreateConstraint(to, a, b, to.CreateString(constraint.where));
}

Offset<schema::Sizes> write_sizes(FlatBufferBuilder& to, const Dim::Bindings& sizes) {
  std::vector<Offset<schema::Size>> entries;
  for (const auto& [name, size] : sizes)
    entries.push_back(schema::CreateSize(to, to.CreateString(name), size));
  return schema::CreateSizes(to, to.CreateVector(entries));
}

Offset<schema::Engine> write_engine(FlatBufferBuilder& to, const std::string& component,
                                    const engine::Engine& engine) {
  const auto part = to.CreateString(component);
  const auto values = write_all(to, engine.values, write_value);
  const auto constants = write_all(to, engine.constants, write_constant);
  const auto steps = write_all(to, engine.steps, write_step);
  const auto constraints = write_all(to, engine.constraints, write_constraint);
  const auto tuned = write_all(to, engine.tuned, write_sizes);
  const auto inputs = to.CreateVector(engine.inputs);
  const auto outputs = to.CreateVector(engine.outputs);
  const auto name = to.CreateString(engine.name);
  const auto isa = to.CreateString(engine.isa);
  const auto precision = to.CreateString(engine.precision);
  return schema::CreateEngine(to, part, name, isa, precision, values, constants, steps, inputs,
                              outputs, constraints, engine.state.layers, engine.state.page_bytes,
                              engine.state.context_length, tuned);
}

}  // namespace

Writer::Writer(const std::filesystem::path& path) : file_(path) {
  file_.write(std::string(kBlobStart, '\0'));
}

Writer::Writer(const std::filesystem::path& path, const std::filesystem::path& part)
    : file_(path, part) {}

std::size_t Writer::resume(std::span<const engine::Constant> constants) {
  const auto file = MappedFile::open(file_.temporary());
  const auto bytes = file->bytes();
  std::uint64_t end = kBlobStart;
  std::size_t sound = 0;
  for (; sound < constants.size(); ++sound) {
    const engine::Constant& constant = constants[sound];
    const std::uint64_t begin = (end + kBlobStart - 1) / kBlobStart * kBlobStart;
    if (constant.offset != begin - kBlobStart || begin > bytes.size() ||
        constant.bytes > bytes.size() - begin)
      break;
    if (xxh3(bytes.subspan(begin, constant.bytes)) != constant.sum) break;
    file->release(begin, constant.bytes);
    end = begin + constant.bytes;
  }
  if (sound > 0) {
    file_.go_on_at(end);
  } else {
    file_.go_on_at(0);
    file_.write(std::string(kBlobStart, '\0'));
  }
  return sound;
}

void Writer::forget_from(const engine::Constant& constant) {
  file_.go_on_at(kBlobStart + constant.offset);
}

void Writer::put(engine::Constant& constant, std::span<const std::byte> bytes) {
  file_.pad_to(kBlobStart);
  constant.offset = file_.position() - kBlobStart;
  constant.bytes = bytes.size();
  constant.sum = xxh3(bytes);
  file_.write(bytes);
}

std::shared_ptr<const engine::Engine> Writer::trial(const engine::Engine& engine) const {
  const auto file = MappedFile::open(file_.temporary());
  auto made = std::make_shared<engine::Engine>(engine);
  for (auto& constant : made->constants)
    constant.data = {file, file->bytes().data() + kBlobStart + constant.offset};
  return made;
}

void Writer::finish(const Engines& engines, const Contents& contents) {
  FlatBufferBuilder to;
  std::vector<Offset<schema::File>> files;
  for (const auto& [name, data] : contents.files) {
    const auto text = to.CreateString(name);
    files.push_back(schema::CreateFile(
        to, text,
        to.CreateVector(reinterpret_cast<const std::uint8_t*>(data.data()), data.size())));
  }
  std::vector<Offset<schema::Engine>> parts;
  for (const auto& [component, engine] : engines)
    parts.push_back(write_engine(to, component, *engine));
  const auto engine_list = to.CreateVector(parts);
  const auto file_list = to.CreateVector(files);
  const auto written_by = to.CreateString(version());
  const auto provenance = to.CreateString(contents.provenance.dump());
  const auto evidence = to.CreateString(contents.evidence.dump());
  schema::FinishBundleBuffer(
      to, schema::CreateBundle(to, written_by, engine_list, file_list, provenance, evidence));

  file_.pad_to(kBlobStart);
  const std::span structure(reinterpret_cast<const std::byte*>(to.GetBufferPointer()),
                            to.GetSize());
  Header header;
  header.structure_offset = file_.position();
  header.structure_bytes = structure.size();
  header.structure_sum = xxh3(structure);
  file_.write(structure);
  header.file_bytes = file_.position();
  const auto bytes = std::as_bytes(std::span(&header, 1));
  header.sum = xxh3(bytes.first(sizeof header - sizeof header.sum));
  file_.write_at(0, bytes);
  file_.commit();
}

}  // namespace tenon::bundle
