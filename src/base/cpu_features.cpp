#include "base/cpu_features.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include <cpuid.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"

namespace tenon {
namespace {

constexpr std::array kNames = {"none", "avx2", "avx512", "avx512_bf16", "amx_bf16"};

bool system_grants_tiles() {
  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr int kTileData = 18;               // XFEATURE_XTILEDATA
  return ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

Isa detect() {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return Isa::none;
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl") ||
      !__builtin_cpu_supports("avx512vnni")) {
    return Isa::avx2;
  }
  if (!__builtin_cpu_supports("avx512bf16")) return Isa::avx512;
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx);
  constexpr unsigned kTiles = 1U << 24 | 1U << 22 | 1U << 25;  // AMX-TILE, AMX-BF16, AMX-INT8
  const bool has_tiles = (edx & kTiles) == kTiles;
  return has_tiles && system_grants_tiles() ? Isa::amx_bf16 : Isa::avx512_bf16;
}

}  // namespace

std::string_view isa_name(Isa isa) noexcept { return kNames[static_cast<std::size_t>(isa)]; }

Isa parse_isa(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (name == kNames[i]) return static_cast<Isa>(i);
  }
  fail(ErrorCode::usage,
       "instruction set '{}' is not one of none, avx2, avx512, avx512_bf16, amx_bf16", name);
}

Isa native_isa() {
  static const Isa kDetected = detect();
  const char* wanted = std::getenv("TENON_ISA");
  return wanted == nullptr ? kDetected : std::min(kDetected, parse_isa(wanted));
}

CpuInfo cpu_info() {
  CpuInfo info;
  std::array<unsigned, 12> brand{};
  for (unsigned leaf = 0; leaf < 3; ++leaf) {
    unsigned* words = &brand[leaf * 4];
    __get_cpuid(0x80000002U + leaf, words, words + 1, words + 2, words + 3);
  }
  const char* text = reinterpret_cast<const char*>(brand.data());
  info.model.assign(text, strnlen(text, sizeof brand));
  while (!info.model.empty() && info.model.back() == ' ') info.model.pop_back();
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (::sched_getaffinity(0, sizeof allowed, &allowed) == 0) info.cores = CPU_COUNT(&allowed);
  info.memory_bytes = static_cast<long long>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
  return info;
}

}  // namespace tenon
