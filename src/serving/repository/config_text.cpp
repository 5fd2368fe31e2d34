#include "serving/repository/config_text.h"

#include <set>

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/json_util.h>

#include "base/error.h"
#include "base/json.h"

namespace tenon::serving {
namespace {

namespace pb = google::protobuf;

constexpr int kMaxNesting = 32;

// The first error, as it stands in the file.
class FirstError final : public pb::io::ErrorCollector {
 public:
  void AddError(int line, pb::io::ColumnNumber column, const std::string& message) override {
    if (!message_.empty()) return;
    line_ = line + 1;
    column_ = column + 1;
    message_ = message.substr(0, 400);
  }
  void AddWarning(int, pb::io::ColumnNumber, const std::string&) override {}

  std::string text() const {
    return message_.empty() ? "malformed"
                            : fmt::format("line {}, column {}: {}", line_, column_, message_);
  }

 private:
  int line_ = 0;
  int column_ = 0;
  std::string message_;
};

[[noreturn]] void refuse_twice(const pb::FieldDescriptor& field, const std::string& key,
                               pb::TextFormat::ParseLocation at, const std::string& where) {
  bad_input("{}: line {}, column {}: \"{}\" stands twice in {}", where, at.line + 1, at.column + 1,
            key.substr(0, 128), field.name());
}

std::string key_of(const pb::Message& entry) {
  const pb::FieldDescriptor* key = entry.GetDescriptor()->map_key();
  return key->cpp_type() == pb::FieldDescriptor::CPPTYPE_STRING
             ? entry.GetReflection()->GetString(entry, key)
             : std::to_string(entry.GetReflection()->GetUInt64(entry, key));
}

// The last of equal keys would win without a word.
void refuse_equal_keys(const pb::Message& message, const pb::FieldDescriptor& field,
                       pb::TextFormat::ParseInfoTree& places, const std::string& where) {
  const int count = message.GetReflection()->FieldSize(message, &field);
  std::set<std::string> keys;
  std::string last;
  for (int i = 0; i < count; ++i) {
    last = key_of(message.GetReflection()->GetRepeatedMessage(message, &field, i));
    if (!keys.insert(last).second) refuse_twice(field, last, places.GetLocation(&field, i), where);
  }
  const auto beyond = places.GetLocation(&field, count);
  if (beyond.line >= 0) refuse_twice(field, "a key", beyond, where);
}

void check_maps(const pb::Message& message, pb::TextFormat::ParseInfoTree& places,
                const std::string& where) {
  const pb::Reflection& reflection = *message.GetReflection();
  std::vector<const pb::FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const pb::FieldDescriptor* field : fields) {
    if (field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (field->is_map()) {
      refuse_equal_keys(message, *field, places, where);
      continue;
    }
    if (!field->is_repeated()) {
      auto* const nested = places.GetTreeForNested(field, -1);
      if (nested != nullptr) check_maps(reflection.GetMessage(message, field), *nested, where);
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
      auto* const nested = places.GetTreeForNested(field, i);
      if (nested != nullptr)
        check_maps(reflection.GetRepeatedMessage(message, field, i), *nested, where);
    }
  }
}

void check_size(std::string_view text, const std::string& where) {
  if (text.size() > kMaxConfigBytes) {
    bad_input("{}: a configuration of {} bytes, at most {} were expected", where, text.size(),
              kMaxConfigBytes);
  }
}

}  // namespace

inference::ModelConfig parse_config_text(std::string_view text, const std::string& where) {
  check_size(text, where);
  inference::ModelConfig config;
  FirstError errors;
  pb::TextFormat::ParseInfoTree places;
  pb::TextFormat::Parser parser;
  parser.RecordErrorsTo(&errors);
  parser.SetRecursionLimit(kMaxNesting);
  parser.WriteLocationsTo(&places);
  if (!parser.ParseFromString(std::string(text), &config))
    bad_input("{}: {}", where, errors.text());
  check_maps(config, places, where);
  return config;
}

inference::ModelConfig parse_config_json(std::string_view text, const std::string& where) {
  check_size(text, where);
  const Json json = parse_json(text, where);  // also what is nested deeply or stands twice
  if (!json.is_object()) bad_input("{}: a JSON object was expected", where);
  inference::ModelConfig config;
  const auto status = pb::util::JsonStringToMessage(std::string(text), &config);
  if (!status.ok()) {
    bad_input("{}: no configuration of a model: {}", where,
              std::string(status.message()).substr(0, 400));
  }
  return config;
}

std::string config_text(const inference::ModelConfig& config) {
  std::string text;
  if (!pb::TextFormat::PrintToString(config, &text))
    fail(ErrorCode::internal, "a configuration could not be printed");
  return text;
}

}  // namespace tenon::serving
