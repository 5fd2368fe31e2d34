// From a checkpoint to its graph. One file per architecture; nothing is traced, the graph follows
// the config.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "checkpoint/checkpoint.h"
#include "graph/graph.h"

namespace tenon::models {

/// How a network over noisy pictures is told the time.
enum class TimestepForm : unsigned char {
  scalar_int64,     ///< one for all pictures, as optimum exports
  per_batch_float,  ///< [batch_size] in the model's dtype, as diffusers' script exports
};

/// What a decoder gives in place of logits: one state for a text, behind the final norm.
enum class Pooling : unsigned char {
  none,  ///< logits
  mean,  ///< the average of its tokens
  last,  ///< that of its last token
};
/// "mean", "last", or the empty text for none; Error(usage) for anything else.
Pooling parse_pooling(std::string_view name);

/// The output of a pooled decoder, as exports of sentence-transformers name it.
inline constexpr std::string_view kPooledOutput = "sentence_embedding";

struct BuildOptions {
  DType dtype = DType::f32;  ///< of weights, activations and cache; norm statistics, softmax and
                             ///< rotary stay fp32
  bool with_past = true;     ///< past_key_values in, present out
  /// Decoders: other than none takes the place of logits, past and position_ids; see build.
  Pooling pooling = Pooling::none;
  bool hidden_states = false;  ///< text encoders: hidden_states.N out, 0 behind the embeddings
  TimestepForm timestep_form = TimestepForm::scalar_int64;
  /// UNets: heights and widths need not be multiples of 2^(upsamplers). Upsampling follows the
  /// sizes of the skips then, where it otherwise doubles, which is quicker.
  bool any_size = false;
};

/// Gives the weight of that name, which must have that shape.
using Weights = std::function<SourcePtr(const std::string& name, const Shape& shape)>;

struct Architecture {
  std::string_view name;  ///< as config.json's "architectures" says it
  graph::Graph (*build)(const Json& config, const Weights& weights, const BuildOptions& options);
};
std::span<const Architecture> architectures();

/// The decoder as optimum exports text-generation-with-past. Inputs: input_ids, attention_mask and
/// position_ids int64, past_key_values.N.key and .value [batch_size, kv_heads,
/// past_sequence_length, head_dim]; outputs: logits [batch_size, sequence_length, vocabulary],
/// present.N.key and .value. With pooling: input_ids and attention_mask in; out kPooledOutput
/// float32 [batch_size, hidden], over the tokens where the mask is not 0, wherever they stand
/// (positions count them alone); zeros for a row without any. Not normalised. Every node carries
/// the module of the source model that it stands for. Error(bad_input) names an architecture or a
/// config field that is not supported.
graph::Graph build(const checkpoint::Checkpoint& checkpoint, const BuildOptions& options = {});

/// Names and shapes of all weights that the config asks for; those of all components that a class
/// of picture models stands for.
std::map<std::string, Shape> expected_weights(const Json& config);

}  // namespace tenon::models
