// A question and its answers as KServe v2 means them, whatever carries them: plain data.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.h"
#include "serving/data_type.h"
#include "serving/served_model.h"
#include "tensor/tensor.h"

namespace tenon::serving::kserve {

/// Error(bad_input) names the input and what its datatype is instead.
DType dtype_of(std::string_view datatype, const std::string& input);

using Strings = std::vector<std::string>;  ///< elements of a tensor of BYTES

/// Bytes of a region of shared memory, in place of data.
struct RegionPlace {
  std::string region;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;  ///< bytes; of an output the room for it
};

struct InferTensor {
  std::string name;
  std::string datatype;
  Shape shape;
  std::variant<Tensor, Strings> data;
  std::optional<RegionPlace> place;  ///< of an input: not read yet; of an output: written already
};

struct WantedOutput {
  std::string name;
  std::int64_t classes = 0;  ///< of classification; 0: the tensor itself
  std::optional<RegionPlace> place;
};

struct InferRequest {
  std::string id;
  Json parameters = Json::object();
  std::vector<InferTensor> inputs;
  std::vector<WantedOutput> outputs;          ///< empty: all
  std::optional<Clock::time_point> deadline;  ///< of the transport, beside parameters.timeout
};

struct InferAnswer {
  std::string model;
  std::string version;
  std::string id;
  Json parameters = Json::object();  ///< numbers, texts and booleans
  std::vector<InferTensor> outputs;  ///< as they were asked for, in that order
  bool final = true;                 ///< no other follows
};

/// `shape` is of sizes from 0 to 2^62. Error(bad_input) when the bytes do not fill the shape, or
/// hold a BOOL beyond 1 or an element of BYTES (each behind its length, 4 bytes) that is cut off.
InferTensor tensor_of_bytes(const std::string& name, std::string_view datatype, Shape shape,
                            std::string_view bytes);
/// The other way.
std::string bytes_of(const InferTensor& tensor);
/// Takes name, datatype and shape from the tensor.
InferTensor output_of(std::string name, Tensor tensor);

/// The n greatest values of each row (the last dimension) as "value:index".
InferTensor classified(const InferTensor& tensor, std::int64_t n);

}  // namespace tenon::serving::kserve
