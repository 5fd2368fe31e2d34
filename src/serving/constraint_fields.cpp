#include "serving/constraint_fields.h"

#include <array>
#include <optional>

#include "serving/constraint_cache.h"

namespace tenon::serving {
namespace {

using text::OrderedJson;
namespace grammar = text::grammar;

constexpr std::size_t kMaxSource = std::size_t{1} << 20;

// A constraint as it was asked for: `content` is what its kind reads.
struct Asked {
  enum class Kind { json_schema, json_object, regex, choice, grammar };
  Kind kind;
  std::string content;
  std::string field;
};

const OrderedJson* given(const OrderedJson& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string text_of(const OrderedJson& value, const std::string& field) {
  if (!value.is_string()) bad_input("field \"{}\" is no string", field);
  return value.get<std::string>();
}

// A schema is an object, true or false, or the text of one.
std::string schema_of(const OrderedJson& value, const std::string& field) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_object() && !value.is_boolean())
    bad_input("field \"{}\" is no JSON schema: an object was expected", field);
  return json_text(value);
}

std::string choices_of(const OrderedJson& value, const std::string& field) {
  const bool texts = value.is_array() && !value.empty() &&
                     std::all_of(value.begin(), value.end(),
                                 [](const OrderedJson& one) { return one.is_string(); });
  if (!texts) bad_input("field \"{}\" is no list of strings", field);
  return json_text(value);
}

class Reader {
 public:
  void take(Asked::Kind kind, std::string field, std::string content) {
    if (asked_) bad_input("fields \"{}\" and \"{}\": give one constraint", asked_->field, field);
    if (content.size() > kMaxSource)
      bad_input("field \"{}\" has {} bytes, at most {} were expected", field, content.size(),
                kMaxSource);
    asked_ = Asked{kind, std::move(content), std::move(field)};
  }

  void response_format(const OrderedJson& format) {
    const auto type = format.is_object() ? given(format, "type") : nullptr;
    const std::string name = type != nullptr && type->is_string() ? type->get<std::string>() : "";
    if (name == "text") return;
    if (name == "json_object") return take(Asked::Kind::json_object, "response_format", "");
    if (name != "json_schema")
      bad_input(
          "field \"response_format.type\" is \"{}\", expected text, json_object or json_schema",
          name.substr(0, 40));
    const OrderedJson* inner = given(format, "json_schema");
    const OrderedJson* schema =
        inner != nullptr && inner->is_object() ? given(*inner, "schema") : nullptr;
    if (schema == nullptr) bad_input("field \"response_format.json_schema.schema\" is missing");
    const std::string field = "response_format.json_schema.schema";
    take(Asked::Kind::json_schema, field, schema_of(*schema, field));
  }

  // The members of vLLM's structured_outputs, and with "guided_" in front its older fields.
  void members(const OrderedJson& object, const std::string& prefix, const std::string& shown) {
    const auto member = [&](const char* name) { return given(object, (prefix + name).c_str()); };
    const auto field = [&](const char* name) { return shown + name; };
    if (const auto* json = member("json"))
      take(Asked::Kind::json_schema, field("json"), schema_of(*json, field("json")));
    if (const auto* regex = member("regex"))
      take(Asked::Kind::regex, field("regex"), text_of(*regex, field("regex")));
    if (const auto* choice = member("choice"))
      take(Asked::Kind::choice, field("choice"), choices_of(*choice, field("choice")));
    if (const auto* rules = member("grammar"))
      take(Asked::Kind::grammar, field("grammar"), text_of(*rules, field("grammar")));
    if (const auto* any = member("json_object")) {
      if (!any->is_boolean()) bad_input("field \"{}\" is no boolean", field("json_object"));
      if (*any == true) take(Asked::Kind::json_object, field("json_object"), "");
    }
    for (const char* name : {"structural_tag", "whitespace_pattern"}) {
      if (member(name) != nullptr) bad_input("field \"{}\" is not offered", field(name));
    }
  }

  void structured_outputs(const OrderedJson& object) {
    if (!object.is_object()) bad_input("field \"structured_outputs\" is no object");
    constexpr std::array kKnown = {"json",
                                   "regex",
                                   "choice",
                                   "grammar",
                                   "json_object",
                                   "structural_tag",
                                   "whitespace_pattern"};
    for (const auto& [key, value] : object.items()) {
      const bool known = std::find(kKnown.begin(), kKnown.end(), key) != kKnown.end();
      if (!known && !value.is_null() && value != false)
        bad_input("field \"structured_outputs.{}\" is not offered", key.substr(0, 40));
    }
    members(object, "", "structured_outputs.");
  }

  const std::optional<Asked>& asked() const { return asked_; }

 private:
  std::optional<Asked> asked_;
};

grammar::Grammar grammar_of(const Asked& asked) {
  switch (asked.kind) {
    case Asked::Kind::json_schema:
      return grammar::json_schema_grammar(asked.content);
    case Asked::Kind::regex:
      return grammar::regex_grammar(asked.content);
    case Asked::Kind::choice:
      return grammar::choice_grammar(Json::parse(asked.content).get<std::vector<std::string>>());
    case Asked::Kind::grammar:
      return grammar::parse_grammar(asked.content);
    case Asked::Kind::json_object:
      break;
  }
  return grammar::json_object_grammar();
}

}  // namespace

void apply_constraint(pipelines::GenerationConfig& config, const OrderedJson& fields,
                      TextService& service) {
  Reader reader;
  if (const auto* format = given(fields, "response_format")) reader.response_format(*format);
  reader.members(fields, "guided_", "guided_");
  if (const auto* outputs = given(fields, "structured_outputs"))
    reader.structured_outputs(*outputs);
  if (const auto* rules = given(fields, "grammar"))
    reader.take(Asked::Kind::grammar, "grammar", text_of(*rules, "grammar"));
  if (const auto* schema = given(fields, "json_schema"))
    reader.take(Asked::Kind::json_schema, "json_schema", schema_of(*schema, "json_schema"));
  if (!reader.asked()) return;
  const Asked& asked = *reader.asked();
  const std::string key = fmt::format("{} {}", static_cast<int>(asked.kind), asked.content);
  config.constraint = with_context(fmt::format("field \"{}\"", asked.field), [&] {
    return service.constraints().get(key, [&] { return grammar_of(asked); });
  });
}

}  // namespace tenon::serving
