#include "text/tool_calls.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "text/grammar/constraint.h"

namespace tenon::text {
namespace {

const std::set<std::string, std::less<>> kNames = {"get_weather", "add"};

struct Parsed {
  std::string content;
  std::vector<std::pair<std::string, std::string>> calls;
  bool operator==(const Parsed&) const = default;
};

void collect(Parsed& parsed, const std::vector<ToolEvent>& events) {
  for (const ToolEvent& event : events) {
    if (event.kind == ToolEvent::Kind::content) parsed.content += event.text;
    if (event.kind == ToolEvent::Kind::call) {
      EXPECT_EQ(event.index, parsed.calls.size());
      parsed.calls.emplace_back(event.text, "");
    }
    if (event.kind == ToolEvent::Kind::arguments) parsed.calls.at(event.index).second += event.text;
  }
}

Parsed parse(ToolFormat format, const std::vector<std::string_view>& pieces, bool opened = false) {
  ToolCallParser parser(format, kNames, opened);
  Parsed parsed;
  for (const std::string_view piece : pieces) collect(parsed, parser.push(piece));
  collect(parsed, parser.finish());
  EXPECT_EQ(parser.calls(), parsed.calls.size());
  return parsed;
}

struct Case {
  ToolFormat format;
  std::string text;
  Parsed wanted;
  bool opened = false;
};

// As the models write them: Qwen 2.5, Hermes 2 Pro, Llama 3.1 and 3.2, Mistral 7B v0.3, Mistral
// Small 3.2; then what is none, and what is cut off.
std::vector<Case> cases() {
  const std::string weather = R"({"city": "Rome", "note": "a } \" \\ ] <tool_call> b"})";
  const std::string call = R"({"name": "get_weather", "arguments": )" + weather + "}";
  const std::string sum = R"({"name": "add", "arguments": {"a": 1, "b": [2, {"c": null}]}})";
  const std::string sum_arguments = R"({"a": 1, "b": [2, {"c": null}]})";
  const ToolFormat hermes = ToolFormat::hermes, llama = ToolFormat::llama;
  const ToolFormat mistral = ToolFormat::mistral, json = ToolFormat::json;
  return {
      {hermes, "<tool_call>\n" + call + "\n</tool_call>", {"", {{"get_weather", weather}}}},
      {hermes,
       "I will look.\n\n<tool_call>\n" + call + "\n</tool_call>\n<tool_call>\n" + sum +
           "\n</tool_call>\n",
       {"I will look.", {{"get_weather", weather}, {"add", sum_arguments}}}},
      {hermes,
       R"(<tool_call>{"arguments": {"a": 1}, "id": 7.5, "name": "add"}</tool_call>)",
       {"", {{"add", R"({"a": 1})"}}}},
      {hermes,
       R"(<tool_call>{"name": "add", "arguments": "{\"a\": \"\u00e9\"}"}</tool_call>)",
       {"", {{"add", R"({"a": "é"})"}}}},
      {hermes, R"(<tool_call>{"name": "add"}</tool_call> Done.)", {" Done.", {{"add", "{}"}}}},
      {hermes,
       "a < b, <tool_cal, <tool_call> is a tag \n",
       {"a < b, <tool_cal, <tool_call> is a tag \n", {}}},
      {hermes,
       R"(<tool_call>{"name": "rm", "arguments": {}}</tool_call>)",
       {R"(<tool_call>{"name": "rm", "arguments": {}}</tool_call>)", {}}},
      {hermes, R"(<tool_call>{"name": "add", "arguments": {"a": 1)", {"", {{"add", R"({"a": 1)"}}}},
      {hermes, R"(<tool_call>{"name": "ad)", {R"(<tool_call>{"name": "ad)", {}}},
      {hermes, "<tool_call>[1]</tool_call>", {"<tool_call>[1]</tool_call>", {}}},
      {hermes, "", {"", {}}},
      {llama,
       R"({"name": "get_weather", "parameters": )" + weather + "}",
       {"", {{"get_weather", weather}}}},
      {llama,
       R"(<|python_tag|>{"name": "add", "parameters": {"a": 1}}; {"name": "add", "parameters": {"a": 2}})",
       {"", {{"add", R"({"a": 1})"}, {"add", R"({"a": 2})"}}}},
      {llama,
       "\n\n{\"type\": \"function\", \"name\": \"add\", \"parameters\": {}}",
       {"", {{"add", "{}"}}}},
      {llama, "It is {\"name\": \"add\"}.", {"It is {\"name\": \"add\"}.", {}}},
      {llama, " {\"a\": 1}", {" {\"a\": 1}", {}}},
      {llama, "<|python", {"<|python", {}}},
      {mistral,
       "[TOOL_CALLS][" + call + ", " + sum + "]",
       {"", {{"get_weather", weather}, {"add", sum_arguments}}}},
      {mistral,
       "[TOOL_CALLS] [{\"name\": \"add\", \"arguments\": {}, \"id\": \"abcdefghi\"}]",
       {"", {{"add", "{}"}}}},
      {mistral,
       "[TOOL_CALLS]add[ARGS]{\"a\": 1}[TOOL_CALLS]get_weather[ARGS]" + weather,
       {"", {{"add", R"({"a": 1})"}, {"get_weather", weather}}}},
      {mistral,
       "Let us see [1, 2]. [TOOL_CALLS]add{\"a\": 1}",
       {"Let us see [1, 2].", {{"add", R"({"a": 1})"}}}},
      {mistral, "[" + sum + "]", {"", {{"add", sum_arguments}}}, true},
      {mistral, "[TOOL_CALLS] none", {"[TOOL_CALLS] none", {}}},
      {json, sum, {"", {{"add", sum_arguments}}}},
      {json,
       "[" + sum + ",\n " + call + "]",
       {"", {{"add", sum_arguments}, {"get_weather", weather}}}},
      {json, "[1, 2]", {"[1, 2]", {}}},
      {json, "42", {"42", {}}},
      {ToolFormat::none, "<tool_call>" + call, {"<tool_call>" + call, {}}},
  };
}

