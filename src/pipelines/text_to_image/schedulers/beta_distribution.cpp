// Quantiles of the beta distribution by bisection of the incomplete beta function.
#include "pipelines/text_to_image/schedulers/beta_distribution.h"

#include <cmath>

namespace tenon::pipelines {
namespace {

/// The continued fraction of the incomplete beta function (Abramowitz and Stegun 26.5.8) by Lentz's
/// method; converges fast for x < (a + 1) / (a + b + 2).
double continued_fraction(double x, double a, double b) {
  constexpr double kTiny = 1e-300;
  constexpr int kMaxTerms = 500;
  const auto away_from_zero = [](double value) { return std::fabs(value) < kTiny ? kTiny : value; };
  double c = 1;
  double d = 1 / away_from_zero(1 - (a + b) * x / (a + 1));
  double fraction = d;
  for (int m = 1; m <= kMaxTerms; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away_from_zero(1 + even * d);
    c = away_from_zero(1 + even / c);
    fraction *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away_from_zero(1 + odd * d);
    c = away_from_zero(1 + odd / c);
    fraction *= d * c;
    if (std::fabs(d * c - 1) < 1e-16) break;
  }
  return fraction;
}

double incomplete_beta(double x, double a, double b) {
  if (x <= 0) return 0;
  const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) +
                                a * std::log(x) + b * std::log1p(-x));
  return front * continued_fraction(x, a, b) / a;
}

/// For a result of at most 0.5, where neither x nor the fraction loses digits.
double lower_quantile(double probability, double a, double b) {
  double low = 0;
  double high = 0.5;
  // Down to neighbours; doubles lie dense towards 0, hence more than 53 halvings.
  for (int i = 0; i < 200; ++i) {
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) break;
    (incomplete_beta(middle, a, b) < probability ? low : high) = middle;
  }
  return high;
}

}  // namespace

double beta_quantile(double probability, double a, double b) {
  if (probability <= 0) return 0;
  if (probability >= 1) return 1;
  if (probability <= incomplete_beta(0.5, a, b)) return lower_quantile(probability, a, b);
  return 1 - lower_quantile(1 - probability, b, a);
}

}  // namespace tenon::pipelines
