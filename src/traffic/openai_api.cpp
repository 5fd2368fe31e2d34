// OpenAI's completions, chats and pictures: requests, and answers as streams or in one piece.
#include "base/error.h"
#include "traffic/api.h"
#include "traffic/prompts.h"

namespace tenon::traffic {
namespace {

constexpr std::int64_t kMostTokens = std::int64_t{1} << 40;

void read_usage(const Json& answer, Record& record) {
  const Json* usage = find_field(answer, "usage");
  if (usage == nullptr) return;
  record.prompt_tokens = get_int(*usage, "prompt_tokens", 0, kMostTokens, record.prompt_tokens);
  record.output_tokens = get_int(*usage, "completion_tokens", 0, kMostTokens, record.output_tokens);
}

// {"error": {"message": ...}} or {"error": "..."}; "" when there is none.
std::string error_of(const Json& answer) {
  const Json* error = find_field(answer, "error");
  if (error == nullptr) return "";
  if (const Json* message = find_field(*error, "message"); message != nullptr) error = message;
  return error->is_string() ? error->get<std::string>() : json_text(*error);
}

bool is_text(const Json& object, const char* key) {
  const Json* field = find_field(object, key);
  return field != nullptr && field->is_string() && !field->get_ref<const std::string&>().empty();
}

class OpenAi : public Api {
 public:
  OpenAi(TextAsk ask, std::shared_ptr<const Prompts> prompts)
      : ask_(std::move(ask)), prompts_(std::move(prompts)) {}

  HttpRequest request(std::size_t index) const override {
    Json body = {{"model", ask_.model}};
    fill(body, prompts_->text(index));
    body.update(ask_.extra);
    return {"POST", route(), {{"Content-Type", "application/json"}}, json_text(body)};
  }

  void on_event(std::string_view data, double now, Record& record) const override {
    if (data == "[DONE]") {
      record.finished = true;
      return;
    }
    const Json chunk = parse_json(data, "event of the stream");
    if (!chunk.is_object()) bad_input("an event of the stream is no JSON object");
    if (const std::string error = error_of(chunk); !error.empty()) {
      record.failure = Failure::server;
      record.error = error;
      return;
    }
    read_usage(chunk, record);
    const Json* choices = find_field(chunk, "choices");
    if (choices == nullptr) return;
    if (!choices->is_array()) bad_input("\"choices\" of an event is no list");
    bool wrote = false;
    for (const Json& choice : *choices) {
      wrote = wrote || writes(choice);
      if (find_field(choice, "finish_reason") != nullptr) record.finished = true;
    }
    if (!wrote) return;
    if (record.first < 0) record.first = now;
    record.pieces.push_back(now);
  }

  void on_answer(std::string_view body, const HttpAnswer&, Record& record) const override {
    const Json answer = parse_json(body, "answer");
    if (const std::string error = error_of(answer); !error.empty()) bad_input("{}", error);
    const Json* list = find_field(answer, list_name());
    if (list == nullptr || !list->is_array() || list->empty())
      bad_input("the answer has no \"{}\"", list_name());
    read_usage(answer, record);
    record.outputs = static_cast<std::int64_t>(list->size());
    record.finished = true;
  }

  bool counts_tokens() const override { return true; }

 protected:
  virtual std::string route() const = 0;
  virtual void fill(Json& body, std::string prompt) const = 0;
  virtual bool writes(const Json& choice) const = 0;
  virtual const char* list_name() const { return "choices"; }

  void fill_text(Json& body) const {
    body["max_tokens"] = ask_.new_tokens;
    body["temperature"] = 0;
    if (ask_.ignore_eos) body["ignore_eos"] = true;
    if (ask_.min_tokens) body["min_tokens"] = ask_.new_tokens;
    if (!ask_.stream) return;
    body["stream"] = true;
    if (ask_.usage) body["stream_options"] = {{"include_usage", true}};
  }
  const TextAsk& ask() const noexcept { return ask_; }

 private:
  TextAsk ask_;
  std::shared_ptr<const Prompts> prompts_;
};

class Chat final : public OpenAi {
 public:
  using OpenAi::OpenAi;
  std::string_view name() const override { return "openai-chat"; }

 private:
  std::string route() const override { return "/v1/chat/completions"; }
  void fill(Json& body, std::string prompt) const override {
    body["messages"] = Json::array({{{"role", "user"}, {"content", std::move(prompt)}}});
    fill_text(body);
  }
  bool writes(const Json& choice) const override {
    const Json* delta = find_field(choice, "delta");
    return delta != nullptr &&
           (is_text(*delta, "content") || is_text(*delta, "reasoning_content") ||
            is_text(*delta, "reasoning") || find_field(*delta, "tool_calls") != nullptr);
  }
};

class Completions final : public OpenAi {
 public:
  using OpenAi::OpenAi;
  std::string_view name() const override { return "openai"; }

 private:
  std::string route() const override { return "/v1/completions"; }
  void fill(Json& body, std::string prompt) const override {
    body["prompt"] = std::move(prompt);
    fill_text(body);
  }
  bool writes(const Json& choice) const override { return is_text(choice, "text"); }
};

class Images final : public OpenAi {
 public:
  using OpenAi::OpenAi;
  std::string_view name() const override { return "images"; }
  bool counts_tokens() const override { return false; }

 private:
  std::string route() const override { return "/v1/images/generations"; }
  void fill(Json& body, std::string prompt) const override {
    body["prompt"] = std::move(prompt);
    body["response_format"] = "b64_json";
  }
  bool writes(const Json&) const override { return false; }
  const char* list_name() const override { return "data"; }
};

}  // namespace

std::unique_ptr<Api> make_openai_chat(TextAsk ask, std::shared_ptr<const Prompts> prompts) {
  return std::make_unique<Chat>(std::move(ask), std::move(prompts));
}
std::unique_ptr<Api> make_openai_completions(TextAsk ask, std::shared_ptr<const Prompts> prompts) {
  return std::make_unique<Completions>(std::move(ask), std::move(prompts));
}
std::unique_ptr<Api> make_openai_images(TextAsk ask, std::shared_ptr<const Prompts> prompts) {
  return std::make_unique<Images>(std::move(ask), std::move(prompts));
}

}  // namespace tenon::traffic
