// Every image row: the family's one list.
#include "kernels/cpu/image/rows.h"
#include "kernels/cpu/tables.h"

namespace tenon::kernels::cpu {

std::span<const KernelRow> image_rows() {
  static const std::vector<KernelRow> kRows = [] {
    std::vector<KernelRow> rows;
    for (const auto part : {resize_rows(), grid_sample_rows(), block_rows()})
      rows.insert(rows.end(), part.begin(), part.end());
    return rows;
  }();
  return kRows;
}

}  // namespace tenon::kernels::cpu
