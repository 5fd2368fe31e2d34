#include "serving/picture_fields.h"

#include <charconv>
#include <random>

#include "base/error.h"

namespace tenon::serving {
namespace {

constexpr std::int64_t kMaxSide = 2048;
constexpr std::int64_t kMaxSteps = 200;

void read_size(pipelines::ImageRequest& request, const std::string& size) {
  if (size == "auto") return;
  const char* const end = size.data() + size.size();
  const auto width = std::from_chars(size.data(), end, request.width);
  const bool cross = width.ec == std::errc() && width.ptr != end && *width.ptr == 'x';
  const auto height = cross ? std::from_chars(width.ptr + 1, end, request.height) : width;
  const auto fits = [](std::int64_t side) { return side >= 1 && side <= kMaxSide; };
  if (!cross || height.ec != std::errc() || height.ptr != end || !fits(request.width) ||
      !fits(request.height)) {
    bad_input("field \"size\" is \"{}\", expected like \"512x512\", at most {} a side",
              size.substr(0, 40), kMaxSide);
  }
}

double number_in(const Json& fields, const char* key, double low, double high, double fallback) {
  const double value = get_number(fields, key, fallback);
  if (!(value >= low && value <= high))
    bad_input("field \"{}\" is {}, expected {} to {}", key, value, low, high);
  return value;
}

}  // namespace

void apply_picture_fields(pipelines::ImageRequest& request, const Json& fields) {
  request.negative_prompt = get_string(fields, "negative_prompt", request.negative_prompt);
  request.images = get_int(fields, "n", 1, kMaxPictures, 1);
  read_size(request, get_string(fields, "size", "auto"));
  request.width = get_int(fields, "width", 1, kMaxSide, request.width);
  request.height = get_int(fields, "height", 1, kMaxSide, request.height);
  request.steps = get_int(fields, "steps", 1, kMaxSteps, request.steps);
  request.guidance = number_in(fields, "guidance", 0, 100, request.guidance);
  request.scheduler = get_string(fields, "scheduler", "");
  if (find_field(fields, "seed") != nullptr) {
    request.seeds = {static_cast<std::uint64_t>(
        get_int(fields, "seed", 0, std::numeric_limits<std::int64_t>::max()))};
  } else {
    request.seeds = {std::random_device{}()};
  }
}

}  // namespace tenon::serving
