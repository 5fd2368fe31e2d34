// POST /v1/images/generations: pictures in base64, at once or with a stream of what comes to be.
#include <algorithm>
#include <array>

#include "image/file.h"
#include "image/png.h"
#include "pipelines/text_to_image/parameters.h"
#include "serving/openai/base64.h"
#include "serving/openai/openai.h"
#include "serving/picture_fields.h"
#include "serving/status.h"
#include "serving/trace_request.h"

namespace tenon::serving::openai {
namespace {

using Exchange = std::shared_ptr<http::Exchange>;
constexpr std::int64_t kSteps = 20;
constexpr std::int64_t kMaxPreviews = 3;  // as OpenAI's

// How the pictures are to be written.
struct PictureShape {
  image::Format format = image::Format::png;
  std::string name = "png";
  image::WriteOptions options;
  bool stream = false;
  std::int64_t previews = 0;
};

PictureShape shape_of(const Json& body) {
  PictureShape shape;
  const std::string given = get_string(body, "response_format", "b64_json");
  if (given != "b64_json")
    bad_input("field \"response_format\" is \"{}\", only b64_json is offered", given.substr(0, 40));
  shape.name = get_string(body, "output_format", "png");
  if (shape.name != "png" && shape.name != "jpeg" && shape.name != "webp")
    bad_input("field \"output_format\" is \"{}\", expected png, jpeg or webp",
              shape.name.substr(0, 40));
  shape.format = image::format_of("picture." + shape.name);
  if (find_field(body, "output_compression") != nullptr) {
    if (shape.name == "png") bad_input("field \"output_compression\" is for jpeg and webp");
    shape.options.quality = static_cast<int>(get_int(body, "output_compression", 1, 100));
  }
  shape.stream = get_bool(body, "stream", false);
  shape.previews = get_int(body, "partial_images", 0, kMaxPreviews, 0);
  if (shape.previews > 0 && !shape.stream)
    bad_input("field \"partial_images\" needs \"stream\": true");
  return shape;
}

void check_fields(const Json& body) {
  constexpr std::array<std::string_view, 21> kKnown = {"model",
                                                       "prompt",
                                                       "negative_prompt",
                                                       "n",
                                                       "size",
                                                       "width",
                                                       "height",
                                                       "steps",
                                                       "guidance",
                                                       "scheduler",
                                                       "seed",
                                                       "response_format",
                                                       "output_format",
                                                       "output_compression",
                                                       "stream",
                                                       "partial_images",
                                                       "user",
                                                       "quality",
                                                       "background",
                                                       "moderation",
                                                       "style"};
  for (const auto& [key, value] : body.items()) {
    if (std::find(kKnown.begin(), kKnown.end(), key) == kKnown.end() && !value.is_null())
      bad_input("field \"{}\" is not known here", key.substr(0, 60));
  }
  // What there is no choice of: the value that says so is taken.
  const auto only = [&](const char* key, std::initializer_list<std::string_view> values) {
    const std::string given = get_string(body, key, *values.begin());
    if (std::find(values.begin(), values.end(), given) == values.end())
      bad_input("field \"{}\" is \"{}\", only {} is offered", key, given.substr(0, 40),
                *values.begin());
  };
  only("quality", {"auto", "standard"});
  only("background", {"auto", "opaque"});
  only("moderation", {"auto", "low"});
  if (find_field(body, "style") != nullptr) bad_input("field \"style\" is not offered");
  get_string(body, "user", "");
}

pipelines::ImageRequest picture_of(const Json& body, const PictureShape& shape) {
  pipelines::ImageRequest request;
  request.steps = kSteps;
  request.prompt = get_string(body, "prompt", "");
  if (request.prompt.empty()) bad_input("field \"prompt\" is missing");
  apply_picture_fields(request, body);
  if (shape.stream && request.images != 1)
    bad_input("field \"n\" is {}: a stream gives one picture", request.images);
  if (shape.previews > 0)
    request.preview_every = std::max<std::int64_t>(1, request.steps / (shape.previews + 1));
  return request;
}

// One request on its way: what is told while it is drawn, and in the end.
class Drawing {
 public:
  Drawing(const Exchange& exchange, const ModelRegistry::Held& held, PictureShape shape,
          pipelines::ImageRequest request)
      : exchange_(exchange), held_(held), shape_(std::move(shape)), request_(std::move(request)) {}

  const pipelines::ImageRequest& request() const { return request_; }

  void step(const pipelines::StepEvent& event) {
    if (!shape_.stream) return;
    send(
        {{"type", "image_generation.progress"}, {"step", event.index + 1}, {"steps", event.steps}});
    const bool due = event.previews != nullptr && !event.previews->empty();
    if (!due || sent_ >= shape_.previews || event.index + 1 == event.steps) return;
    const image::Image& preview = event.previews->front();
    Json partial = described("image_generation.partial_image", preview);
    partial["b64_json"] = base64(image::encode_image(preview, shape_.format, shape_.options));
    partial["partial_image_index"] = sent_++;
    send(partial);
  }

