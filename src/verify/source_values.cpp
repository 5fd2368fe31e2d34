#include "verify/source_values.h"

#include "passes/layouts.h"

namespace tenon::verify {

std::string_view source_name(std::string_view name) {
  if (name.ends_with(passes::kChannelsLastMark))
    name.remove_suffix(passes::kChannelsLastMark.size());
  return name;
}

Tensor in_source_order(std::string_view name, const TensorView& view) {
  if (!name.ends_with(passes::kChannelsLastMark) || view.shape.size() < 3)
    return Tensor::copy_of(view);
  return passes::permuted(view, passes::first_order(view.shape.size()));
}

}  // namespace tenon::verify
