// Messages as JSON, by reflection: the library's own printer writes integers of 64 bits as texts.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include "serving/kserve/about.h"

namespace tenon::serving::kserve {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// `index` of a repeated field, -1 of another one.
Json value_of(const Message& message, const FieldDescriptor* field, int index) {
  const Reflection& all = *message.GetReflection();
  const auto read = [&](auto single, auto repeated) -> Json {
    return index < 0 ? (all.*single)(message, field) : (all.*repeated)(message, field, index);
  };
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return read(&Reflection::GetInt32, &Reflection::GetRepeatedInt32);
    case FieldDescriptor::CPPTYPE_INT64:
      return read(&Reflection::GetInt64, &Reflection::GetRepeatedInt64);
    case FieldDescriptor::CPPTYPE_UINT32:
      return read(&Reflection::GetUInt32, &Reflection::GetRepeatedUInt32);
    case FieldDescriptor::CPPTYPE_UINT64:
      return read(&Reflection::GetUInt64, &Reflection::GetRepeatedUInt64);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return read(&Reflection::GetDouble, &Reflection::GetRepeatedDouble);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return read(&Reflection::GetFloat, &Reflection::GetRepeatedFloat);
    case FieldDescriptor::CPPTYPE_BOOL:
      return read(&Reflection::GetBool, &Reflection::GetRepeatedBool);
    case FieldDescriptor::CPPTYPE_STRING:
      return read(&Reflection::GetString, &Reflection::GetRepeatedString);
    case FieldDescriptor::CPPTYPE_ENUM:
      return (index < 0 ? all.GetEnum(message, field) : all.GetRepeatedEnum(message, field, index))
          ->name();
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return json_of(index < 0 ? all.GetMessage(message, field)
                               : all.GetRepeatedMessage(message, field, index));
  }
  return {};
}

Json map_of(const Message& message, const FieldDescriptor* field) {
  const Reflection& all = *message.GetReflection();
  Json made = Json::object();
  for (int i = 0; i < all.FieldSize(message, field); ++i) {
    const Message& entry = all.GetRepeatedMessage(message, field, i);
    const Json key = value_of(entry, field->message_type()->map_key(), -1);
    made[key.is_string() ? key.get<std::string>() : key.dump()] =
        value_of(entry, field->message_type()->map_value(), -1);
  }
  return made;
}

}  // namespace

Json json_of(const Message& message) {
  const Reflection& all = *message.GetReflection();
  Json made = Json::object();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message.GetDescriptor()->field(i);
    if (field->is_map()) {
      made[field->name()] = map_of(message, field);
    } else if (field->is_repeated()) {
      Json& list = made[field->name()] = Json::array();
      for (int k = 0; k < all.FieldSize(message, field); ++k)
        list.push_back(value_of(message, field, k));
    } else if (!field->has_presence() || all.HasField(message, field)) {
      made[field->name()] = value_of(message, field, -1);
    }
  }
  return made;
}

}  // namespace tenon::serving::kserve
