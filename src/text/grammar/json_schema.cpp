// JSON Schema to a grammar: every keyword is either kept to, harmless, or refused by name.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "text/grammar/json_formats.h"
#include "text/grammar/json_grammar.h"
#include "text/grammar/one_of.h"
#include "text/grammar/regex.h"

namespace tenon::text::grammar {
namespace {

using Schema = nlohmann::ordered_json;
using Node = Grammar::Node;

const std::set<std::string, std::less<>> kHarmless = {
    "title",    "description", "default",  "examples",  "$schema", "$id",
    "$comment", "deprecated",  "readOnly", "writeOnly", "$defs",   "definitions"};
const std::set<std::string, std::less<>> kKnown = {"type",
                                                   "properties",
                                                   "required",
                                                   "additionalProperties",
                                                   "items",
                                                   "prefixItems",
                                                   "minItems",
                                                   "maxItems",
                                                   "uniqueItems",
                                                   "enum",
                                                   "const",
                                                   "anyOf",
                                                   "oneOf",
                                                   "allOf",
                                                   "$ref",
                                                   "minLength",
                                                   "maxLength",
                                                   "pattern",
                                                   "format",
                                                   "minimum",
                                                   "maximum",
                                                   "exclusiveMinimum",
                                                   "exclusiveMaximum",
                                                   "multipleOf"};
constexpr std::array<std::string_view, 7> kTypes = {"null",   "boolean", "integer", "number",
                                                    "string", "array",   "object"};

std::string shown(const Schema& value) {
  std::string text = json_text(value);
  return text.size() > 60 ? text.substr(0, 57) + "..." : text;
}

[[noreturn]] void refuse(const std::string& path, const std::string& problem) {
  throw Error(ErrorCode::bad_input, fmt::format("JSON schema, {}: {}", path, problem));
}

class Builder {
 public:
  explicit Builder(Schema document) : document_(std::move(document)), json_(grammar_) {}

  Grammar run() {
    grammar_.root = rule("#", document_);
    return std::move(grammar_);
  }

 private:
  /// One rule for each place that is referred to.
  std::int32_t rule(const std::string& path, const Schema& schema) {
    const auto [place, is_new] = rules_.try_emplace(path, -1);
    if (is_new) {
      const std::int32_t id = grammar_.declare(path);
      place->second = id;
      grammar_.define(id, value(schema, path));
      return id;
    }
    return place->second;
  }

  Node value(const Schema& schema, const std::string& path) {
    if (++depth_ > 200) refuse(path, "schemas refer to each other more than 200 deep");
    const Node made = value_inside(schema, path);
    --depth_;
    return made;
  }

  Node value_inside(const Schema& schema, const std::string& path) {
    if (schema.is_boolean()) return schema.get<bool>() ? json_.value() : grammar_.never();
    if (!schema.is_object()) refuse(path, "is " + shown(schema) + ", an object was expected");
    std::vector<std::string> used;
    for (const auto& [key, inner] : schema.items()) {
      if (kHarmless.contains(key) || key.starts_with("x-")) continue;
      if (!kKnown.contains(key)) refuse(path, "keyword \"" + key + "\" is not supported");
      if (key == "uniqueItems" && inner == false) continue;
      used.push_back(key);
    }
    for (const char* key : {"$ref", "allOf", "anyOf", "oneOf", "const"}) {
      if (!schema.contains(key)) continue;
      for (const std::string& other : used) {
        const bool fits = other == key || (other == "type" && std::string_view(key) != "$ref");
        if (!fits) {
          refuse(path, "\"" + other + "\" beside \"" + key + "\" is not supported");
        }
      }
    }
    if (schema.contains("$ref")) return reference(schema["$ref"], path);
    if (schema.contains("const")) return constants({schema["const"]}, schema, path);
    if (schema.contains("enum")) {
      for (const std::string& other : used) {
        if (other != "enum" && other != "type") {
          refuse(path, "\"" + other + "\" beside \"enum\" is not supported");
        }
      }
      const Schema& list = array_field(schema, "enum", path);
      return constants(std::vector<Schema>(list.begin(), list.end()), schema, path);
    }
    for (const char* key : {"allOf", "anyOf", "oneOf"}) {
      if (schema.contains(key)) return alternatives(schema, key, path);
    }
    return typed(schema, used, path);
  }

  const Schema& array_field(const Schema& schema, const char* key, const std::string& path) {
    const Schema& list = schema[key];
    if (!list.is_array() || list.empty()) {
      refuse(path + "/" + key, "is " + shown(list) + ", a list of one or more was expected");
    }
    return list;
  }

