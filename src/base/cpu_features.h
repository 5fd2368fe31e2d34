// What this processor can run, found once by CPUID.
#pragma once

#include <string>
#include <string_view>

namespace tenon {

/// Instruction sets in rising order; each includes those before it, except that amx_bf16 machines
/// are only counted when the system grants the tile registers.
enum class Isa { none, avx2, avx512, avx512_bf16, amx_bf16 };

std::string_view isa_name(Isa isa) noexcept;
/// Throws Error(usage) for an unknown name.
Isa parse_isa(std::string_view name);

/// The best set of this machine, lowered by the environment variable TENON_ISA when that names a
/// lower one. avx512 means F, BW, DQ, VL and VNNI; avx2 includes FMA and F16C. Asks the system for
/// AMX's tile registers on the first call.
Isa native_isa();

struct CpuInfo {
  std::string model;           ///< as the processor names itself
  int cores = 1;               ///< processors this process may run on
  long long memory_bytes = 0;  ///< physical memory
};
CpuInfo cpu_info();

}  // namespace tenon
