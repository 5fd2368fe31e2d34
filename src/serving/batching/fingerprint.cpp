#include "serving/batching/fingerprint.h"

#include <iterator>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/hash.h"

namespace tenon::serving {

std::string fingerprint(const engine::Engine& engine, std::string_view contract) {
  std::string all(contract);
  const auto out = std::back_inserter(all);
  for (const engine::Step& step : engine.steps) {
    fmt::format_to(out, "\n{} {} {}", step.op, fmt::join(step.inputs, ","),
                   fmt::join(step.outputs, ","));
    for (const engine::Choice& choice : step.kernels)
      fmt::format_to(out, " {}:{}", choice.kernel, choice.max_rows);
  }
  for (const engine::Constant& constant : engine.constants) {
    std::uint64_t sum = constant.sum;
    if (sum == 0 && constant.data != nullptr)
      sum = xxh3({constant.data.get(), static_cast<std::size_t>(constant.bytes)});
    fmt::format_to(out, "\n{} {} {:016x}", constant.format, constant.bytes, sum);
  }
  return fmt::format("fp_{:016x}", xxh3(std::as_bytes(std::span(all))));
}

}  // namespace tenon::serving
