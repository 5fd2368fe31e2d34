// Every convolution row: the family's one list, the fast rows first.
#include "kernels/cpu/convolution/reference.h"
#include "kernels/cpu/tables.h"

namespace tenon::kernels::cpu {

std::span<const KernelRow> convolution_rows() {
  static const std::vector<KernelRow> kRows = [] {
    std::vector<KernelRow> rows;
    for (const auto part :
         {convolution::reference_conv_rows(), convolution::reference_conv_transpose_rows()})
      rows.insert(rows.end(), part.begin(), part.end());
    return rows;
  }();
  return kRows;
}

}  // namespace tenon::kernels::cpu