  void finish(const PictureResult& result) {
    Json data = Json::array();
    for (std::size_t i = 0; i < result.images.size(); ++i)
      data.push_back({{"b64_json", encoded(result, i)}});
    if (shape_.stream) {
      Json done = described("image_generation.completed", result.images.front());
      done["b64_json"] = data[0]["b64_json"];
      done["seed"] = request_.seeds.front();
      done["usage"] = usage_of(result);
      send(done);
      return exchange_->finish();
    }
    exchange_->respond({200,
                        json_text({{"created", unix_now()},
                                   {"data", data},
                                   {"output_format", shape_.name},
                                   {"size", fmt::format("{}x{}", result.width, result.height)},
                                   {"seed", request_.seeds.front()},
                                   {"usage", usage_of(result)}}),
                        "application/json",
                        {}});
  }

  /// False when nothing was sent yet: then the error is a plain answer.
  bool fail(const std::exception& error) {
    if (!exchange_->begun()) return false;
    Json event = Json::parse(error_body(status_of(error).code, message_of(error)));
    event["type"] = "error";
    send(event);
    exchange_->finish();
    return true;
  }

 private:
  // A picture's tokens are the places of its latents: what grows with its size and with `n`.
  static Json usage_of(const PictureResult& result) {
    return {{"input_tokens", result.prompt_tokens},
            {"output_tokens", result.latents},
            {"total_tokens", result.prompt_tokens + result.latents},
            {"input_tokens_details", {{"image_tokens", 0}, {"text_tokens", result.prompt_tokens}}}};
  }
  Json described(const char* type, const image::Image& image) const {
    return {{"type", type},
            {"created_at", unix_now()},
            {"size", fmt::format("{}x{}", image.width(), image.height())},
            {"quality", "auto"},
            {"background", "opaque"},
            {"output_format", shape_.name}};
  }
  std::string encoded(const pipelines::ImageResult& result, std::size_t i) const {
    if (shape_.format != image::Format::png)
      return base64(image::encode_image(result.images[i], shape_.format, shape_.options));
    const std::string scheduler =
        request_.scheduler.empty() ? held_->pictures()->default_scheduler() : request_.scheduler;
    const std::string text = pipelines::to_text(pipelines::image_parameters(
        request_, result, static_cast<std::int64_t>(i), scheduler, held_->info().name));
    return base64(image::encode_png(result.images[i], {{"parameters", text}}));
  }
  void send(const Json& event) {
    if (!exchange_->begun())
      exchange_->start(200, "text/event-stream; charset=utf-8", {{"Cache-Control", "no-cache"}});
    exchange_->write("event: " + event["type"].get<std::string>() + "\ndata: " + json_text(event) +
                     "\n\n");
  }

  Exchange exchange_;
  ModelRegistry::Held held_;
  PictureShape shape_;
  pipelines::ImageRequest request_;
  std::int64_t sent_ = 0;
};

void generate(const Context& context, const Exchange& exchange) {
  const Json body = request_object(exchange->request());
  const auto held = context.models->get(get_string(body, "model", ""));
  PictureService* service = held->pictures();
  if (service == nullptr) bad_input("model '{}' draws no pictures", held->info().name);
  check_fields(body);
  const PictureShape shape = shape_of(body);
  Drawing drawing(exchange, held, shape, picture_of(body, shape));
  const auto begin = Clock::now();
  const auto end = begin + context.patience;
  held.stats->begin();
  const auto count = [&](Outcome outcome, const PictureResult& result = {},
                         std::optional<Clock::time_point> computed = {}) {
    const auto now = Clock::now();
    Phases phases{now - begin, result.queue, {}, result.infer, {}};
    if (computed) phases.output = now - *computed;
    for (const BatchRun& call : result.calls) held.stats->ran(call);
    held.stats->end(outcome, phases, static_cast<std::uint64_t>(drawing.request().images), 0);
    trace_request(*exchange, held->info(), outcome, begin, phases);
  };
  try {
    const auto result = service->draw(drawing.request(), [&](const pipelines::StepEvent& event) {
      drawing.step(event);
      return !exchange->gone() && Clock::now() < end;
    });
    if (result.cancelled && exchange->gone()) return count(Outcome::cancelled, result);
    if (result.cancelled) throw DeadlineExceeded("the time for the request is over");
    const auto computed = Clock::now();
    drawing.finish(result);
    count(Outcome::success, result, computed);
  } catch (const std::exception& error) {
    count(status_of(error).outcome);
    if (!drawing.fail(error)) throw;
  }
}

}  // namespace

void add_image_routes(http::Router& router, const Context& context) {
  router.add({"POST", "/v1/images/generations",
              guarded([context](const Exchange& exchange) { generate(context, exchange); })});
}

}  // namespace tenon::serving::openai
