// The names that a pickle may mention, and what each stands for.
#pragma once

#include <cstdint>
#include <string_view>

#include "tensor/dtype.h"

namespace tenon::checkpoint {

enum class PickleRole : unsigned char {
  ordered_dict,
  rebuild_tensor,
  rebuild_parameter,
  size,
  storage,
  inert,  ///< found beside weights in training checkpoints; a call of it gives an inert value
};

struct PickleName {
  std::string_view name;  ///< module.name
  PickleRole role;
  DType dtype = DType::f32;  ///< of a storage
};

/// The row of `module`.`name`; throws Error(bad_input) with the name when it is not allowed.
std::int64_t find_pickle_name(std::string_view module, std::string_view name);
const PickleName& pickle_name(std::int64_t row) noexcept;

}  // namespace tenon::checkpoint
