#include "pipelines/text_to_image/text_to_image.h"

#include <algorithm>

#include "base/error.h"
#include "pipelines/text_to_image/picture_run.h"

namespace tenon::pipelines {
namespace {

bool equal_rows(const Shape& a, const Shape& b) {
  return std::equal(a.begin() + 1, a.end(), b.begin() + 1, b.end());
}

bool share_a_call(const PictureRun::Question& a, const PictureRun::Question& b) {
  return a.timestep == b.timestep && equal_rows(a.sample.shape(), b.sample.shape()) &&
         equal_rows(a.states->shape(), b.states->shape()) &&
         (a.time_cond != nullptr) == (b.time_cond != nullptr);
}

// The answers of a group one after the other; nothing when that fails, whose fault it may be.
std::optional<Tensor> joined_call(DiffusionModels& models,
                                  const std::vector<PictureRun::Question>& questions,
                                  const std::vector<std::size_t>& group) {
  try {
    const PictureRun::Question& first = questions[group.front()];
    Tensor sample = first.sample;
    Tensor states = *first.states;
    std::optional<Tensor> time_cond;
    if (first.time_cond != nullptr) time_cond = *first.time_cond;
    for (std::size_t k = 1; k < group.size(); ++k) {
      const PictureRun::Question& one = questions[group[k]];
      sample = join_batches(sample, one.sample);
      states = join_batches(states, *one.states);
      if (time_cond) time_cond = join_batches(*time_cond, *one.time_cond);
    }
    Tensor output =
        models.predict_noise(sample, first.timestep, states, time_cond ? &*time_cond : nullptr);
    if (output.shape().empty() || output.shape().front() != sample.shape().front()) return {};
    return output;
  } catch (const std::exception&) {
    return {};
  }
}

// Calls the unet for the questions of a group; `give(k, output)` gets what question k is answered
// with, or what throws. What fails for all is asked again one by one. `called(asked, time)`
// hears of calls that were answered.
template <typename Give, typename Called>
void predict(DiffusionModels& models, const std::vector<PictureRun::Question>& questions,
             const std::vector<std::size_t>& group, const Give& give, const Called& called) {
  const auto call = [&](const PictureRun::Question& one) {
    return models.predict_noise(one.sample, one.timestep, *one.states, one.time_cond);
  };
  auto begin = std::chrono::steady_clock::now();
  if (group.size() > 1) {
    const auto output = joined_call(models, questions, group);
    if (output) called(group, std::chrono::steady_clock::now() - begin);
    std::int64_t from = 0;
    for (const std::size_t k : group) {
      if (!output) break;
      const std::int64_t rows = questions[k].sample.shape().front();
      give(k, [&] { return batch_slice(*output, from, rows); });
      from += rows;
    }
    if (output) return;
  }
  for (const std::size_t k : group) {
    give(k, [&] {
      begin = std::chrono::steady_clock::now();
      Tensor output = call(questions[k]);
      called({k}, std::chrono::steady_clock::now() - begin);
      return output;
    });
  }
}

}  // namespace

ImageSize resolve_size(const ImageRequest& request, const DiffusionFacts& facts) {
  const std::int64_t step = facts.required_multiple;
  if (request.images < 1) fail(ErrorCode::usage, "the number of images is {}", request.images);
  const auto side = [&](std::int64_t asked, std::int64_t initial) {
    if (asked != 0) return asked;
    if (initial != 0) return std::max(initial / step * step, step);
    const std::int64_t native = facts.native_size != 0 ? facts.native_size : 512;
    return std::max(native / step * step, step);
  };
  const auto& init = request.init_image;
  ImageSize size{side(request.width, init ? init->width() : 0),
                 side(request.height, init ? init->height() : 0)};
  if (facts.fixed_width != 0 && request.width == 0) {
    size.width = facts.fixed_width * facts.spatial_factor;
  }
  if (facts.fixed_height != 0 && request.height == 0) {
    size.height = facts.fixed_height * facts.spatial_factor;
  }
  const auto possible = [&](std::int64_t value) {
    const std::int64_t near = std::clamp<std::int64_t>(value, 0, image::kMaxSide) + step / 2;
    return std::clamp(near / step * step, step, image::kMaxSide / step * step);
  };
  if (size.width != possible(size.width) || size.height != possible(size.height)) {
    throw Error(ErrorCode::usage,
                fmt::format("a picture of {} x {} pixels; this model makes multiples of {} from {} "
                            "to {}",
                            size.width, size.height, step, step, image::kMaxSide / step * step))
        .hint(fmt::format("ask for {} x {}", possible(size.width), possible(size.height)));
  }
  if (size.width * size.height > image::kMaxPixels / request.images) {
    throw Error(ErrorCode::usage, fmt::format("{} pictures of {} x {} pixels at once",
                                              request.images, size.width, size.height))
        .hint(fmt::format("ask for {} pixels in all at most, and make several runs",
                          image::kMaxPixels));
  }
  return size;
}

ImageResult TextToImage::run(const ImageRequest& request, const OnStep& on_step) {
  SharedRun one{&request, on_step, {}, nullptr};
  run_together(std::span(&one, 1));
  if (one.error) std::rethrow_exception(one.error);
  return std::move(one.result);
}

void TextToImage::run_together(std::span<SharedRun> runs, const OnCall& on_call) {
  std::vector<std::unique_ptr<PictureRun>> parts(runs.size());
  const auto attempt = [&](std::size_t i, const auto& body) {
    if (runs[i].error) return;
    try {
      body();
    } catch (...) {
      runs[i].error = std::current_exception();
    }
  };
  for (std::size_t i = 0; i < runs.size(); ++i) {
    attempt(i, [&] {
      const auto findings = preflight(models_.facts(), tokenizer_, scheduler_, *runs[i].request);
      parts[i] = std::make_unique<PictureRun>(models_, tokenizer_, scheduler_, *runs[i].request,
                                              runs[i].on_step);
      parts[i]->check(findings);
      parts[i]->prepare();
      parts[i]->check_memory();
    });
  }
  for (;;) {
    std::vector<std::size_t> at;  // who asks
    std::vector<PictureRun::Question> questions;
    for (std::size_t i = 0; i < runs.size(); ++i) {
      attempt(i, [&] {
        if (!parts[i]->wants_step()) return;
        questions.push_back(parts[i]->ask());
        at.push_back(i);
      });
    }
    if (at.empty()) break;
    std::vector<bool> done(at.size());
    for (std::size_t first = 0; first < at.size(); ++first) {
      if (done[first]) continue;
      std::vector<std::size_t> group;
      for (std::size_t k = first; k < at.size(); ++k) {
        if (done[k] || !share_a_call(questions[first], questions[k])) continue;
        done[k] = true;
        group.push_back(k);
      }
      predict(
          models_, questions, group,
          [&](std::size_t k, const auto& body) {
            attempt(at[k], [&] { parts[at[k]]->answer(body()); });
          },
          [&](const std::vector<std::size_t>& asked, std::chrono::nanoseconds time) {
            if (!on_call) return;
            UnetCall call{0, asked.size(), time};
            for (const std::size_t k : asked) call.pictures += runs[at[k]].request->images;
            on_call(call);
          });
    }
  }
  for (std::size_t i = 0; i < runs.size(); ++i)
    attempt(i, [&] { runs[i].result = parts[i]->finish(); });
}

}  // namespace tenon::pipelines
