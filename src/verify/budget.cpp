// Where the default limits come from.
//
// A product of K terms whose operands are rounded with relative errors of deviation u has a
// relative error of about 1.4 u, whatever K is; P products one after the other on the residual
// stream add up in squares: 1.4 u sqrt(P). P is 2 a layer; the limits take 64 layers: P = 128.
//   fp32: nothing is rounded but sums: u = 6e-8 sqrt(K) / 2 for K = 16384: 4e-6  ->  1e-4
//   bf16: operands have 8 bits: deviation 2^-9 / sqrt(3) = 1.1e-3                ->  2e-2
//   int8: steps of 1/127 of a largest value of some 4 deviations: 0.009: 0.14 over 64 layers,
//         which is more than answers should change: 1e-1, and a model that is outside keeps its
//         sensitive products in bf16
// Networks of pictures have up to 256 products one after the other (a UNet with 16 transformers),
// which is sqrt(2) times that: 3e-2 for bf16.
// Logits whose errors have deviation s move the distribution by KL = s^2 / 2; s is the relative
// error times a deviation of the logits of about 2.5. Two logits change places where they are
// closer than s, which at a density of ties of 1 / 10 is a share of s / 5. The perplexity has no
// default limit: over many tokens its logarithm moves by the KL, over few by chance.
#include "verify/budget.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "verify/report.h"

namespace tenon::verify {
namespace {

struct Key {
  std::string_view name;
  std::optional<double> Budget::*field;
};
constexpr std::array kKeys = {
    Key{"kl", &Budget::mean_kl},      Key{"max_kl", &Budget::max_kl},
    Key{"top1", &Budget::top1},       Key{"max_abs", &Budget::max_abs},
    Key{"rel", &Budget::relative_l2}, Key{"ppl", &Budget::perplexity},
    Key{"psnr", &Budget::psnr},
};

constexpr std::array<std::string_view, 4> kPrecisions = {"reference", "fp32", "bf16", "int8"};

std::size_t coarseness(std::string_view precision) {
  const auto found = std::find(kPrecisions.begin(), kPrecisions.end(), precision);
  return found == kPrecisions.end() ? 1 : static_cast<std::size_t>(found - kPrecisions.begin());
}

double parse_limit(std::string_view key, std::string_view text) {
  double number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool share = key == "top1";
  if (code != std::errc() || end != text.data() + text.size() || !std::isfinite(number) ||
      number < 0 || (share && number > 1)) {
    fail(ErrorCode::usage, "budget: {}={} is not {}", key, text,
         share ? "a share from 0 to 1" : "a number of at least 0");
  }
  return number;
}

}  // namespace

Budget Budget::parse(std::string_view text) {
  Budget budget;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view item = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    const std::size_t equals = item.find('=');
    const std::string_view name = item.substr(0, equals);
    const auto key =
        std::find_if(kKeys.begin(), kKeys.end(), [&](const Key& k) { return k.name == name; });
    if (key == kKeys.end() || equals == std::string_view::npos) {
      fail(ErrorCode::usage,
           "budget: '{}' is no limit; they are kl=, max_kl=, top1=, max_abs=, rel=, ppl= and psnr=",
           item);
    }
    if ((budget.*key->field).has_value()) fail(ErrorCode::usage, "budget: {} is given twice", name);
    budget.*key->field = parse_limit(name, item.substr(equals + 1));
  }
  return budget;
}

Budget Budget::of_precision(std::string_view precision) {
  constexpr std::array kRelative = {1e-4, 1e-4, 2e-2, 1e-1};
  constexpr double kDeviation = 2.5;
  const double relative = kRelative[coarseness(precision)];
  const double spread = relative * kDeviation;
  Budget budget;
  budget.relative_l2 = relative;
  budget.mean_kl = spread * spread / 2;
  budget.top1 = 1 - spread / 5;
  return budget;
}

Budget Budget::between(const engine::Engine& a, const engine::Engine& b) {
  return of_precision(kPrecisions[std::max(coarseness(a.precision), coarseness(b.precision))]);
}

