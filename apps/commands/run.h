// The three things that `tenon run` does: write text, draw pictures, compute tensors.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "command.h"
#include "model.h"
#include "pipelines/text_to_image/text_to_image.h"

namespace tenon::apps {

/// Flags that more than one of them takes.
struct RunOptions {
  std::string source;
  std::string prompt;
  std::string precision = "bf16";
  std::optional<std::uint64_t> seed;
};

struct TextOptions {
  std::string system;
  std::vector<std::int32_t> ids;
  bool chat = false;
  std::optional<std::int64_t> max_new_tokens, min_new_tokens, top_k, num_beams, sequences,
      no_repeat_ngram, logprobs;
  std::optional<double> temperature, top_p, min_p, typical_p, repetition, presence, frequency,
      length_penalty;
  std::vector<std::string> stop;
  std::vector<std::string> logit_bias;
  std::string json_schema, regex, grammar;  ///< files, but for the regular expression
  std::vector<std::string> choices;
  bool json_object = false;
  bool ignore_eos = false;
  std::int64_t cache_tokens = 0;
};
void add_text_flags(CLI::App& command, TextOptions& options);
void run_text(const RunOptions& options, const TextOptions& text, Model model, double load_s,
              const Common& common);

struct PictureOptions {
  std::string output;  ///< out.png; several images are out-1.png, out-2.png, ...
  std::string init_image, mask;
  std::string preview;  ///< file that shows the picture as it comes
  std::string tiles = "auto";
  pipelines::ImageRequest request;
};
void add_picture_flags(CLI::App& command, PictureOptions& options);
void run_pictures(const RunOptions& options, PictureOptions pictures, Model model, double load_s,
                  const Common& common);

struct TensorOptions {
  std::vector<std::string> inputs;  ///< NAME=FILE.npy
  std::string part;                 ///< of a picture model
  std::string output_dir;
};
void add_tensor_flags(CLI::App& command, TensorOptions& options);
void run_tensors(const RunOptions& options, const TensorOptions& tensors, const Common& common);

}  // namespace tenon::apps
