// POST /v1/embeddings: texts or ids in, the direction of each one's pooled states out.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "serving/openai/base64.h"
#include "serving/openai/embedding_fields.h"
#include "serving/status.h"
#include "serving/trace_request.h"

namespace tenon::serving::openai {
namespace {

using Exchange = std::shared_ptr<http::Exchange>;

// Texts are padded to a multiple of this, so that those of about one length share a run, also when
// they come from different clients.
constexpr std::int64_t kPadding = 16;

/// Of length 1; zeros stay as they are.
std::vector<float> direction(std::span<const float> values) {
  double square = 0;
  for (const float value : values) square += static_cast<double>(value) * value;
  const double scale = square > 0 ? 1 / std::sqrt(square) : 0;
  std::vector<float> made;
  made.reserve(values.size());
  for (const float value : values) made.push_back(static_cast<float>(value * scale));
  return made;
}

// One request on its way: its texts go to the model a few at a time, so that a long list neither
// fills the queue nor holds up others.
class Embedding final : public TensorSink, public std::enable_shared_from_this<Embedding> {
 public:
  Embedding(const Context& context, Exchange exchange, ModelRegistry::Held held,
            EmbeddingRequest request)
      : exchange_(std::move(exchange)),
        held_(std::move(held)),
        request_(std::move(request)),
        deadline_(begin_ + context.patience),
        order_(request_.inputs.size()),
        texts_(request_.inputs.size()) {
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::stable_sort(order_.begin(), order_.end(),
                     [this](std::size_t a, std::size_t b) { return padded(a) < padded(b); });
  }

  void run() {
    held_.stats->begin();
    next();
    exchange_->on_gone([self = weak_from_this()] {
      if (const auto job = self.lock()) job->held_->tensors()->cancel(job->id_);
    });
  }

  void computed(TensorResult result) override {
    if (result.run) held_.stats->ran(*result.run);
    phases_.queue += result.queue;
    phases_.input += result.input;
    phases_.infer += result.infer;
    phases_.output += result.output;
    try {
      const auto begin = Clock::now();
      const auto values = result.outputs.at("sentence_embedding").as<float>();
      const std::size_t width = values.size() / rows_;
      for (std::size_t row = 0; row < rows_; ++row)
        texts_[order_[done_ + row]] = written(values.subspan(row * width, width));
      done_ += rows_;
      phases_.output += Clock::now() - begin;
      if (done_ == order_.size()) return finish();
    } catch (...) {
      return failed(std::current_exception());
    }
    next();
  }

  void failed(std::exception_ptr failure) override {
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      count(exchange_->gone() ? Outcome::cancelled : status_of(error).outcome);
      exchange_->respond(refusal(error));
    }
  }

 private:
  std::int64_t padded(std::size_t input) const {
    const auto tokens = static_cast<std::int64_t>(request_.inputs[input].size());
    return std::min((tokens + kPadding - 1) / kPadding * kPadding,
                    held_->info().limits.context_tokens);
  }

  // The next texts of one padded length, as many as the model takes at once.
  TensorRequest group() {
    const std::int64_t length = padded(order_[done_]);
    const auto most = static_cast<std::size_t>(std::max(1, held_->info().config.max_batch_size()));
    rows_ = 1;
    while (rows_ < most && done_ + rows_ < order_.size() && padded(order_[done_ + rows_]) == length)
      ++rows_;
    const Shape shape{static_cast<std::int64_t>(rows_), length};
    const auto size = static_cast<std::size_t>(element_count(shape));
    std::vector<std::int64_t> ids(size, 0), mask(size, 0);
    for (std::size_t row = 0; row < rows_; ++row) {
      const auto& input = request_.inputs[order_[done_ + row]];
      const auto at = static_cast<std::ptrdiff_t>(row) * static_cast<std::ptrdiff_t>(length);
      std::copy(input.begin(), input.end(), ids.begin() + at);
      std::fill_n(mask.begin() + at, input.size(), 1);
    }
    TensorRequest made;
    made.inputs.emplace("input_ids", Tensor::from_ints(shape, ids));
    made.inputs.emplace("attention_mask", Tensor::from_ints(shape, mask));
    made.deadline = deadline_;
    return made;
  }

  void next() {
    try {
      if (exchange_->gone()) throw Error(ErrorCode::interrupted, "the client has gone");
      const RequestId id = held_->tensors()->submit(group(), shared_from_this());
      // It may have been answered by now, and the one behind it be under way.
      RequestId known = id_;
      while (known < id && !id_.compare_exchange_weak(known, id)) {
      }
    } catch (const std::exception&) {
      failed(std::current_exception());
    }
  }

  std::string written(std::span<const float> values) const {
    const auto made = direction(values.first(static_cast<std::size_t>(request_.dimensions)));
    if (!request_.base64) return json_text(Json(made));
    std::string bytes(made.size() * sizeof(float), '\0');
    std::memcpy(bytes.data(), made.data(), bytes.size());
    return '"' + base64(bytes) + '"';
  }

  void finish() {
    std::string body = R"({"object":"list","data":[)";
    for (std::size_t i = 0; i < texts_.size(); ++i) {
      body += fmt::format(R"({}{{"object":"embedding","index":{},"embedding":{}}})",
                          i == 0 ? "" : ",", i, texts_[i]);
    }
    body += fmt::format(R"(],"model":"{0}","usage":{{"prompt_tokens":{1},"total_tokens":{1}}}}})",
                        held_->info().name, request_.tokens);
    count(Outcome::success);
    exchange_->respond({200, std::move(body), "application/json", {}});
  }

  void count(Outcome outcome) {
    phases_.total = Clock::now() - begin_;
    held_.stats->end(outcome, phases_, order_.size(), 0);
    TextUsage usage;
    usage.prompt_tokens = request_.tokens;
    trace_request(*exchange_, held_->info(), outcome, begin_, phases_, {}, usage);
  }

  Clock::time_point begin_ = Clock::now();
  Exchange exchange_;
  ModelRegistry::Held held_;
  EmbeddingRequest request_;
  Clock::time_point deadline_;
  std::vector<std::size_t> order_;  // of the inputs, by padded length
  std::vector<std::string> texts_;  // embeddings as the answer writes them
  std::size_t done_ = 0;            // of order_
  std::size_t rows_ = 0;            // of the group under way
  std::atomic<RequestId> id_ = 0;   // its last one
  Phases phases_;
};

void embed(const Context& context, const Exchange& exchange) {
  const Json body = request_object(exchange->request());
  auto held = context.models->get(get_string(body, "model", ""));
  if (held->embedding_tokenizer() == nullptr) {
    Error error(ErrorCode::bad_input,
                fmt::format("model '{}' gives no embeddings", held->info().name));
    throw error.hint("serve a bundle that does: tenon build --embeddings mean CHECKPOINT -o FILE");
  }
  EmbeddingRequest request = read_embedding_request(body, *held.model);
  std::make_shared<Embedding>(context, exchange, std::move(held), std::move(request))->run();
}

}  // namespace

void add_embedding_routes(http::Router& router, const Context& context) {
  router.add({"POST", "/v1/embeddings",
              guarded([context](const Exchange& exchange) { embed(context, exchange); })});
}

}  // namespace tenon::serving::openai
