// Joins the tables of all families.
#include <algorithm>

#include "kernels/cpu/tables.h"
#include "kernels/kernel.h"

namespace tenon::kernels {

std::span<const KernelRow* const> all_rows() {
  static const std::vector<const KernelRow*> kRows = [] {
    std::vector<const KernelRow*> rows;
    for (const auto table :
         {cpu::activation_rows(), cpu::attention_rows(), cpu::convolution_rows(),
          cpu::channels_last_convolution_rows(), cpu::elementwise_rows(), cpu::group_norm_rows(),
          cpu::image_rows(), cpu::linear_rows(), cpu::movement_rows(), cpu::normalization_rows(),
          cpu::pooling_rows(), cpu::reduction_rows()}) {
      for (const KernelRow& row : table) rows.push_back(&row);
    }
    return rows;
  }();
  return kRows;
}

std::vector<const KernelRow*> rows_for(std::string_view op) {
  std::vector<const KernelRow*> found;
  std::copy_if(all_rows().begin(), all_rows().end(), std::back_inserter(found),
               [&](const KernelRow* row) { return row->op == op; });
  return found;
}

const KernelRow* find_row(std::string_view name) {
  const auto rows = all_rows();
  const auto found = std::find_if(rows.begin(), rows.end(),
                                  [&](const KernelRow* row) { return row->name == name; });
  return found == rows.end() ? nullptr : *found;
}

const PackedFormat* find_format(std::string_view name) {
  const auto formats = cpu::linear_formats();
  const auto found = std::find_if(formats.begin(), formats.end(),
                                  [&](const PackedFormat& format) { return format.name == name; });
  return found == formats.end() ? nullptr : &*found;
}

}  // namespace tenon::kernels
