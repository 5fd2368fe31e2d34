#include "recording.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace tenon::tests {

std::filesystem::path model_folder(const std::string& name) {
  return std::filesystem::path(TENON_SOURCE_DIR) / "tests" / "models" / name;
}

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(model_folder(""))) {
    if (std::filesystem::exists(entry.path() / "expected.npz"))
      names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

Recording read_recording(const std::string& name) {
  return read_npz(model_folder(name) / "expected.npz");
}

double largest_difference(const TensorView& a, const TensorView& b,
                          std::span<const std::int64_t> keep) {
  if (a.shape != b.shape)
    bad_input("shapes {} and {} are compared", to_string(a.shape), to_string(b.shape));
  const auto width = static_cast<std::size_t>(a.shape.back());
  double largest = 0;
  for (std::size_t i = 0; i < a.as<float>().size(); ++i) {
    if (!keep.empty() && keep[i / width] == 0) continue;
    const double difference =
        std::abs(static_cast<double>(a.as<float>()[i]) - static_cast<double>(b.as<float>()[i]));
    largest = std::isnan(difference) ? INFINITY : std::max(largest, difference);
  }
  return largest;
}

}  // namespace tenon::tests
