// Tensors as KServe v2 writes them: in JSON, or as bytes behind it.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "base/json.h"
#include "serving/http/message.h"
#include "tensor/tensor.h"

namespace tenon::serving::kserve {

/// "FP32", ...; the only name without a DType is BYTES.
std::string_view datatype_name(DType type);

using Strings = std::vector<std::string>;  ///< elements of a tensor of BYTES

struct InferTensor {
  std::string name;
  Shape shape;
  std::variant<Tensor, Strings> data;

  std::string_view datatype() const;
};

struct WantedOutput {
  std::string name;
  bool binary = false;
  std::int64_t classes = 0;  ///< of classification; 0: the tensor itself
};

struct InferRequest {
  std::string id;
  Json parameters = Json::object();
  std::vector<InferTensor> inputs;
  std::vector<WantedOutput> outputs;  ///< empty: all
  bool all_binary = false;            ///< of outputs that are not named
};

/// Error(bad_input) says what is wrong where: sizes that do not add up, data that does not fill its
/// shape, values outside of their type, names that stand twice.
InferRequest parse_infer(const http::Request& request);

/// The JSON and, behind it, the outputs that were wanted as bytes.
struct InferAnswer {
  std::string model;
  std::string version;
  std::string id;
  std::vector<InferTensor> outputs;
};
http::Response encode_infer(InferAnswer answer, const InferRequest& request);

/// The n greatest values of each row (the last dimension) as "value:index".
InferTensor classified(const InferTensor& tensor, std::int64_t n);

}  // namespace tenon::serving::kserve
