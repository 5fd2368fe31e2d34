// The parts of the pooling table, joined by pooling_rows().
#pragma once

#include <span>

#include "kernels/kernel.h"

namespace tenon::kernels::cpu {

std::span<const KernelRow> max_pool_rows();  // MaxPool GlobalMaxPool
std::span<const KernelRow> sum_pool_rows();  // AveragePool LpPool and their global forms
std::span<const KernelRow> lrn_rows();       // LRN

}  // namespace tenon::kernels::cpu
