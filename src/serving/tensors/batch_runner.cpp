#include "serving/tensors/batch_runner.h"

#include <cstring>

#include "base/error.h"

namespace tenon::serving {

using session::TensorMap;

namespace {

std::int64_t rows_of(const Tensor& tensor) {
  return tensor.shape().empty() ? 1 : tensor.shape().front();
}

// What smaller runs have taken is kept: they come again.
constexpr std::size_t kKept = std::size_t{32} << 20;

}  // namespace

void EngineRunner::rest() {
  executor_.give_back(kKept);
  std::erase_if(staged_, [](const auto& one) { return one.second.bytes() > kKept; });
}

TensorView EngineRunner::joined(std::size_t input, const std::string& name,
                                std::span<const TensorMap* const> requests) {
  const Tensor& first = requests.front()->find(name)->second;
  if (requests.size() == 1) return first.view();
  Shape shape = first.shape();
  shape.front() = 0;
  for (const TensorMap* request : requests) shape.front() += rows_of(request->find(name)->second);
  Tensor& all = staged_[input];
  if (all.shape() != shape || all.dtype() != first.dtype()) all = Tensor(first.dtype(), shape);
  std::byte* to = all.data();
  for (const TensorMap* request : requests) {
    const Tensor& one = request->find(name)->second;
    std::memcpy(to, one.data(), one.bytes());
    to += one.bytes();
  }
  return all.view();
}

std::vector<TensorMap> EngineRunner::run(std::span<const TensorMap* const> requests) {
  const auto begin = std::chrono::steady_clock::now();
  std::vector<TensorView> views;
  std::vector<std::int64_t> rows;
  for (const TensorMap* request : requests)
    rows.push_back(request->empty() ? 1 : rows_of(request->begin()->second));
  for (std::size_t i = 0; i < engine_->inputs.size(); ++i) {
    const auto& name = engine_->values[static_cast<std::size_t>(engine_->inputs[i])].name;
    if (requests.front()->find(name) == requests.front()->end())
      bad_input("input {} is missing", name);
    views.push_back(joined(i, name, requests));
  }
  executor_.prepare(views);
  const auto joined_at = std::chrono::steady_clock::now();
  executor_.run(views);
  const auto computed_at = std::chrono::steady_clock::now();
  std::vector<TensorMap> answers(requests.size());
  std::int64_t total = 0;
  for (const std::int64_t one : rows) total += one;
  for (std::size_t i = 0; i < engine_->outputs.size(); ++i) {
    const auto& name = engine_->values[static_cast<std::size_t>(engine_->outputs[i])].name;
    TensorView view = executor_.output(i);
    if (requests.size() == 1) {
      answers.front().emplace(name, Tensor::copy_of(view));
      continue;
    }
    if (view.shape.empty() || view.shape.front() != total)
      bad_input("output {} is {} for a batch of {}: its rows cannot be told apart", name,
                to_string(view.shape), total);
    const std::byte* from = view.data;
    for (std::size_t k = 0; k < requests.size(); ++k) {
      view.shape.front() = rows[k];
      view.data = from;
      answers[k].emplace(name, Tensor::copy_of(view));
      from += view.bytes();
    }
  }
  times_ = {joined_at - begin, computed_at - joined_at,
            std::chrono::steady_clock::now() - computed_at};
  return answers;
}

}  // namespace tenon::serving
