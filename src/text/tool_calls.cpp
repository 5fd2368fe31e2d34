// Forms of calls: found, read from requests, and written as grammars.
#include "text/tool_calls.h"

#include <algorithm>
#include <span>

#include "base/error.h"

namespace tenon::text {
namespace {

bool is_function_name(const std::string& name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
}

Tool read_tool(const OrderedJson& tool, const std::string& where) {
  if (!tool.is_object() || tool.value("type", OrderedJson()) != "function")
    bad_input("{}: an object of the type function was expected", where);
  const auto function = tool.find("function");
  if (function == tool.end() || !function->is_object())
    bad_input("{}.function is missing or no object", where);
  const auto name = function->find("name");
  if (name == function->end() || !name->is_string() || !is_function_name(name->get<std::string>()))
    bad_input("{}.function.name: 1 to 64 letters, digits, '_', '-' or '.' were expected", where);
  Tool made{name->get<std::string>(), nullptr};
  const auto parameters = function->find("parameters");
  if (parameters != function->end() && !parameters->is_null()) {
    if (!parameters->is_object()) bad_input("{}.function.parameters is no object", where);
    made.parameters = *parameters;
  }
  return made;
}

// References inside of a schema that moves to `place` in a larger document.
void rebase(OrderedJson& schema, const std::string& place) {
  if (schema.is_array()) {
    for (OrderedJson& one : schema) rebase(one, place);
  } else if (schema.is_object()) {
    for (auto& [key, value] : schema.items()) {
      if (key == "$ref" && value.is_string() && value.get_ref<const std::string&>()[0] == '#') {
        value = place + value.get<std::string>().substr(1);
      } else if (key != "const" && key != "enum" && key != "default" && key != "examples") {
        rebase(value, place);
      }
    }
  }
}

// One call of any of the tools, as a schema. Names stand first, so that they decide.
OrderedJson call_schema(const std::vector<Tool>& tools, const char* arguments) {
  OrderedJson document = {{"anyOf", OrderedJson::array()}, {"$defs", OrderedJson::object()}};
  for (std::size_t i = 0; i < tools.size(); ++i) {
    const std::string name = fmt::format("tool{}", i);
    OrderedJson parameters = {{"type", "object"}};
    if (!tools[i].parameters.empty()) parameters = tools[i].parameters;
    with_context(fmt::format("tools[{}].function.parameters", i),
                 [&] { grammar::json_schema_grammar(parameters.dump()); });
    rebase(parameters, "#/$defs/" + name);
    document["$defs"][name] = std::move(parameters);
    OrderedJson one = {{"type", "object"}};
    one["properties"]["name"] = {{"const", tools[i].name}};
    one["properties"][arguments] = {{"$ref", "#/$defs/" + name}};
    one["required"] = {"name", arguments};
    one["additionalProperties"] = false;
    document["anyOf"].push_back(std::move(one));
  }
  return document;
}

}  // namespace

ToolFormat find_tool_format(std::string_view source) {
  const auto has = [&](std::string_view what) {
    return source.find(what) != std::string_view::npos;
  };
  if (!has("tools")) return ToolFormat::none;
  if (has("<function=")) return ToolFormat::none;  // calls in tags of their own
  if (has("<tool_call>")) return ToolFormat::hermes;
  if (has("[TOOL_CALLS]")) return ToolFormat::mistral;
  if (has("<|python_tag|>") || (has("ipython") && has("parameters"))) return ToolFormat::llama;
  return ToolFormat::json;
}

std::vector<Tool> read_tools(const OrderedJson& tools, std::size_t most) {
  if (!tools.is_array()) bad_input("field \"tools\" is no list");
  if (tools.size() > most)
    bad_input("field \"tools\" has {} functions, at most {} were expected", tools.size(), most);
  std::vector<Tool> made;
  for (std::size_t i = 0; i < tools.size(); ++i) {
    made.push_back(read_tool(tools[i], fmt::format("tools[{}]", i)));
    for (std::size_t j = 0; j < i; ++j) {
      if (made[j].name == made[i].name)
        bad_input("tools[{}].function.name is that of tools[{}]", i, j);
    }
  }
  return made;
}

grammar::Grammar tool_grammar(const std::vector<Tool>& tools, ToolFormat format, bool many) {
  const char* arguments = format == ToolFormat::llama ? "parameters" : "arguments";
  grammar::Grammar made = grammar::json_schema_grammar(call_schema(tools, arguments).dump());
  const auto object = made.call(made.root);
  const auto more = [&](grammar::Grammar::Node one, const char* separator) {
    if (!many) return one;
    return made.sequence({one, made.repeat(made.sequence({made.text(separator), one}), 0, -1)});
  };
  const auto list = [&] {
    return made.sequence({made.text("["), more(object, ", "), made.text("]")});
  };
  grammar::Grammar::Node body = object;
  if (format == ToolFormat::hermes) {
    body = more(made.sequence({made.text("<tool_call>\n"), object, made.text("\n</tool_call>")}),
                "\n");
  } else if (format == ToolFormat::mistral) {
    body = list();
  } else if (format == ToolFormat::llama) {
    body = more(object, "; ");
  } else if (many) {
    body = made.choice({object, list()});
  }
  const auto root = made.declare("calls");
  made.define(root, body);
  made.root = root;
  return made;
}

std::optional<std::int32_t> tool_opening(ToolFormat format, const Tokenizer& tokenizer) {
  if (format != ToolFormat::mistral) return std::nullopt;
  return tokenizer.token_id("[TOOL_CALLS]");
}

std::string_view tool_marker(ToolFormat format, const Tokenizer& tokenizer, std::int32_t id) {
  if (id < 0 || !tokenizer.is_special(id)) return {};
  constexpr std::string_view kHermes[] = {"<tool_call>", "</tool_call>"};
  constexpr std::string_view kMistral[] = {"[TOOL_CALLS]", "[ARGS]"};
  constexpr std::string_view kLlama[] = {"<|python_tag|>"};
  const auto of = [&](std::span<const std::string_view> markers) {
    for (const std::string_view marker : markers) {
      if (tokenizer.token_id(marker) == id) return marker;
    }
    return std::string_view();
  };
  if (format == ToolFormat::hermes) return of(kHermes);
  if (format == ToolFormat::mistral) return of(kMistral);
  return format == ToolFormat::llama ? of(kLlama) : std::string_view();
}

std::string tool_preamble(const OrderedJson& tools) {
  std::string text =
      "Answer with a call of one of these functions, as a JSON object "
      "{\"name\": ..., \"arguments\": {...}} and nothing else.\n";
  for (const OrderedJson& tool : tools) text += tool["function"].dump() + "\n";
  return text;
}

}  // namespace tenon::text