  Node constants(const std::vector<Schema>& values, const Schema& schema, const std::string& path) {
    std::vector<Node> nodes;
    const auto types = types_of(schema, {}, path);
    for (const Schema& value : values) {
      if (has_type(value, types)) nodes.push_back(json_.literal(value));
    }
    if (nodes.empty()) refuse(path, "no value of the list has the type that is asked for");
    return grammar_.choice(std::move(nodes));
  }

  static bool has_type(const Schema& value, const std::vector<std::string>& types) {
    return types.empty() || std::any_of(types.begin(), types.end(), [&](const std::string& type) {
             const bool integral =
                 value.is_number_integer() ||
                 (value.is_number_float() && std::floor(value.get<double>()) == value);
             return (type == "null" && value.is_null()) ||
                    (type == "boolean" && value.is_boolean()) || (type == "integer" && integral) ||
                    (type == "number" && value.is_number()) ||
                    (type == "string" && value.is_string()) ||
                    (type == "array" && value.is_array()) ||
                    (type == "object" && value.is_object());
           });
  }

  Node alternatives(const Schema& schema, const char* key, const std::string& path) {
    const Schema& list = array_field(schema, key, path);
    if (schema.contains("type")) {
      refuse(path, std::string("\"type\" beside \"") + key + "\" is not supported");
    }
    if (std::string_view(key) == "allOf" && list.size() > 1) {
      refuse(path, "\"allOf\" of more than one schema is not supported");
    }
    if (std::string_view(key) == "oneOf") check_one_of(document_, list, path);
    std::vector<Node> nodes;
    for (std::size_t i = 0; i < list.size(); ++i) {
      nodes.push_back(value(list[i], fmt::format("{}/{}/{}", path, key, i)));
    }
    return grammar_.choice(std::move(nodes));
  }

  Node reference(const Schema& value, const std::string& path) {
    if (!value.is_string()) refuse(path + "/$ref", "is no text");
    const std::string target = value.get<std::string>();
    const Schema* found = find_reference(document_, target);
    if (found == nullptr) {
      refuse(path + "/$ref",
             "\"" + target + "\" is not in the schema; expected #, or # with a path");
    }
    return grammar_.call(rule(target, *found));
  }

