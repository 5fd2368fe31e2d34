// Every elementwise row: the family's one list.
#include "kernels/cpu/elementwise/rows.h"
#include "kernels/cpu/tables.h"

namespace tenon::kernels::cpu {

std::span<const KernelRow> elementwise_rows() {
  static const std::vector<KernelRow> kRows = [] {
    std::vector<KernelRow> rows;
    for (const auto part :
         {unary_rows(), cast_rows(), binary_rows(), variadic_rows(), select_rows()})
      rows.insert(rows.end(), part.begin(), part.end());
    return rows;
  }();
  return kRows;
}

}  // namespace tenon::kernels::cpu
