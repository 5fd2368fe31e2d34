// Any bytes as scheduler_config.json, under every name: a scheduler that runs, or an Error.
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "pipelines/text_to_image/schedulers/scheduler.h"

using namespace tenon;
using namespace tenon::pipelines;

namespace {

void run(const Json& json, std::string_view name) {
  std::vector<std::string> notes;
  const auto scheduler = make_scheduler(json, name, notes);
  scheduler->set_timesteps({.steps = 4, .strength = 0.8});
  NoiseSource noise({1});
  std::vector<float> sample(8, 0.5F);
  for (std::size_t i = 0; i < scheduler->timesteps().size(); ++i) {
    const std::vector<float> output = sample;
    scheduler->scale_model_input(sample, i);
    scheduler->step(output, i, sample, noise);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const Json json = parse_python_json(text, "fuzz");
    for (const std::string_view name : scheduler_names()) {
      try {
        run(json, name);
      } catch (const Error&) {  // refused, as it should be
      }
    }
  } catch (const Error&) {
  }
  return 0;
}
