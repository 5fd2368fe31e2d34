#include "passes/target.h"

#include <array>

#include "base/error.h"

namespace tenon {
namespace {

constexpr std::array kNames = {"fp32", "bf16", "int8"};

}  // namespace

std::string precision_name(Precision precision) {
  return kNames[static_cast<std::size_t>(precision)];
}

Precision parse_precision(const std::string& name) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (name == kNames[i]) return static_cast<Precision>(i);
  }
  fail(ErrorCode::usage, "precision '{}' is not one of fp32, bf16, int8", name);
}

Target Target::native(Precision precision) {
  Target target;
  target.isa = native_isa();
  target.precision = precision;
  return target;
}

Target Target::reference_run() {
  Target target;
  target.reference = true;
  target.keep_state = false;
  return target;
}

}  // namespace tenon
