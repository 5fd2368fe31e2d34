// Questions and answers as JSON, with tensors in it or as bytes behind it.
#pragma once

#include <map>
#include <string>

#include "serving/http/message.h"
#include "serving/kserve/infer_data.h"

namespace tenon::serving::kserve {

struct ParsedInfer {
  InferRequest request;
  std::map<std::string, bool, std::less<>> binary;  ///< of the outputs that are named
  bool all_binary = false;                          ///< of those that are not
};

/// Error(bad_input) says what is wrong where: sizes that do not add up, data that does not fill its
/// shape, values outside of their type, names that stand twice.
ParsedInfer parse_infer(const http::Request& request);

/// The JSON and, behind it, the outputs that were wanted as bytes.
http::Response encode_infer(const InferAnswer& answer, const ParsedInfer& request);

}  // namespace tenon::serving::kserve
