#include "verify/recording.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "tensor/npy.h"

namespace tenon::verify {
namespace {

using Arrays = std::map<std::string, Tensor, std::less<>>;

const Tensor* find(const Arrays& arrays, const std::string& name) {
  const auto found = arrays.find(name);
  return found == arrays.end() ? nullptr : &found->second;
}

void expect(const Tensor& tensor, const std::string& name, DType dtype, const Shape& shape) {
  if (tensor.dtype() == dtype && tensor.shape() == shape) return;
  bad_input("{} is {} {}, expected {} {}", name, dtype_name(tensor.dtype()),
            to_string(tensor.shape()), dtype_name(dtype), to_string(shape));
}

std::int32_t token(std::int64_t id, std::int64_t vocabulary, const std::string& name) {
  if (id < 0 || id >= vocabulary)
    bad_input("{} holds {}, which is outside the vocabulary of {}", name, id, vocabulary);
  return static_cast<std::int32_t>(id);
}

// Rows [row * tokens, ...) of a tensor [rows, tokens, width] whose mask is not 0.
Tensor kept_rows(const Tensor& from, std::int64_t row, std::span<const std::int64_t> mask) {
  const std::int64_t width = from.shape()[2];
  const auto kept = std::count_if(mask.begin(), mask.end(), [](auto m) { return m != 0; });
  Tensor rows(DType::f32, {kept, width});
  const std::size_t bytes = static_cast<std::size_t>(width) * sizeof(float);
  const std::byte* source = from.data() + static_cast<std::size_t>(row) * mask.size() * bytes;
  for (std::size_t i = 0, next = 0; i < mask.size(); ++i) {
    if (mask[i] != 0) std::memcpy(rows.data() + bytes * next++, source + bytes * i, bytes);
  }
  return rows;
}

void add_prompts(const Arrays& arrays, const std::string& prefix, std::int64_t vocabulary,
                 std::vector<RecordedPrompt>& prompts) {
  const Tensor* ids = find(arrays, prefix + "ids");
  const Tensor* logits = find(arrays, prefix + "logits");
  const Tensor* mask = find(arrays, prefix + "mask");
  if (ids == nullptr || logits == nullptr) {
    if (prefix.empty()) bad_input("there is no array {}", ids == nullptr ? "ids" : "logits");
    return;
  }
  if (ids->dtype() != DType::i64 || ids->shape().size() != 2 || ids->count() == 0) {
    bad_input("{}ids is {} {}, expected int64 [rows, tokens]", prefix, dtype_name(ids->dtype()),
              to_string(ids->shape()));
  }
  const std::int64_t rows = ids->shape()[0];
  const std::int64_t tokens = ids->shape()[1];
  const int batch = prompts.empty() ? 0 : prompts.back().batch + 1;
  expect(*logits, prefix + "logits", DType::f32, {rows, tokens, vocabulary});
  if (mask != nullptr) expect(*mask, prefix + "mask", DType::i64, ids->shape());
  for (std::int64_t row = 0; row < rows; ++row) {
    RecordedPrompt prompt;
    prompt.batch = batch;
    for (std::int64_t t = 0; t < tokens; ++t) {
      const auto flat = static_cast<std::size_t>(row * tokens + t);
      prompt.ids.push_back(token(ids->as<std::int64_t>()[flat], vocabulary, prefix + "ids"));
      prompt.mask.push_back(mask == nullptr || mask->as<std::int64_t>()[flat] != 0 ? 1 : 0);
    }
    if (std::count(prompt.mask.begin(), prompt.mask.end(), 1) == 0)
      bad_input("{}mask: row {} is all padding", prefix, row);
    prompt.logits = kept_rows(*logits, row, prompt.mask);
    prompts.push_back(std::move(prompt));
  }
}

void add_hidden(const Arrays& arrays, std::int64_t rows, std::int64_t tokens,
                std::vector<RecordedPrompt>& prompts) {
  for (std::int64_t layer = 0;; ++layer) {
    const std::string name = fmt::format("hidden.{}", layer);
    const Tensor* hidden = find(arrays, name);
    if (hidden == nullptr) return;
    const std::int64_t width = hidden->shape().empty() ? 0 : hidden->shape().back();
    expect(*hidden, name, DType::f32, {rows, tokens, width});
    for (std::int64_t row = 0; row < rows; ++row) {
      auto& prompt = prompts[static_cast<std::size_t>(row)];
      prompt.hidden.push_back(kept_rows(*hidden, row, prompt.mask));
    }
  }
}

}  // namespace

bool RecordedPrompt::padded() const { return std::find(mask.begin(), mask.end(), 0) != mask.end(); }

std::vector<RecordedPrompt> read_recording(const std::filesystem::path& npz,
                                           std::int64_t vocabulary) {
  const Arrays arrays = read_npz(npz);
  return with_context(npz.string(), [&] {
    std::vector<RecordedPrompt> prompts;
    add_prompts(arrays, "", vocabulary, prompts);
    const auto rows = static_cast<std::int64_t>(prompts.size());
    add_hidden(arrays, rows, static_cast<std::int64_t>(prompts.front().ids.size()), prompts);
    add_prompts(arrays, "left_", vocabulary, prompts);
    add_prompts(arrays, "long_", vocabulary, prompts);
    return prompts;
  });
}

}  // namespace tenon::verify