TEST(ToolCalls, ParsesWhatModelsWriteInAnyPieces) {
  for (const Case& one : cases()) {
    const std::string_view text = one.text;
    EXPECT_EQ(parse(one.format, {text}, one.opened), one.wanted) << text;
    std::vector<std::string_view> bytes;
    for (std::size_t at = 0; at < text.size(); ++at) bytes.push_back(text.substr(at, 1));
    EXPECT_EQ(parse(one.format, bytes, one.opened), one.wanted) << text;
    for (std::size_t at = 0; at <= text.size(); ++at) {
      EXPECT_EQ(parse(one.format, {text.substr(0, at), text.substr(at)}, one.opened), one.wanted)
          << text << " cut at " << at;
    }
  }
}

TEST(ToolCalls, ArgumentsComeWhileTheyAreWritten) {
  ToolCallParser parser(ToolFormat::hermes, kNames);
  Parsed parsed;
  collect(parsed, parser.push(R"(<tool_call>{"name": "add", "arguments": {"a": 12)"));
  EXPECT_EQ(parsed.calls.at(0).second, R"({"a": 12)");
}

TEST(ToolCalls, FindsTheFormOfATemplate) {
  EXPECT_EQ(find_tool_format("{{ messages }}"), ToolFormat::none);
  EXPECT_EQ(find_tool_format("{% if tools %}<tool_call>{% endif %}"), ToolFormat::hermes);
  EXPECT_EQ(find_tool_format("{% if tools %}[AVAILABLE_TOOLS]{% endif %}[TOOL_CALLS]"),
            ToolFormat::mistral);
  EXPECT_EQ(find_tool_format("{{ tools }} ... <|python_tag|>"), ToolFormat::llama);
  EXPECT_EQ(find_tool_format("{{ tools }}"), ToolFormat::json);
}

