// How much memory this process may still take.
#pragma once

#include <cstdint>

namespace tenon {

/// Bytes that can be had without pushing others out: what the system has available, or what the
/// control groups and limits (RLIMIT_DATA, RLIMIT_AS) of this process leave it, whichever is less.
/// 0: not known, or none.
std::uint64_t available_memory();

}  // namespace tenon
