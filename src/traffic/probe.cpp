#include "traffic/probe.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace tenon::traffic {
namespace {

constexpr std::size_t kProbeIndex = std::size_t{1} << 40;  // far from every measured prompt
constexpr double kUsualWords = 0.75;                       // words a token of English text
constexpr int kCalibrations = 8;

Json json_or_null(const HttpClient::Response& response) {
  return response.answer.status == 200
             ? Json::parse(response.body.begin(), response.body.end(), nullptr, false)
             : Json();
}

HttpClient::Response get(HttpClient& client, const std::string& target) {
  return client.fetch({"GET", target, {}, {}});
}

std::string shortened(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  return text.substr(0, 300);
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

class Finder {
 public:
  Finder(HttpClient& client, const Wanted& wanted) : client_(client), wanted_(wanted) {}

  Target find() {
    std::string api = wanted_.api;
    const auto list = get(client_, "/v1/models");
    target_.server = list.answer.header("server");
    if (api == "auto") api = guess(list);
    if (api.starts_with("kserve")) {
      find_kserve(api);
    } else if (api == "openai-chat" || api == "openai" || api == "images") {
      find_openai(api, json_or_null(list));
    } else {
      fail(ErrorCode::usage,
           "--api {}: not one of auto, openai-chat, openai, images, kserve, kserve-generate", api);
    }
    return std::move(target_);
  }

 private:
  std::string guess(const HttpClient::Response& list) {
    check_key(list);
    if (json_or_null(list).is_object()) return "openai-chat";
    const auto server = get(client_, "/v2");
    check_key(server);
    if (json_or_null(server).is_object()) return "kserve";
    bad_input(
        "{}: neither GET /v1/models (status {}) nor GET /v2 (status {}) answers as OpenAI's API or "
        "KServe v2 would; --api names the protocol if it speaks one",
        client_.url().text(), list.answer.status, server.answer.status);
  }

  void check_key(const HttpClient::Response& response) const {
    if (response.answer.status != 401 && response.answer.status != 403) return;
    throw Error(ErrorCode::bad_input, fmt::format("{}: status {}: {}", client_.url().text(),
                                                  response.answer.status, shortened(response.body)))
        .hint("--api-key-file names a file with the key");
  }

  void find_openai(const std::string& api, const Json& list) {
    std::vector<std::string> names;
    const Json* data = find_field(list, "data");
    if (data != nullptr && data->is_array())
      for (const Json& one : *data) names.push_back(get_string(one, "id", ""));
    target_.facts = {{"models", names}};
    target_.model = wanted_.model;
    if (target_.model.empty()) {
      if (names.empty())
        bad_input("{}: /v1/models names no model: give --model", client_.url().text());
      target_.model = names.front();
      if (names.size() > 1)
        target_.notes.push_back(fmt::format("model {} of {}", target_.model, listed(names)));
    } else if (!names.empty() &&
               std::find(names.begin(), names.end(), target_.model) == names.end()) {
      bad_input("{}: has no model '{}', but {}", client_.url().text(), target_.model,
                listed(names));
    }
    ask_ = {target_.model, wanted_.new_tokens, true, true, wanted_.stream, true, wanted_.extra};
    if (api == "images") {
      set_prompts(12);
      target_.api = make_openai_images(ask_, target_.prompts);
      return;
    }
    settle_text(api);
  }

  void set_prompts(std::int64_t words, std::int64_t shared = 0) {
    target_.prompts = wanted_.prompts_file.empty()
                          ? std::make_shared<Prompts>(words, shared, wanted_.seed)
                          : std::make_shared<Prompts>(Prompts::read(wanted_.prompts_file));
  }

  std::unique_ptr<Api> make(const std::string& api, const TextAsk& ask,
                            const std::shared_ptr<const Prompts>& prompts) const {
    if (api == "openai-chat") return make_openai_chat(ask, prompts);
    if (api == "openai") return make_openai_completions(ask, prompts);
    return make_kserve_generate(ask, prompts);
  }

  // One short request in one piece; its status decides what is asked for later.
  HttpClient::Response probe(const std::string& api, TextAsk ask, std::int64_t words) {
    ask.new_tokens = 1;
    ask.stream = false;
    ask.extra.erase("stream");
    ask.extra.erase("stream_options");
    const auto prompts = std::make_shared<Prompts>(words, 0, wanted_.seed);
    return client_.fetch(make(api, ask, prompts)->request(kProbeIndex + probes_++));
  }

  static bool refused(const HttpClient::Response& response) {
    return response.answer.status == 400 || response.answer.status == 422;
  }

  // Leaves out, one after the other, what the server may not know.
  void settle_text(std::string api) {
    auto response = probe(api, ask_, 8);
    if (refused(response) && ask_.min_tokens) {
      TextAsk less = ask_;
      less.min_tokens = false;
      const auto second = probe(api, less, 8);
      if (!refused(second)) {
        note("min_tokens is refused and not sent");
        ask_ = less;
        response = second;
      } else {
        less.ignore_eos = false;
        const auto third = probe(api, less, 8);
        if (!refused(third)) {
          note("ignore_eos and min_tokens are refused and not sent: answers may end early");
          ask_ = less;
          response = third;
        }
      }
    }
    const bool no_chat = refused(response) || response.answer.status == 404;
    if (no_chat && api == "openai-chat" && wanted_.api == "auto" && !retried_) {
      note(fmt::format("chats are refused (status {}): completions are measured",
                       response.answer.status));
      retried_ = true;
      return settle_text("openai");
    }
    if (response.answer.status != 200) {
      check_key(response);
      bad_input("{}: a request for one token of model '{}' was answered with status {}: {}",
                client_.url().text(), ask_.model, response.answer.status, shortened(response.body));
    }
    if (wanted_.prompts_file.empty())
      calibrate(api);
    else
      set_prompts(0);
    target_.api = make(api, ask_, target_.prompts);
  }

  void calibrate(const std::string& api) {
    const auto count = [&](std::int64_t words) -> std::optional<std::int64_t> {
      const auto response = probe(api, ask_, words);
      const Json answer = json_or_null(response);
      const Json* usage = find_field(answer, "usage");
      const Json* tokens = usage == nullptr ? nullptr : find_field(*usage, "prompt_tokens");
      if (tokens == nullptr || !tokens->is_number_integer()) return std::nullopt;
      return tokens->get<std::int64_t>();
    };
    const auto words = calibrate_words(wanted_.prompt_tokens, count);
    if (!words)
      note(fmt::format("the server counts no prompt tokens: {} tokens are taken for {} words",
                       wanted_.prompt_tokens, usual(wanted_.prompt_tokens)));
    const std::int64_t all = words.value_or(usual(wanted_.prompt_tokens));
    const double share = static_cast<double>(wanted_.shared_prefix) /
                         static_cast<double>(std::max<std::int64_t>(1, wanted_.prompt_tokens));
    set_prompts(all, std::llround(static_cast<double>(all) * std::min(1.0, share)));
  }

  static std::int64_t usual(std::int64_t tokens) {
    return std::max<std::int64_t>(1, std::llround(static_cast<double>(tokens) * kUsualWords));
  }

  void note(std::string text) { target_.notes.push_back(std::move(text)); }

  // The only model that is ready, or the one that was named.
  std::string kserve_model() {
    if (!wanted_.model.empty()) return wanted_.model;
    const auto index = client_.fetch(
        {"POST", "/v2/repository/index", {{"Content-Type", "application/json"}}, "{}"});
    check_key(index);
    std::vector<std::string> names;
    const Json list = json_or_null(index);
    if (list.is_array())
      for (const Json& one : list)
        if (get_string(one, "state", "READY") == "READY")
          names.push_back(get_string(one, "name", ""));
    if (names.size() == 1) return names.front();
    bad_input("{}: --model must name one{}", client_.url().text(),
              names.empty() ? std::string() : " of " + listed(names));
  }

  void find_kserve(const std::string& api) {
    target_.model = kserve_model();
    const Json server = json_or_null(get(client_, "/v2"));
    if (server.is_object())
      target_.server = get_string(server, "name", "") + " " + get_string(server, "version", "");
    const auto response = get(client_, "/v2/models/" + target_.model);
    check_key(response);
    const Json model = json_or_null(response);
    if (!model.is_object())
      bad_input("{}: no metadata of model '{}': status {}: {}", client_.url().text(), target_.model,
                response.answer.status, shortened(response.body));
    std::vector<TensorInput> inputs = inputs_of(model);
    bool writes = false;
    for (const TensorInput& input : inputs) writes = writes || input.name == "text_input";
    target_.facts = {{"model", model}};
    if (api == "kserve-generate" || (wanted_.api == "auto" && writes)) {
      ask_ = {target_.model, wanted_.new_tokens, true, true, wanted_.stream, false, wanted_.extra};
      return settle_text("kserve-generate");
    }
    set_prompts(usual(wanted_.prompt_tokens));
    target_.api = make_kserve_infer(target_.model, std::move(inputs), wanted_.data, wanted_.seed,
                                    wanted_.extra, target_.prompts);
    check_infer();
  }

  void check_infer() {
    const auto response = client_.fetch(target_.api->request(kProbeIndex));
    if (response.answer.status == 200) return;
    throw Error(
        ErrorCode::bad_input,
        fmt::format("{}: infer of model '{}' was answered with status {}: {}", client_.url().text(),
                    target_.model, response.answer.status, shortened(response.body)))
        .hint("sizes that vary are 1 unless --shape NAME:1,3,224,224 says otherwise");
  }

  std::vector<TensorInput> inputs_of(const Json& model) {
    std::vector<TensorInput> inputs;
    const Json* list = find_field(model, "inputs");
    if (list == nullptr || !list->is_array())
      bad_input("the metadata of model '{}' has no \"inputs\"", target_.model);
    auto left = wanted_.shapes;
    for (const Json& one : *list) {
      TensorInput input{get_string(one, "name", ""), get_string(one, "datatype", ""), {}};
      const Json* shape = find_field(one, "shape");
      if (shape == nullptr || !shape->is_array())
        bad_input("input {} of model '{}' has no shape", input.name, target_.model);
      for (const Json& size : *shape) {
        if (!size.is_number_integer())
          bad_input("input {} of model '{}': a size is no integer", input.name, target_.model);
        const auto value = size.get<std::int64_t>();
        input.shape.push_back(value < 0 ? 1 : value);
      }
      if (const auto given = left.find(input.name); given != left.end()) {
        input.shape = given->second;
        left.erase(given);
      }
      inputs.push_back(std::move(input));
    }
    if (!left.empty())
      fail(ErrorCode::usage, "--shape: model '{}' has no input '{}'", target_.model,
           left.begin()->first);
    return inputs;
  }

  HttpClient& client_;
  const Wanted& wanted_;
  Target target_;
  TextAsk ask_;
  std::size_t probes_ = 0;
  bool retried_ = false;
};

}  // namespace

Target find_target(HttpClient& client, const Wanted& wanted) {
  return Finder(client, wanted).find();
}

std::optional<std::int64_t> calibrate_words(
    std::int64_t tokens, const std::function<std::optional<std::int64_t>(std::int64_t)>& count) {
  // Tokens rise nearly in a line with words: the line through the two nearest points is followed.
  struct Point {
    std::int64_t words, tokens;
  };
  std::vector<Point> points;
  std::int64_t words = std::max<std::int64_t>(1, tokens * 3 / 4);
  for (int i = 0; i < kCalibrations; ++i) {
    const auto found = count(words);
    if (!found) break;
    points.push_back({words, *found});
    if (*found == tokens) break;
    const Point& last = points.back();
    double slope = static_cast<double>(last.tokens) / static_cast<double>(last.words);
    double base = 0;
    if (points.size() > 1) {
      const Point& before = points[points.size() - 2];
      if (before.words != last.words && before.tokens != last.tokens) {
        slope = static_cast<double>(last.tokens - before.tokens) /
                static_cast<double>(last.words - before.words);
      }
    }
    base = static_cast<double>(last.tokens) - slope * static_cast<double>(last.words);
    if (!(slope > 0)) break;
    const auto next =
        std::max<std::int64_t>(1, std::llround((static_cast<double>(tokens) - base) / slope));
    if (std::any_of(points.begin(), points.end(),
                    [&](const Point& one) { return one.words == next; }))
      break;
    words = next;
  }
  if (points.empty()) return std::nullopt;
  return std::min_element(points.begin(), points.end(),
                          [&](const Point& a, const Point& b) {
                            return std::abs(a.tokens - tokens) < std::abs(b.tokens - tokens);
                          })
      ->words;
}

}  // namespace tenon::traffic