Budget Budget::of_tensors(const engine::Engine& a, const engine::Engine& b) {
  constexpr std::array kRelative = {1e-4, 1e-4, 3e-2, 1e-1};
  // Half precision rounds to 2^-12 / sqrt(3) = 1.4e-4 in deviation, weights and every value alike:
  // 1.4 u sqrt(256), twice.
  constexpr double kHalf = 1e-2;
  Budget budget;
  budget.relative_l2 = kRelative[std::max(coarseness(a.precision), coarseness(b.precision))];
  for (const engine::Engine* engine : {&a, &b}) {
    if (std::any_of(engine->constants.begin(), engine->constants.end(),
                    [](const engine::Constant& c) { return c.dtype == DType::f16; }))
      budget.relative_l2 = std::max(*budget.relative_l2, kHalf);
  }
  return budget;
}

void Budget::require_for_text() const {
  if (psnr) fail(ErrorCode::usage, "budget: psnr= is of pictures, these are logits");
}

void Budget::require_for_tensors() const {
  for (const Key& key : kKeys) {
    if (!(this->*key.field).has_value()) continue;
    if (key.name == "max_abs" || key.name == "rel" || key.name == "psnr") continue;
    fail(ErrorCode::usage,
         "budget: {}= is of logits; tensors have max_abs=, rel= and psnr=", key.name);
  }
}

std::vector<std::string> Budget::violations(const OutputError& output) const {
  std::vector<std::string> found;
  if (!output.finite) found.push_back(fmt::format("{} is not all finite", output.output));
  if (relative_l2 && !(output.relative <= *relative_l2)) {
    found.push_back(fmt::format("the relative error of {} is {:.3g}, at most {:.3g} is allowed",
                                output.output, output.relative, *relative_l2));
  }
  if (max_abs && !(output.max_abs <= *max_abs)) {
    found.push_back(fmt::format("the largest difference of {} is {:.3g}, at most {:.3g} is allowed",
                                output.output, output.max_abs, *max_abs));
  }
  if (psnr && output.psnr && !(*output.psnr >= *psnr)) {
    found.push_back(fmt::format("the PSNR of {} is {:.4g} dB, at least {:.4g} is asked for",
                                output.output, *output.psnr, *psnr));
  }
  return found;
}

std::string Budget::to_string() const {
  std::string text;
  for (const Key& key : kKeys) {
    if (!(this->*key.field).has_value()) continue;
    text += fmt::format("{}{}={:.6g}", text.empty() ? "" : ",", key.name, *(this->*key.field));
  }
  return text;
}

std::vector<std::string> Budget::violations(const Metrics& metrics) const {
  std::vector<std::string> found;
  if (!metrics.finite) found.push_back("the logits are not all finite");
  const auto at_most = [&](const char* what, double value, const std::optional<double>& limit) {
    if (limit && !(value <= *limit))
      found.push_back(fmt::format("{} is {:.3g}, at most {:.3g} is allowed", what, value, *limit));
  };
  at_most("the mean KL", metrics.mean_kl, mean_kl);
  at_most("the largest KL", metrics.max_kl, max_kl);
  at_most("the largest difference of a logit", metrics.max_abs, max_abs);
  at_most("the relative error of the logits", metrics.relative_l2, relative_l2);
  if (metrics.perplexity_a > 0) {
    at_most("the relative change of the perplexity",
            std::abs(metrics.perplexity_b / metrics.perplexity_a - 1), perplexity);
  }
  if (top1) {
    // 1 - 0.99 is a little more than 0.01: the slack keeps whole numbers whole.
    const double allowed = std::ceil((1 - *top1) * static_cast<double>(metrics.positions) - 1e-9);
    if (static_cast<double>(metrics.top1_disagreements) > allowed) {
      found.push_back(
          fmt::format("the best token agrees at {:.2f} % of {} positions, at least {:.2f} % must",
                      100 * metrics.top1_agreement, metrics.positions, 100 * *top1));
    }
  }
  return found;
}

}  // namespace tenon::verify