  std::vector<std::string> types_of(const Schema& schema, const std::vector<std::string>& used,
                                    const std::string& path) {
    std::vector<std::string> types;
    if (schema.contains("type")) {
      const Schema& type = schema["type"];
      const Schema list = type.is_array() ? type : Schema::array({type});
      for (const Schema& name : list) {
        if (!name.is_string() || std::find(kTypes.begin(), kTypes.end(),
                                           name.get_ref<const std::string&>()) == kTypes.end()) {
          refuse(path + "/type", "is " + shown(name) + ", expected the name of a JSON type");
        }
        types.push_back(name.get<std::string>());
      }
      if (types.empty()) refuse(path + "/type", "is an empty list");
      return types;
    }
    const auto infer = [&](const char* type, std::initializer_list<std::string_view> keys) {
      const bool applies = std::any_of(used.begin(), used.end(), [&](const std::string& key) {
        return std::find(keys.begin(), keys.end(), key) != keys.end();
      });
      if (applies) types.emplace_back(type);
    };
    infer("object", {"properties", "required", "additionalProperties"});
    infer("array", {"items", "prefixItems", "minItems", "maxItems", "uniqueItems"});
    infer("string", {"minLength", "maxLength", "pattern", "format"});
    infer("number", {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"});
    return types;
  }

  Node typed(const Schema& schema, const std::vector<std::string>& used, const std::string& path) {
    const std::vector<std::string> types = types_of(schema, used, path);
    if (types.empty()) return json_.value();
    std::vector<Node> nodes;
    for (const std::string& type : types) {
      if (type == "null") nodes.push_back(grammar_.text("null"));
      if (type == "boolean") {
        nodes.push_back(grammar_.choice({grammar_.text("true"), grammar_.text("false")}));
      }
      if (type == "integer" || type == "number") nodes.push_back(number(schema, type, path));
      if (type == "string") nodes.push_back(string(schema, path));
      if (type == "array") nodes.push_back(array(schema, path));
      if (type == "object") nodes.push_back(object(schema, path));
    }
    return grammar_.choice(std::move(nodes));
  }

  std::int64_t count(const Schema& schema, const char* key, std::int64_t fallback,
                     const std::string& path) {
    if (!schema.contains(key)) return fallback;
    const Schema& value = schema[key];
    if (!value.is_number_integer() || value < 0 || value > Grammar::kMaxRepeat) {
      refuse(path + "/" + key, fmt::format("is {}, an integer from 0 to {} was expected",
                                           shown(value), Grammar::kMaxRepeat));
    }
    return value.get<std::int64_t>();
  }

  void check_counts(std::int64_t low, std::int64_t high, const char* what,
                    const std::string& path) {
    if (high >= 0 && low > high) {
      refuse(path, fmt::format("min{} {} is above max{} {}", what, low, what, high));
    }
  }

  Node string(const Schema& schema, const std::string& path) {
    const std::int64_t low = count(schema, "minLength", 0, path);
    const std::int64_t high = count(schema, "maxLength", -1, path);
    check_counts(low, high, "Length", path);
    const bool patterned = schema.contains("pattern");
    const bool formatted = schema.contains("format");
    if (!patterned && !formatted) return json_.string(low, high);
    if (patterned && formatted) refuse(path, "\"pattern\" beside \"format\" is not supported");
    const char* key = patterned ? "pattern" : "format";
    if (low > 0 || high >= 0) {
      refuse(path, std::string("minLength and maxLength beside \"") + key + "\" are not supported");
    }
    if (!schema[key].is_string()) refuse(path + "/" + key, "is no text");
    std::string pattern = schema[key].get<std::string>();
    if (formatted) {
      const std::string_view known = format_pattern(pattern);
      if (known.empty()) {
        refuse(path,
               fmt::format("format \"{}\" is not supported; known are {}", pattern, kFormatNames));
      }
      pattern = known;
    }
    const CharacterNode character = [&](const CodePoints& points) {
      return json_.character(points);
    };
    return with_context(path + "/" + key, [&] {
      const Node body = add_regex(grammar_, pattern, character, patterned);
      return grammar_.sequence({grammar_.text("\""), body, grammar_.text("\"")});
    });
  }

  /// A bound as an integer; `shrink` is +1 where a fraction rounds up.
  std::optional<std::int64_t> bound(const Schema& schema, const char* key, bool is_integer,
                                    bool rounds_up, const std::string& path, bool& was_whole) {
    was_whole = true;
    if (!schema.contains(key)) return std::nullopt;
    const Schema& value = schema[key];
    if (!value.is_number()) refuse(path + "/" + key, "is " + shown(value) + ", not a number");
    const double number = value.get<double>();
    if (!(std::abs(number) <= 9e15)) {
      refuse(path + "/" + key, "is beyond 9e15, which is not supported");
    }
    const double whole = rounds_up ? std::ceil(number) : std::floor(number);
    was_whole = whole == number;
    if (!is_integer && !was_whole) {
      refuse(path + "/" + key,
             "is " + shown(value) + ": bounds of \"number\" with a fraction are not supported");
    }
    return static_cast<std::int64_t>(whole);
  }

  Node number(const Schema& schema, const std::string& type, const std::string& path) {
    const bool is_integer = type == "integer";
    if (schema.contains("multipleOf") && !(is_integer && schema["multipleOf"] == 1)) {
      refuse(path, "keyword \"multipleOf\" is not supported");
    }
    bool whole = true;
    const auto low = bound(schema, "minimum", is_integer, true, path, whole);
    const auto high = bound(schema, "maximum", is_integer, false, path, whole);
    auto above = bound(schema, "exclusiveMinimum", is_integer, true, path, whole);
    if (above && is_integer && whole) ++*above;
    auto below = bound(schema, "exclusiveMaximum", is_integer, false, path, whole);
    if (below && is_integer && whole) --*below;
    IntegerRange range{low, high};
    const bool low_excluded = above && (!low || *above >= *low);
    const bool high_excluded = below && (!high || *below <= *high);
    if (low_excluded) range.low = above;
    if (high_excluded) range.high = below;
    if (range.low && range.high && *range.low > *range.high) {
      refuse(path, "no number lies between the bounds");
    }
    if (is_integer) return json_.integer(range);
    if (!range.low && !range.high) return json_.number();
    return json_.number(range, low_excluded, high_excluded);
  }

  Node array(const Schema& schema, const std::string& path) {
    if (schema.contains("uniqueItems") && schema["uniqueItems"] != false) {
      refuse(path, "keyword \"uniqueItems\" is not supported");
    }
    const std::int64_t low = count(schema, "minItems", 0, path);
    const std::int64_t high = count(schema, "maxItems", -1, path);
    check_counts(low, high, "Items", path);
    std::vector<Node> first;
    if (schema.contains("prefixItems")) {
      const Schema& list = array_field(schema, "prefixItems", path);
      for (std::size_t i = 0; i < list.size(); ++i) {
        first.push_back(value(list[i], fmt::format("{}/prefixItems/{}", path, i)));
      }
    }
    const bool closed = schema.contains("items") && schema["items"] == false;
    const bool open = !closed && (schema.contains("items") || first.empty());
    const Node item = closed                     ? grammar_.never()
                      : schema.contains("items") ? value(schema["items"], path + "/items")
                                                 : json_.value();
    if (first.empty()) return json_.array_of(item, low, closed ? 0 : high);
    return prefixed(first, open ? item : -1, low, high);
  }

  // Items by place, each inside of the one before it, since an array may end early.
  Node prefixed(const std::vector<Node>& first, Node item, std::int64_t low, std::int64_t high) {
    const auto size = static_cast<std::int64_t>(first.size());
    const std::int64_t most = high < 0 ? (item < 0 ? size : -1) : high;
    Node rest = grammar_.empty();
    if (item >= 0 && (most < 0 || most > size)) {
      rest = grammar_.repeat(grammar_.sequence({json_.comma(), item}),
                             std::max<std::int64_t>(low - size, 0), most < 0 ? -1 : most - size);
    } else if (low > size) {
      return grammar_.never();
    }
    for (std::int64_t i = size - 1; i >= 0; --i) {
      const Node here = first[static_cast<std::size_t>(i)];
      if (most >= 0 && i >= most) continue;
      rest =
          i == 0 ? grammar_.sequence({here, rest}) : grammar_.sequence({json_.comma(), here, rest});
      if (i >= low) rest = grammar_.optional(rest);
    }
    return grammar_.sequence(
        {grammar_.text("["), json_.space(), rest, json_.space(), grammar_.text("]")});
  }

  Node object(const Schema& schema, const std::string& path) {
    const bool has_names = schema.contains("properties");
    std::vector<std::string> required;
    if (schema.contains("required")) {
      if (!schema["required"].is_array()) refuse(path + "/required", "is no list");
      for (const Schema& name : schema["required"]) {
        if (!name.is_string()) refuse(path + "/required", "has " + shown(name) + ", not a name");
        required.push_back(name.get<std::string>());
      }
    }
    const auto is_required = [&](const std::string& name) {
      return std::find(required.begin(), required.end(), name) != required.end();
    };
    std::vector<Grammar::Item> members;
    std::vector<std::string> names;
    const Schema none = Schema::object();
    const Schema& properties = has_names ? schema["properties"] : none;
    if (!properties.is_object()) refuse(path + "/properties", "is no object");
    for (const auto& [name, inner] : properties.items()) {
      names.push_back(name);
      if (inner == false && !is_required(name)) continue;
      members.push_back(
          {json_.member(name, value(inner, path + "/properties/" + name)),
           is_required(name) ? Grammar::Presence::required : Grammar::Presence::optional});
    }
    const bool says_more = schema.contains("additionalProperties");
    const Schema more = says_more ? schema["additionalProperties"] : Schema(!has_names);
    for (const std::string& name : required) {
      if (std::find(names.begin(), names.end(), name) != names.end()) continue;
      names.push_back(name);
      // Under JSON Schema it may have any value, unless additionalProperties says otherwise.
      const Node inner = says_more ? value(more, path + "/additionalProperties") : json_.value();
      members.push_back({json_.member(name, inner), Grammar::Presence::required});
    }
    if (more != false) {
      const Node key = names.empty() ? json_.string(0, -1) : json_.other_string(names);
      const Node inner = value(more, path + "/additionalProperties");
      members.push_back({grammar_.sequence({key, json_.colon(), inner}), Grammar::Presence::many});
    }
    return json_.object_of(members);
  }

  Schema document_;
  Grammar grammar_;
  JsonGrammar json_;
  std::map<std::string, std::int32_t> rules_;
  int depth_ = 0;
};

}  // namespace

Grammar json_schema_grammar(std::string_view schema) {
  if (schema.size() > Grammar::kMaxBytes / 8) {
    bad_input("JSON schema: {} bytes, at most {} were expected", schema.size(),
              Grammar::kMaxBytes / 8);
  }
  parse_json(schema, "JSON schema");  // refuses what is hostile; then with the order of keys
  return Builder(Schema::parse(schema)).run();
}

}  // namespace tenon::text::grammar
