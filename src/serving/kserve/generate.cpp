// POST .../generate and generate_stream: a text for a text, as free JSON.
#include "serving/kserve/execute.h"
#include "serving/kserve/kserve.h"
#include "serving/status.h"

namespace tenon::serving::kserve {
namespace {

using Exchange = std::shared_ptr<http::Exchange>;

/// With a stream each answer is an event; else there is one.
class Generated final : public InferReply {
 public:
  Generated(Exchange exchange, bool streams, std::string echo)
      : exchange_(std::move(exchange)),
        peer_(exchange_),
        streams_(streams),
        echo_(std::move(echo)) {}

  const std::shared_ptr<Peer>& peer() const override { return peer_; }
  bool streams() const override { return streams_; }
  void answer(InferAnswer answer) override {
    const Json body = object(answer);
    if (!streams_) {
      http::Response response;
      response.body = json_text(body);
      return exchange_->respond(std::move(response));
    }
    send(body);
    if (answer.final) exchange_->finish();
  }
  void failed(const std::exception& error) override {
    if (!exchange_->begun()) return respond_error(*exchange_, error);
    send({{"error", message_of(error)}});
    exchange_->finish();
  }

 private:
  Json object(const InferAnswer& answer) {
    Json made = {{"model_name", answer.model}, {"model_version", answer.version}};
    if (!answer.id.empty()) made["id"] = answer.id;
    const std::string& text = std::get<Strings>(answer.outputs.front().data).front();
    made["text_output"] = std::exchange(echo_, {}) + text;
    return made;
  }
  void send(const Json& event) {
    if (!exchange_->begun())
      exchange_->start(200, "text/event-stream", {{"Cache-Control", "no-cache"}});
    exchange_->write("data: " + json_text(event) + "\n\n");
  }

  Exchange exchange_;
  std::shared_ptr<Peer> peer_;
  bool streams_;
  std::string echo_;
};

void generate(const Context& context, const Exchange& exchange, bool streams) {
  const http::Request& http = exchange->request();
  const auto held = context.models->get(http.part("model"), version_of(http));
  if (held->text() == nullptr) bad_input("model '{}' writes no text: use infer", held->info().name);
  const Json body = parse_json(http.body, "request");
  if (!body.is_object()) bad_input("request: a JSON object was expected");
  const Json* input = find_field(body, "text_input");
  if (input == nullptr || !input->is_string())
    bad_input("field \"text_input\" is missing or no string");
  const Json* parameters = find_field(body, "parameters");
  if (parameters != nullptr && !parameters->is_object())
    bad_input("field \"parameters\" is no object");
  InferRequest request;
  request.id = get_string(body, "id", "");
  request.inputs.push_back(
      {"text_input", "BYTES", {1}, Strings{input->get_ref<const std::string&>()}, {}});
  request.parameters = body;
  for (const char* key : {"text_input", "parameters"}) request.parameters.erase(key);
  if (parameters != nullptr) request.parameters.update(*parameters);
  const std::string echo = get_bool(request.parameters, "exclude_input_in_output", true)
                               ? ""
                               : input->get<std::string>();
  streams = streams || get_bool(body, "stream", false);
  request.parameters["stream"] = streams;
  execute(context, held, std::move(request), std::make_shared<Generated>(exchange, streams, echo));
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
