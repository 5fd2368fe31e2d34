// Noise schedulers: how a picture is freed of noise step by step. Each is diffusers' class of the
// same name (version 0.39) on plain arrays; one file each, one row each in scheduler.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "pipelines/text_to_image/schedulers/scheduler_config.h"
#include "pipelines/text_to_image/torch_random.h"

namespace tenon::pipelines {

struct ScheduleRequest {
  std::int64_t steps = 50;  ///< 1 to num_train_timesteps
  double strength = 1;      ///< in (0, 1]; less than 1 starts later: image to image, inpainting
  std::int64_t images = 1;  ///< the first axis of every sample; thresholds are taken per image
  double eta = 0;           ///< noise of DDIM in [0, 1]; no other scheduler has it
};

/// One run over the noise levels. The loop of a pipeline:
///
///   scheduler.set_timesteps({.steps = 30});
///   sample = noise * init_noise_sigma()            // or add_noise(picture, noise, 0)
///   for index in 0 .. timesteps().size() - 1:
///     input = sample; scale_model_input(input, index)
///     step(model(input, timesteps()[index]), index, sample, noise)
///
/// Samples are float32 of any shape [images, ...], equal in size in every call of a run. Indices
/// must come in order from 0; solvers keep their history inside, and set_timesteps begins anew.
/// One thread at a time.
class Scheduler {
 public:
  virtual ~Scheduler() = default;

  /// Error(usage) names the field and its range.
  void set_timesteps(const ScheduleRequest& request);

  /// The model's input of every step of this run, less those that `strength` leaves out. Solvers of
  /// second order call the model twice a step: there are up to 2 * steps - 1.
  std::span<const double> timesteps() const;
  /// Whether diffusers gives them to the model as int64 (they are integral then) or as float32.
  virtual bool integer_timesteps() const = 0;

  /// Factor of the first sample, drawn from the standard normal distribution.
  virtual float init_noise_sigma() const { return 1; }
  /// The model's input from the sample, in place.
  virtual void scale_model_input(std::span<float> sample, std::size_t index) const;
  /// The sample of the next level in place of this one's. `noise` is drawn from by those that add
  /// noise. Error(usage) when the indices do not come in order.
  void step(std::span<const float> model_output, std::size_t index, std::span<float> sample,
            NoiseSource& noise);
  /// out = original with as much noise as a sample has before step `index`. out may be original.
  virtual void add_noise(std::span<const float> original, std::span<const float> noise,
                         std::size_t index, std::span<float> out) const = 0;

 protected:
  explicit Scheduler(SchedulerConfig config) : config_(std::move(config)) {}

  /// Fills timesteps_ and what goes with them, and forgets the history.
  virtual void plan(std::int64_t steps) = 0;
  /// `at` counts in timesteps_, from begin_.
  virtual void advance(std::span<const float> model_output, std::size_t at, std::span<float> sample,
                       NoiseSource& noise) = 0;
  /// Model calls of one step, as far as `strength` counts.
  virtual std::size_t calls_per_step() const { return 1; }

  const SchedulerConfig& config() const { return config_; }
  const ScheduleRequest& request() const { return request_; }
  std::size_t begin() const { return begin_; }

  std::vector<double> timesteps_;

 private:
  SchedulerConfig config_;
  ScheduleRequest request_;
  std::size_t begin_ = 0;
  std::size_t next_ = 0;
};

/// `json`: scheduler_config.json (parse_python_json). `name` picks the scheduler: empty for the
/// class that the config names, else one of scheduler_names(), with ":karras" for Karras sigmas;
/// the options of the config stay. "dpmpp_2m" and "dpmpp_2m_sde" fix algorithm_type too. Unknown
/// fields are named in `notes`. Error(bad_input) for what the config holds, Error(usage) for
/// `name`; both say what there is.
std::unique_ptr<Scheduler> make_scheduler(const Json& json, std::string_view name,
                                          std::vector<std::string>& notes);

/// The names in the order of the table.
std::vector<std::string_view> scheduler_names();

}  // namespace tenon::pipelines
