// Every reduction row: the family's one list.
#include "kernels/cpu/reduction/rows.h"
#include "kernels/cpu/tables.h"

namespace tenon::kernels::cpu {

std::span<const KernelRow> reduction_rows() {
  static const std::vector<KernelRow> kRows = [] {
    std::vector<KernelRow> rows;
    for (const auto part :
         {reduce_rows(), softmax_rows(), arg_rows(), scan_rows(), statistics_rows(), einsum_rows()})
      rows.insert(rows.end(), part.begin(), part.end());
    return rows;
  }();
  return kRows;
}

}  // namespace tenon::kernels::cpu
