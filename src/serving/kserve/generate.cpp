// POST .../generate and generate_stream: a text for a text, as free JSON.
#include "serving/kserve/kserve.h"
#include "serving/sampling_fields.h"
#include "serving/status.h"
#include "serving/text_answer.h"

namespace tenon::serving::kserve {
namespace {

using Exchange = std::shared_ptr<http::Exchange>;

std::string dump(const Json& body) {
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// With a stream each piece of text is an event; else one object holds it all.
class Generated final : public TextAnswer {
 public:
  Generated(const Exchange& exchange, const ModelRegistry::Held& held, bool streams, std::string id,
            std::string echo)
      : TextAnswer(exchange, held, 1),
        exchange_(exchange),
        streams_(streams),
        id_(std::move(id)),
        echo_(std::move(echo)) {}

 private:
  Json object(const std::string& text) const {
    Json made = {
        {"model_name", model().info().name}, {"model_version", "1"}, {"text_output", text}};
    if (!id_.empty()) made["id"] = id_;
    return made;
  }
  void send(const Json& event) {
    if (!exchange_->begun())
      exchange_->start(200, "text/event-stream", {{"Cache-Control", "no-cache"}});
    exchange_->write("data: " + dump(event) + "\n\n");
  }
  void on_token(const pipelines::TokenEvent& event) override {
    if (!streams_ || (event.text.empty() && event.finish_reason == nullptr)) return;
    send(object(std::exchange(echo_, {}) + event.text));
  }
  void on_finished(const TextUsage&) override {
    if (streams_) {
      if (!exchange_->begun()) send(object(""));
      return exchange_->finish();
    }
    http::Response response;
    response.body = dump(object(echo_ + sequences().front().text));
    exchange_->respond(std::move(response));
  }
  void on_failed(const std::exception& error) override {
    if (!exchange_->begun())
      return exchange_->respond(error_response(error, error_body(0, message_of(error))));
    send({{"error", message_of(error)}});
    exchange_->finish();
  }

  Exchange exchange_;
  bool streams_;
  std::string id_;
  std::string echo_;
};

void generate(const Context& context, const Exchange& exchange, bool streams) {
  const http::Request& http = exchange->request();
  const auto version = http.parts.find("version");
  const auto held = context.models->get(
      http.part("model"), version == http.parts.end() ? std::string() : version->second);
  TextService* service = held->text();
  if (service == nullptr) bad_input("model '{}' writes no text: use infer", held->info().name);
  const Json body = parse_json(http.body, "request");
  if (!body.is_object()) bad_input("request: a JSON object was expected");
  const Json* input = find_field(body, "text_input");
  if (input == nullptr || !input->is_string())
    bad_input("field \"text_input\" is missing or no string");
  const Json* parameters = find_field(body, "parameters");
  if (parameters != nullptr && !parameters->is_object())
    bad_input("field \"parameters\" is no object");
  Json fields = body;
  if (parameters != nullptr) fields.update(*parameters);
  TextRequest request;
  request.config = service->defaults();
  if (!request.config.max_new_tokens && !request.config.max_length)
    request.config.max_new_tokens = 128;
  apply_sampling(request.config, fields);
  if (request.config.num_return_sequences != 1)
    bad_input("field \"n\" is {}: one text is given here", request.config.num_return_sequences);
  request.deadline = deadline_of(fields, context.patience);
  request.prompt = service->tokenizer().encode(input->get_ref<const std::string&>());
  const std::string echo =
      get_bool(fields, "exclude_input_in_output", true) ? "" : input->get<std::string>();
  std::make_shared<Generated>(exchange, held, streams || get_bool(body, "stream", false),
                              get_string(body, "id", ""), echo)
      ->run(std::move(request));
}

}  // namespace

void add_generate_routes(http::Router& router, const Context& context) {
  for (const std::string base : {"/v2/models/{model}", "/v2/models/{model}/versions/{version}"}) {
    router.add({"POST", base + "/generate", guarded([context](const Exchange& exchange) {
                  generate(context, exchange, false);
                })});
    router.add({"POST", base + "/generate_stream", guarded([context](const Exchange& exchange) {
                  generate(context, exchange, true);
                })});
  }
}

}  // namespace tenon::serving::kserve
