// Reads the equation of an Einsum: which axes of its operands are one index.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace tenon {

/// Every axis has a label; equal labels are one index. Labels 0 to 51 are the letters A-Z and a-z;
/// those from kFirstEllipsis on are the axes of "...", counted from the last, which broadcast.
struct EinsumEquation {
  static constexpr int kFirstEllipsis = 52;
  std::vector<std::vector<int>> operands;  ///< one label an axis
  std::vector<int> output;

  /// `ranks` are those of the operands. Without "->" the output has the axes of "..." and the
  /// letters that occur once, in order. Error(bad_input) says what is wrong with the equation.
  static EinsumEquation read(std::string_view text, std::span<const std::size_t> ranks);
};

}  // namespace tenon
