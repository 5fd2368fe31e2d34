// tenon run for picture models: from a prompt to image files.
#include <algorithm>

#include <fmt/ranges.h>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "base/progress.h"
#include "commands/run.h"
#include "image/file.h"
#include "picture_model.h"
#include "pipelines/text_to_image/parameters.h"
#include "pipelines/text_to_image/schedulers/scheduler.h"

namespace tenon::apps {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kSteps = 20;
constexpr std::int64_t kMaxSteps = 1000;

// out.png, or out-1.png, out-2.png, ... for several.
std::vector<fs::path> names_of(const fs::path& output, std::size_t count) {
  if (count == 1) return {output};
  std::vector<fs::path> names;
  for (std::size_t i = 1; i <= count; ++i) {
    fs::path name = output;
    name.replace_filename(
        fmt::format("{}-{}{}", output.stem().string(), i, output.extension().string()));
    names.push_back(std::move(name));
  }
  return names;
}

pipelines::VaeTiles tiles_of(const std::string& name) {
  if (name == "always") return pipelines::VaeTiles::always;
  return name == "never" ? pipelines::VaeTiles::never : pipelines::VaeTiles::automatic;
}

void complete(const RunOptions& options, PictureOptions& pictures) {
  pipelines::ImageRequest& request = pictures.request;
  request.prompt = options.prompt;
  if (options.seed) request.seeds = {*options.seed};
  request.tiles = tiles_of(pictures.tiles);
  if (!pictures.init_image.empty()) request.init_image = image::read_image(pictures.init_image);
  if (!pictures.mask.empty()) {
    if (pictures.init_image.empty())
      fail(ErrorCode::usage, "--mask says what is made new: give the picture with --init-image");
    request.mask = image::read_image(pictures.mask);
  }
  if (!pictures.preview.empty() && request.preview_every == 0) request.preview_every = 1;
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

// Draws with a line of progress; a preview file shows the first image as it comes.
pipelines::ImageResult draw(PictureModel& model, const PictureOptions& pictures) {
  std::optional<Progress> progress;
  return model.pipeline().run(pictures.request, [&](const pipelines::StepEvent& event) {
    if (!progress) progress.emplace("drawing", static_cast<std::uint64_t>(event.steps));
    progress->advance(1);
    if (!pictures.preview.empty() && event.previews != nullptr && !event.previews->empty())
      image::write_image(pictures.preview, event.previews->front());
    return true;
  });
}

Json timings_of(const pipelines::ImageResult& result, double load_s) {
  return {{"load_s", load_s},
          {"text_encoder_s", result.text_encoder_s},
          {"encode_s", result.encode_s},
          {"step_s", median(result.step_s)},
          {"steps", result.step_s.size()},
          {"vae_s", result.vae_s}};
}

}  // namespace

void add_picture_flags(CLI::App& command, PictureOptions& options) {
  pipelines::ImageRequest& request = options.request;
  request.steps = kSteps;
  command.add_option("-o,--output", options.output,
                     "draw: image file to write (.png, .jpg or .webp)");
  command.add_option("--negative", request.negative_prompt, "what the picture should not show");
  command.add_option("--steps", request.steps, "of noise removal")
      ->check(CLI::Range(1L, kMaxSteps));
  command.add_option("--guidance", request.guidance, "how closely to follow the prompt; 1: freely");
  command.add_option("--guidance-rescale", request.guidance_rescale,
                     "0 to 1, against overexposure by guidance");
  command.add_option("--scheduler", request.scheduler,
                     fmt::format("one of {}, with :karras for Karras sigmas (default: the "
                                 "checkpoint's)",
                                 fmt::join(pipelines::scheduler_names(), ", ")));
  command.add_option("--eta", request.eta, "noise of ddim, 0 to 1");
  command.add_option("--width", request.width, "pixels (default: what the model was trained at)");
  command.add_option("--height", request.height, "likewise");
  command.add_option("--images", request.images, "how many")->check(CLI::Range(1, 64));
  command.add_option("--init-image", options.init_image, "picture to start from");
  command.add_option("--strength", request.strength, "0 to 1: how much of it is made new");
  command.add_option("--mask", options.mask, "of the picture to start from: white is made new");
  command.add_option("--clip-skip", request.prompt_options.clip_skip,
                     "layers of the text encoder left out at the end");
  command.add_flag("!--no-weights", request.prompt_options.weights,
                   "brackets as in (word:1.3) are plain characters");
  command.add_flag("!--no-chunks", request.prompt_options.chunks, "cut a long prompt");
  command.add_option("--vae-tiles", options.tiles, "decode in tiles: auto, always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  command.add_flag("--vae-slicing", request.vae_slicing, "decode one image at a time");
  command.add_option("--preview", options.preview, "image file that shows the picture as it comes");
  command.add_option("--preview-every", request.preview_every, "steps between previews");
}

void run_pictures(const RunOptions& options, PictureOptions pictures, Model source, double load_s,
                  const Common& common) {
  if (pictures.output.empty()) {
    fail(ErrorCode::usage, "{}: is a model of pictures: name the file to draw with -o FILE.png",
         options.source);
  }
  image::format_of(pictures.output);  // before the work, not after
  complete(options, pictures);
  backend::CpuBackend backend(common.threads);
  PictureModel model(std::move(source), backend);
  const pipelines::ImageResult result = draw(model, pictures);
  const std::string scheduler =
      pictures.request.scheduler.empty() ? model.default_scheduler() : pictures.request.scheduler;
  Json written = Json::array();
  const auto names = names_of(pictures.output, result.images.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    pipelines::write_generated(
        names[i], result.images[i],
        pipelines::image_parameters(pictures.request, result, static_cast<std::int64_t>(i),
                                    scheduler, model.model().name));
    written.push_back(names[i].string());
  }
  std::vector<std::string> notes = result.notes;
  for (auto& note : model.untuned()) notes.push_back(std::move(note));
  if (common.json) {
    return print_json({{"images", written},
                       {"seed", pictures.request.seeds.front()},
                       {"width", result.width},
                       {"height", result.height},
                       {"notes", notes},
                       {"timings", timings_of(result, load_s)}});
  }
  for (const auto& note : notes) fmt::print(stderr, "note: {}\n", note);
  fmt::print(stderr,
             "{}: {} x {} pixels, {} steps of {:.3g} s, text {:.3g} s, decoder {:.3g} s, seed {}\n",
             written.size() == 1 ? names[0].string() : fmt::format("{} images", written.size()),
             result.width, result.height, result.step_s.size(), median(result.step_s),
             result.text_encoder_s, result.vae_s, pictures.request.seeds.front());
}

}  // namespace tenon::apps
