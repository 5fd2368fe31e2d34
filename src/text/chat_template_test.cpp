// Chat templates against recorded results of Jinja2 as transformers sets it up, and the search for
// a checkpoint's template.
#include "text/chat_template.h"

#include <fstream>
#include <set>
#include <sstream>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/mapped_file.h"

namespace tenon::text {
namespace {

using ::testing::HasSubstr;

OrderedJson recorded(const std::string& name) {
  return OrderedJson::parse(read_file(TENON_SOURCE_DIR "/tests/chat_templates/" + name));
}

/// What the template prints, or what it was refused with.
struct Outcome {
  bool refused = false;
  std::string text;
};

Outcome render(const std::string& source, const OrderedJson& messages, bool prompt,
               const OrderedJson& variables) {
  try {
    return {false, ChatTemplate(source).render(messages, prompt, variables)};
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
    return {true, error.what()};
  }
}

std::string error_of(const std::string& source) {
  const Outcome outcome = render(source, OrderedJson::array(), false, {});
  EXPECT_TRUE(outcome.refused) << source << " printed " << outcome.text;
  return outcome.text;
}

TEST(ChatTemplate, PrintsEveryRecordedExpressionAsJinja2Does) {
  const OrderedJson record = recorded("expressions.json");
  ASSERT_GE(record["cases"].size(), 400u);
  for (const auto& test : record["cases"]) {
    const std::string source = test["source"];
    const Outcome outcome = render(source, OrderedJson::array(), false, record["context"]);
    if (test.contains("error")) {
      EXPECT_TRUE(outcome.refused)
          << source << "\nprinted " << outcome.text << "\nrecorded " << test["error"];
    } else {
      EXPECT_FALSE(outcome.refused) << source << "\n" << outcome.text;
      if (!outcome.refused) {
        EXPECT_EQ(outcome.text, test["text"].get<std::string>()) << source;
      }
    }
  }
}

TEST(ChatTemplate, RendersEveryRecordedConversationByteForByte) {
  const OrderedJson record = recorded("conversations.json");
  ASSERT_GE(record["cases"].size(), 1000u);
  for (const auto& test : record["cases"]) {
    const std::string name = test["template"];
    const Outcome outcome =
        render(record["templates"][name], record["conversations"][test["conversation"].get<int>()],
               test["prompt"], record["variables"][test["variables"].get<int>()]);
    const bool refused = test.contains("error");
    EXPECT_EQ(outcome.refused, refused) << test.dump() << "\n" << outcome.text;
    if (!refused && !outcome.refused) {
      EXPECT_EQ(outcome.text, test["text"].get<std::string>()) << test.dump().substr(0, 80);
    }
  }
}

TEST(ChatTemplate, NamesLineAndColumnOfBadSyntax) {
  EXPECT_THAT(error_of("ok\n  {% if x %}\n{{ 1 + }}{% endif %}"), HasSubstr("line 3, column 8"));
  EXPECT_THAT(error_of("{{ x | nope }}"), HasSubstr("there is no filter 'nope'"));
  EXPECT_THAT(error_of("{% for x in y recursive %}{% endfor %}"), HasSubstr("recursive"));
  EXPECT_THAT(error_of("a\nb\n{{ 1 + 'x' }}"), HasSubstr("line 3"));
  EXPECT_THAT(error_of("{{ raise_exception('no such role') }}"), HasSubstr("no such role"));
}

TEST(ChatTemplate, RefusesPrivateAttributes) {
  for (const char* source :
       {"{{ ''.__class__ }}", "{{ ''.__class__.__mro__ }}", "{{ []['__class__'] }}",
        "{{ messages.__init__ }}", "{{ ''|attr('__class__') }}", "{{ '{0.__class__}'.format(1) }}",
        "{{ [[]]|map(attribute='__class__')|list }}", "{{ range.__globals__ }}"}) {
    EXPECT_THAT(error_of(source), HasSubstr("private")) << source;
  }
  EXPECT_EQ(ChatTemplate("{{ x._a }}").render({}, false, {{"x", {{"_a", 5}}}}), "5");
}

TEST(ChatTemplate, BoundsWorkMemoryAndDepth) {
  // Each of these would run for hours, fill the memory or overflow the stack without its limit.
  const std::string many(3000, '(');
  const std::string loops =
      "{% set r = range(100000)|list %}{% for a in r %}{% for b in r %}{% for c in r %}"
      "{% endfor %}{% endfor %}{% endfor %}";
  EXPECT_THAT(error_of(loops), HasSubstr("steps"));
  EXPECT_THAT(error_of("{% for i in range(10**9) %}{% endfor %}"), HasSubstr("range"));
  EXPECT_THAT(error_of("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), HasSubstr("deep"));
  EXPECT_THAT(error_of("{{ 'a' * 10**12 }}"), HasSubstr("MiB"));
  EXPECT_THAT(error_of("{{ [0] * 10**12 }}"), HasSubstr("MiB"));
  EXPECT_THAT(error_of("{% set ns = namespace(x='a') %}{% for i in range(64) %}"
                       "{% set ns.x = ns.x + ns.x %}{% endfor %}"),
              HasSubstr("MiB"));
  EXPECT_THAT(error_of("{% for i in range(100000) %}" + std::string(2000, 'x') + "{% endfor %}"),
              HasSubstr("writes more"));
  EXPECT_THAT(error_of("{% set ns = namespace(x=[]) %}{% for i in range(100000) %}"
                       "{% set ns.x = [ns.x] %}{% endfor %}"),
              HasSubstr("nested deeper"));
  EXPECT_THAT(error_of("{% set ns = namespace(x=[1]) %}{% for i in range(150) %}"
                       "{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}"),
              HasSubstr("steps"));
  EXPECT_THAT(error_of("{% set ns = namespace() %}{% set ns.self = ns %}"), HasSubstr("stored"));
  EXPECT_THAT(error_of("{{ " + many + "1" + std::string(3000, ')') + " }}"),
              HasSubstr("nested deeper"));
  EXPECT_THAT(error_of("{{ " + std::string(3000, '-') + "1 }}"), HasSubstr("nested deeper"));
  std::string sum = "{{ 1";
  std::string ifs;
  for (int i = 0; i < 5000; ++i) {
    sum += "+1";
    ifs += "{% if 1 %}";
  }
  EXPECT_THAT(error_of(sum + " }}"), HasSubstr("nested deeper"));
  EXPECT_THAT(error_of(ifs), HasSubstr("nested deeper"));
  EXPECT_THAT(error_of(std::string(5 << 20, 'x')), HasSubstr("bytes"));
  EXPECT_THAT(error_of("{{ 9223372036854775807 + 1 }}"), HasSubstr("64 bits"));
  EXPECT_THAT(error_of("{{ '%9999999d' % 1 }}"), HasSubstr("width"));
  const std::string search =
      "{% set a = 'a' * 10000000 %}{{ (('a' * 5000000) ~ 'b') in a }}{{ a.split(a) }}";
  EXPECT_THAT(error_of(search), HasSubstr("steps"));
}

TEST(ChatTemplate, KeepsTheOrderOfKeysInToolDefinitions) {
  const ChatTemplate chat("{{ tools[0] | tojson }}");
  const auto tools = OrderedJson::parse(R"([{"type": 1, "a": {"z": 1, "b": 2}}])");
  EXPECT_EQ(chat.render(OrderedJson::array(), false, {{"tools", tools}}),
            R"({"type": 1, "a": {"z": 1, "b": 2}})");
  // Plain Json is accepted too; it has sorted its keys already.
  const Json plain = {{"tools", Json::parse(R"([{"type": 1, "a": 2}])")}};
  EXPECT_EQ(chat.render(Json::array(), false, plain), R"({"a": 2, "type": 1})");
}

TEST(ChatTemplate, RendersOnManyThreadsAtOnce) {
  const ChatTemplate chat("{% for m in messages %}{{ m.role ~ ':' ~ m.content }}{% endfor %}");
  const std::vector<Message> messages = {{"user", "hi"}, {"assistant", "ho"}};
  std::vector<std::thread> threads;
  std::vector<std::string> texts(4);
  for (auto& text : texts) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) text = chat.render(to_json(messages), false, {});
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& text : texts) EXPECT_EQ(text, "user:hiassistant:ho");
}

TEST(ChatTemplate, KnowsTheDate) {
  const std::string year = ChatTemplate("{{ strftime_now('%Y') }}").render({}, false, {});
  EXPECT_GE(std::stoi(year), 2024);
}

TEST(FindChatTemplate, PrefersTheFileThenTheTokenizerThenTheProcessor) {
  ModelFiles files = {{"chat_template.json", R"({"chat_template": "json"})"}};
  EXPECT_EQ(find_chat_template(files, {})->source(), "json");
  files["tokenizer_config.json"] = R"({"chat_template": "config"})";
  EXPECT_EQ(find_chat_template(files, {})->source(), "config");
  files["tokenizer_config.json"] =
      R"({"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]})";
  EXPECT_EQ(find_chat_template(files, {})->source(), "d");
  files["chat_template.jinja"] = "file";
  EXPECT_EQ(find_chat_template(files, {})->source(), "file");
  EXPECT_FALSE(find_chat_template({}, {{"model_type", "llama"}}).has_value());
  EXPECT_THROW(find_chat_template({{"tokenizer_config.json", R"({"chat_template": 5})"}}, {}),
               Error);
}

