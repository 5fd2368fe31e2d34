// POST .../infer: the question as JSON and bytes, the answer in the same form.
#include "serving/kserve/execute.h"
#include "serving/kserve/infer_json.h"
#include "serving/kserve/kserve.h"
#include "serving/status.h"

namespace tenon::serving::kserve {
namespace {

using Exchange = std::shared_ptr<http::Exchange>;

class HttpReply final : public InferReply {
 public:
  HttpReply(Exchange exchange, ParsedInfer request)
      : exchange_(std::move(exchange)), peer_(exchange_), request_(std::move(request)) {}

  const std::shared_ptr<Peer>& peer() const override { return peer_; }
  void answer(InferAnswer answer) override { exchange_->respond(encode_infer(answer, request_)); }
  void failed(const std::exception& error) override { respond_error(*exchange_, error); }

 private:
  Exchange exchange_;
  std::shared_ptr<Peer> peer_;
  ParsedInfer request_;
};

void infer(const Context& context, const Exchange& exchange) {
  const http::Request& http = exchange->request();
  const auto held = context.models->get(http.part("model"), version_of(http));
  ParsedInfer parsed = parse_infer(http);
  InferRequest request = std::exchange(parsed.request, {});
  execute(context, held, std::move(request),
          std::make_shared<HttpReply>(exchange, std::move(parsed)));
}

}  // namespace

void add_infer_routes(http::Router& router, const Context& context) {
  for (const std::string base : {"/v2/models/{model}", "/v2/models/{model}/versions/{version}"}) {
    router.add({"POST", base + "/infer",
                guarded([context](const Exchange& exchange) { infer(context, exchange); })});
  }
}

}  // namespace tenon::serving::kserve
