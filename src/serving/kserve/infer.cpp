// POST .../infer: plain tensors, a text, or a prompt for a picture.
#include <algorithm>
#include <cstring>

#include "serving/kserve/infer_request.h"
#include "serving/kserve/kserve.h"
#include "serving/kserve/ports.h"
#include "serving/picture_fields.h"
#include "serving/sampling_fields.h"
#include "serving/status.h"
#include "serving/text_answer.h"

namespace tenon::serving::kserve {
namespace {

using Exchange = std::shared_ptr<http::Exchange>;

std::string version_of(const http::Request& request) {
  const auto found = request.parts.find("version");
  return found == request.parts.end() ? std::string() : found->second;
}

void check_ports(const InferRequest& request, const ModelInfo& info) {
  const auto inputs = inputs_of(info);
  if (request.inputs.size() != inputs.size() &&
      std::all_of(request.inputs.begin(), request.inputs.end(), [&](const InferTensor& given) {
        return std::any_of(inputs.begin(), inputs.end(),
                           [&](const Port& port) { return port.name == given.name; });
      })) {
    bad_input("expected {} inputs but got {} inputs for model '{}'", inputs.size(),
              request.inputs.size(), info.name);
  }
  for (const InferTensor& given : request.inputs) {
    const auto port = std::find_if(inputs.begin(), inputs.end(),
                                   [&](const Port& one) { return one.name == given.name; });
    if (port == inputs.end())
      bad_input("unexpected inference input '{}' for model '{}'", given.name.substr(0, 128),
                info.name);
    if (port->datatype != given.datatype())
      bad_input("inference input '{}' data-type is '{}', but model '{}' expects '{}'", given.name,
                given.datatype(), info.name, port->datatype);
    const bool fits = port->shape.size() == given.shape.size() &&
                      std::equal(port->shape.begin(), port->shape.end(), given.shape.begin(),
                                 [](auto wanted, auto has) { return wanted < 0 || wanted == has; });
    if (!fits)
      bad_input("unexpected shape for input '{}' for model '{}'. Expected {}, got {}", given.name,
                info.name, to_string(port->shape), to_string(given.shape));
  }
  const auto outputs = outputs_of(info);
  for (const WantedOutput& wanted : request.outputs) {
    if (std::none_of(outputs.begin(), outputs.end(),
                     [&](const Port& port) { return port.name == wanted.name; }))
      bad_input("unexpected inference output '{}' for model '{}'", wanted.name.substr(0, 128),
                info.name);
  }
}

/// The one text of a finished answer.
class InferText final : public TextAnswer {
 public:
  InferText(const Exchange& exchange, const ModelRegistry::Held& held, InferRequest request)
      : TextAnswer(exchange, held, 1), exchange_(exchange), request_(std::move(request)) {}

 private:
  void on_token(const pipelines::TokenEvent&) override {}
  void on_finished(const TextUsage&) override {
    exchange_->respond(encode_infer({model().info().name,
                                     "1",
                                     request_.id,
                                     {{"text_output", {1}, Strings{sequences().front().text}}}},
                                    request_));
  }
  void on_failed(const std::exception& error) override {
    exchange_->respond(error_response(error, error_body(0, message_of(error))));
  }

  Exchange exchange_;
  InferRequest request_;
};

void infer_text(const Exchange& exchange, const ModelRegistry::Held& held, InferRequest request,
                Clock::time_point deadline) {
  TextService& service = *held->text();
  TextRequest text;
  text.deadline = deadline;
  text.config = service.defaults();
  if (!text.config.max_new_tokens && !text.config.max_length) text.config.max_new_tokens = 128;
  apply_sampling(text.config, request.parameters);
  text.config.num_return_sequences = 1;
  text.prompt = service.tokenizer().encode(std::get<Strings>(request.inputs.front().data).front());
  std::make_shared<InferText>(exchange, held, std::move(request))->run(std::move(text));
}

std::vector<InferTensor> draw(const Exchange& exchange, const ModelRegistry::Held& held,
                              const InferRequest& request) {
  pipelines::ImageRequest picture;
  picture.steps = 20;
  picture.prompt = std::get<Strings>(request.inputs.front().data).front();
  apply_picture_fields(picture, request.parameters);
  const auto result = held->pictures()->draw(
      picture, [&](const pipelines::StepEvent&) { return !exchange->gone(); });
  if (result.cancelled) throw Error(ErrorCode::interrupted, "the client has gone");
  Tensor tensor(DType::u8,
                {static_cast<std::int64_t>(result.images.size()), result.height, result.width, 3});
  std::byte* to = tensor.data();
  for (const auto& image : result.images) {
    const image::Image rgb = image::to_rgb(image);
    std::memcpy(to, rgb.pixels().data(), rgb.pixels().size());
    to += rgb.pixels().size();
  }
  std::vector<InferTensor> outputs;
  Shape shape = tensor.shape();
  outputs.push_back({"image", std::move(shape), std::move(tensor)});
  return outputs;
}

/// Keeps what it hears.
class Kept final : public TensorSink {
 public:
  void computed(TensorResult result) override { outputs = std::move(result.outputs); }
  void failed(std::exception_ptr failure) override { error = std::move(failure); }
  TensorMap outputs;
  std::exception_ptr error;
};

std::vector<InferTensor> compute(const ModelRegistry::Held& held, InferRequest& request) {
  TensorRequest plain;
  for (InferTensor& given : request.inputs)
    plain.inputs.emplace(given.name, std::move(std::get<Tensor>(given.data)));
  std::vector<InferTensor> outputs;
  const auto kept = std::make_shared<Kept>();
  held->tensors()->submit(std::move(plain), kept);
  if (kept->error) std::rethrow_exception(kept->error);
  for (const auto& spec : held->info().outputs) {
    Tensor& tensor = kept->outputs.at(spec.name);
    Shape shape = tensor.shape();
    outputs.push_back({spec.name, std::move(shape), std::move(tensor)});
  }
  return outputs;
}

void infer(const Context& context, const Exchange& exchange) {
  const auto begin = Clock::now();
  const http::Request& http = exchange->request();
  const auto held = context.models->get(http.part("model"), version_of(http));
  InferRequest request = parse_infer(http);
  check_ports(request, held->info());
  const auto deadline = deadline_of(request.parameters, context.patience);
  if (held->text() != nullptr) return infer_text(exchange, held, std::move(request), deadline);
  const auto parsed = Clock::now();
  held.stats->begin();
  try {
    InferAnswer made{held->info().name, "1", request.id, {}};
    made.outputs =
        held->pictures() != nullptr ? draw(exchange, held, request) : compute(held, request);
    const auto computed = Clock::now();
    if (computed > deadline) throw DeadlineExceeded("the time for the request is over");
    exchange->respond(encode_infer(std::move(made), request));
    const auto end = Clock::now();
    held.stats->end(Outcome::success, {end - begin, Nanoseconds(0), parsed - begin,
                                       computed - parsed, end - computed});
  } catch (const std::exception& error) {
    held.stats->end(exchange->gone() ? Outcome::cancelled : status_of(error).outcome,
                    {Clock::now() - begin, {}, {}, {}, {}});
    throw;
  }
}

}  // namespace

void add_infer_routes(http::Router& router, const Context& context) {
  for (const std::string base : {"/v2/models/{model}", "/v2/models/{model}/versions/{version}"}) {
    router.add({"POST", base + "/infer",
                guarded([context](const Exchange& exchange) { infer(context, exchange); })});
  }
}

}  // namespace tenon::serving::kserve