OrderedJson tools(const std::string& parameters) {
  return OrderedJson::parse(R"([{"type": "function", "function": {"name": "get_weather",
      "parameters": )" + parameters +
                            R"(}}, {"type": "function", "function": {"name": "add"}}])");
}

bool matches(const grammar::Constraint& constraint, std::string_view text) {
  grammar::Matcher matcher(constraint);
  return matcher.accept_text(text) && matcher.is_complete();
}

grammar::Constraint constraint(const OrderedJson& listed, ToolFormat format, bool many) {
  std::vector<std::string> texts;
  for (int byte = 0; byte < 256; ++byte) texts.emplace_back(1, static_cast<char>(byte));
  return {tool_grammar(read_tools(listed, 128), format, many),
          std::make_shared<const grammar::TokenTrie>(std::move(texts))};
}

TEST(ToolCalls, TheGrammarHoldsToNamesAndSchemas) {
  const OrderedJson listed =
      tools(R"({"type": "object", "properties": {"city": {"$ref": "#/$defs/city"}},
      "required": ["city"], "$defs": {"city": {"enum": ["Rome", "Oslo"]}}})");
  const std::string good = R"({"name": "get_weather", "arguments": {"city": "Rome"}})";
  const auto one = constraint(listed, ToolFormat::hermes, false);
  EXPECT_TRUE(matches(one, "<tool_call>\n" + good + "\n</tool_call>"));
  EXPECT_FALSE(matches(
      one, "<tool_call>\n" + good + "\n</tool_call>\n<tool_call>\n" + good + "\n</tool_call>"));
  EXPECT_FALSE(matches(one, "Hello"));
  for (const char* bad :
       {R"({"name": "get_weather", "arguments": {"city": "Paris"}})",
        R"({"name": "get_weather", "arguments": {}})", R"({"name": "rm", "arguments": {}})"}) {
    EXPECT_FALSE(matches(one, std::string("<tool_call>\n") + bad + "\n</tool_call>")) << bad;
  }
  const std::string sum = R"({"name": "add", "arguments": {"x": [1]}})";
  const auto many = constraint(listed, ToolFormat::mistral, true);
  EXPECT_TRUE(matches(many, "[" + good + ", " + sum + "]"));
  EXPECT_FALSE(matches(many, good));
  const auto json = constraint(listed, ToolFormat::json, true);
  EXPECT_TRUE(matches(json, good));
  EXPECT_TRUE(matches(json, "[" + sum + "]"));
  const auto llama = constraint(listed, ToolFormat::llama, false);
  EXPECT_TRUE(matches(llama, R"({"name": "get_weather", "parameters": {"city": "Oslo"}})"));
}

TEST(ToolCalls, RefusesWhatIsNoToolByName) {
  const auto refused = [](const OrderedJson& listed, const std::string& named) {
    try {
      tool_grammar(read_tools(listed, 2), ToolFormat::json, true);
      ADD_FAILURE() << listed;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(named), std::string::npos) << error.what();
    }
  };
  refused(OrderedJson::parse("{}"), "tools");
  refused(OrderedJson::parse(R"([{"type": "retrieval"}])"), "tools[0]");
  refused(OrderedJson::parse(R"([{"type": "function", "function": {"name": "a b"}}])"), "name");
  refused(OrderedJson::parse(R"([1, 2, 3])"), "3 functions");
  OrderedJson twice = tools("{}");
  twice[1] = twice[0];
  refused(twice, "tools[1]");
  refused(tools(R"({"type": "object", "patternProperties": {}})"), "patternProperties");
  refused(tools(R"({"type": "object", "patternProperties": {}})"), "tools[0].function.parameters");
}

}  // namespace
}  // namespace tenon::text
