// Quantiles of the beta distribution.
#pragma once

namespace tenon::pipelines {

/// The x with I_x(a, b) = probability, where I is the regularized incomplete beta function;
/// relative error about 1e-14. probability in [0, 1], a and b in (0, 100].
double beta_quantile(double probability, double a, double b);

}  // namespace tenon::pipelines
