// Every pooling row: the family's one list.
#include "kernels/cpu/pooling/rows.h"
#include "kernels/cpu/tables.h"

namespace tenon::kernels::cpu {

std::span<const KernelRow> pooling_rows() {
  static const std::vector<KernelRow> kRows = [] {
    std::vector<KernelRow> rows;
    for (const auto part : {max_pool_rows(), sum_pool_rows(), lrn_rows()})
      rows.insert(rows.end(), part.begin(), part.end());
    return rows;
  }();
  return kRows;
}

}  // namespace tenon::kernels::cpu
