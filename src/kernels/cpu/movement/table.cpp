// Every movement row: the family's one list.
#include "kernels/cpu/movement/rows.h"
#include "kernels/cpu/tables.h"

namespace tenon::kernels::cpu {

std::span<const KernelRow> movement_rows() {
  static const std::vector<KernelRow> kRows = [] {
    std::vector<KernelRow> rows;
    for (const auto part : {reshape_rows(), strided_rows(), join_rows(), gather_rows(),
                            scatter_rows(), fill_rows(), pad_rows()})
      rows.insert(rows.end(), part.begin(), part.end());
    return rows;
  }();
  return kRows;
}

}  // namespace tenon::kernels::cpu