TEST(FindChatTemplate, GivesDollyItsInstructionPrompt) {
  const ModelFiles files = {
      {"tokenizer_config.json",
       R"({"additional_special_tokens": ["### End", "### Instruction:", "### Response:"]})"}};
  const Json config = {{"model_type", "gpt_neox"}};
  const auto chat = find_chat_template(files, config);
  ASSERT_TRUE(chat.has_value());
  EXPECT_EQ(chat->render(to_json(std::vector<Message>{{"user", "Name a fruit."}}), true, {}),
            "Below is an instruction that describes a task. Write a response that appropriately "
            "completes the request.\n\n### Instruction:\nName a fruit.\n\n### Response:\n");
  // Pythia has the same architecture and no such token.
  EXPECT_FALSE(find_chat_template({{"tokenizer_config.json", "{}"}}, config).has_value());
}

TEST(FindChatTemplate, GivesLlama2ChatThePromptOfItsPublishedTemplate) {
  const auto chat = find_chat_template(
      {}, {{"model_type", "llama"}, {"_name_or_path", "meta-llama/Llama-2-7b-Chat-hf"}});
  ASSERT_TRUE(chat.has_value());
  const OrderedJson record = recorded("conversations.json");
  const OrderedJson variables = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
  const ChatTemplate published(record["templates"]["llama2"].get<std::string>());
  int compared = 0;
  for (const auto& messages : record["conversations"]) {
    std::string expected;
    try {
      expected = published.render(messages, true, variables);
    } catch (const Error&) {
      continue;
    }
    std::string roles;
    for (const auto& message : messages) roles += message["role"].get<std::string>() + " ";
    if (roles.find("tool") != std::string::npos) continue;
    EXPECT_EQ(chat->render(messages, true, variables), expected) << messages.dump();
    ++compared;
  }
  EXPECT_GE(compared, 15);
}

TEST(ChatVariables, AreTheSpecialTokens) {
  const ModelFiles files = {
      {"special_tokens_map.json", R"({"bos_token": {"content": "<b>"}, "eos_token": "<old>"})"},
      {"tokenizer_config.json", R"({"eos_token": "<e>", "pad_token": null})"}};
  EXPECT_EQ(chat_variables(files), (OrderedJson{{"bos_token", "<b>"}, {"eos_token", "<e>"}}));
}

}  // namespace
}  // namespace tenon::text
