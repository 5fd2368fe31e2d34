// Recorded answers of another implementation, checked and cut into prompts.
#pragma once

#include <filesystem>
#include <vector>

#include "tensor/tensor.h"

namespace tenon::verify {

struct RecordedPrompt {
  int batch = 0;  ///< prompts with the same number ran together
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> mask;  ///< as long as ids; 0 where they are padding
  Tensor logits;                   ///< float32 [tokens that are not padding, vocabulary]
  std::vector<Tensor> hidden;      ///< by layer, float32 [tokens, width]; may be empty

  bool padded() const;
};

/// Error(bad_input) names the file and the array that is missing or of the wrong form.
std::vector<RecordedPrompt> read_recording(const std::filesystem::path& npz,
                                           std::int64_t vocabulary);

}  // namespace tenon::verify
