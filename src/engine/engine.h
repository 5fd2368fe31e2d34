// The compiled model: plain data, immutable once made, shared by every session. The planner writes
// it, sessions read it, and neither knows the other.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "tensor/attributes.h"
#include "tensor/dim.h"
#include "tensor/tensor.h"

namespace tenon::engine {

/// Index into Engine::values; -1 where an optional operand is left out.
using ValueIndex = std::int32_t;
inline constexpr ValueIndex kAbsent = -1;

/// Bytes of a constant. Empty `format` means plain row-major; any other names a packed kernel
/// format.
struct Constant {
  DType dtype = DType::f32;
  Shape shape;  ///< before packing
  std::string format;
  std::uint64_t bytes = 0;
  std::uint64_t sum = 0;     ///< XXH3 of the bytes
  std::uint64_t offset = 0;  ///< in the file, from the start of the blob section; multiple of 4096
  std::shared_ptr<const std::byte> data;  ///< null only while the engine is being written to a file
};

struct Value {
  std::string name;  ///< as in the source model wherever it has one
  DType dtype = DType::f32;
  DimShape shape;
  std::int32_t constant = -1;  ///< index into Engine::constants, or -1
};

/// A kernel to use while the step's rows (all dimensions of input 0 but the last, multiplied) stay
/// within `max_rows`. The last choice has no limit.
struct Choice {
  std::string kernel;
  std::int64_t max_rows = std::numeric_limits<std::int64_t>::max();
};

struct Step {
  std::string op;
  std::string name;             ///< of the source node
  std::string module;           ///< of the source model
  std::vector<Choice> kernels;  ///< empty: output 0 is input 0 under another shape
  std::vector<ValueIndex> inputs;
  std::vector<ValueIndex> outputs;
  Attributes attributes;
};

/// Present when the model keeps a cache of keys and values between runs.
struct DecoderState {
  std::int32_t layers = 0;
  std::int64_t page_bytes = 0;      ///< one page of one layer, keys and values
  std::int64_t context_length = 0;  ///< positions that the model was made for
};

struct Constraint {
  Dim a;
  Dim b;
  std::string where;
};

struct Engine {
  std::string name;
  std::string isa;        ///< instruction set it was built for
  std::string precision;  ///< as asked for at build
  std::vector<Value> values;
  std::vector<Constant> constants;
  std::vector<Step> steps;  ///< in execution order
  std::vector<ValueIndex> inputs;
  std::vector<ValueIndex> outputs;
  std::vector<Constraint> constraints;  ///< checked whenever sizes are bound
  DecoderState state;                   ///< layers == 0: none
  /// Sizes that its kernels were chosen for; empty: for any. Others run, perhaps slower.
  std::vector<Dim::Bindings> tuned;

  std::uint64_t weight_bytes() const {
    std::uint64_t sum = 0;
    for (const auto& constant : constants) sum += constant.bytes;
    return sum;
  }
};

/// Names of the inputs that a decoder with state takes; all have a leading dimension of 1.
namespace decoder_inputs {
inline constexpr const char* kTokens = "input_ids";        ///< int64 [1, tokens]
inline constexpr const char* kPositions = "position_ids";  ///< int64 [1, tokens]
inline constexpr const char* kRows =
    "logit_rows";  ///< int64 [logit_rows]: tokens whose logits are wanted
inline constexpr const char* kLengths =
    "sequence_lengths";  ///< int64 [1, tokens]: length of the token's sequence after this run
}  // namespace decoder_inputs

/// Whether each size lies between the smallest and the largest of its name that the engine was
/// tuned for. True for an engine tuned for none.
bool tuned_for(const Engine& engine, const Dim::Bindings& sizes);

/// Checks all indices, shapes and names of an engine that came from a file; Error(bad_input).
void validate(const Engine& engine);

}  // namespace tenon::engine
