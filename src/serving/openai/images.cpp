// POST /v1/images/generations: pictures as base64 of PNG.
#include <openssl/evp.h>

#include "image/png.h"
#include "pipelines/text_to_image/parameters.h"
#include "serving/openai/openai.h"
#include "serving/picture_fields.h"
#include "serving/status.h"

namespace tenon::serving::openai {
namespace {

using Exchange = std::shared_ptr<http::Exchange>;
constexpr std::int64_t kSteps = 20;

std::string base64(const std::string& bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                     reinterpret_cast<const unsigned char*>(bytes.data()),
                                     static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(length));
  return text;
}

pipelines::ImageRequest picture_of(const Json& body) {
  pipelines::ImageRequest request;
  request.steps = kSteps;
  request.prompt = get_string(body, "prompt", "");
  if (request.prompt.empty()) bad_input("field \"prompt\" is missing");
  const std::string format = get_string(body, "response_format", "b64_json");
  if (format != "b64_json")
    bad_input("field \"response_format\" is \"{}\", only b64_json is offered",
              format.substr(0, 40));
  if (get_string(body, "output_format", "png") != "png")
    bad_input("field \"output_format\": only png is offered");
  apply_picture_fields(request, body);
  return request;
}

void generate(const Context& context, const Exchange& exchange) {
  const Json body = request_object(exchange->request());
  const auto held = context.models->get(get_string(body, "model", ""));
  PictureService* service = held->pictures();
  if (service == nullptr) bad_input("model '{}' draws no pictures", held->info().name);
  const pipelines::ImageRequest request = picture_of(body);
  const auto begin = Clock::now();
  const auto end = begin + context.patience;
  held.stats->begin();
  const auto count = [&](Outcome outcome) {
    const Nanoseconds total = Clock::now() - begin;
    held.stats->end(outcome, {total, Nanoseconds(0), Nanoseconds(0), total, Nanoseconds(0)});
  };
  try {
    const auto result = service->draw(request, [&](const pipelines::StepEvent&) {
      return !exchange->gone() && Clock::now() < end;
    });
    if (result.cancelled && exchange->gone()) return count(Outcome::cancelled);
    if (result.cancelled) throw DeadlineExceeded("the time for the request is over");
    Json data = Json::array();
    const std::string scheduler =
        request.scheduler.empty() ? service->default_scheduler() : request.scheduler;
    for (std::size_t i = 0; i < result.images.size(); ++i) {
      const std::string text = pipelines::to_text(pipelines::image_parameters(
          request, result, static_cast<std::int64_t>(i), scheduler, held->info().name));
      data.push_back(
          {{"b64_json", base64(image::encode_png(result.images[i], {{"parameters", text}}))}});
    }
    exchange->respond({200,
                       dump({{"created", unix_now()},
                             {"data", data},
                             {"output_format", "png"},
                             {"size", fmt::format("{}x{}", result.width, result.height)},
                             {"seed", request.seeds.front()}}),
                       "application/json",
                       {}});
    count(Outcome::success);
  } catch (const std::exception& error) {
    count(status_of(error).outcome);
    throw;
  }
}

}  // namespace

void add_image_routes(http::Router& router, const Context& context) {
  router.add({"POST", "/v1/images/generations",
              guarded([context](const Exchange& exchange) { generate(context, exchange); })});
}

}  // namespace tenon::serving::openai
