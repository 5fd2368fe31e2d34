#include "tensor/einsum_equation.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "base/error.h"
#include "tensor/tensor.h"

namespace tenon {
namespace {

constexpr std::size_t kLongestEquation = 1024;

int label_of(char letter) {
  if (letter >= 'A' && letter <= 'Z') return letter - 'A';
  if (letter >= 'a' && letter <= 'z') return 26 + letter - 'a';
  bad_input("'{}' in an equation, letters, dots, commas and -> were expected", letter);
}

// Letters before and after "...", if there is one.
struct Term {
  std::vector<int> before;
  std::vector<int> after;
  bool ellipsis = false;
};

Term term_of(std::string_view text) {
  Term term;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '.') {
      (term.ellipsis ? term.after : term.before).push_back(label_of(text[i]));
      continue;
    }
    if (text.substr(i, 3) != "..." || term.ellipsis)
      bad_input("\"{}\" in an equation holds dots that are no single \"...\"", text);
    term.ellipsis = true;
    i += 2;
  }
  return term;
}

std::vector<int> spread(const Term& term, std::size_t axes) {
  std::vector<int> labels = term.before;
  for (std::size_t i = axes; i-- > 0;)
    labels.push_back(EinsumEquation::kFirstEllipsis + static_cast<int>(i));
  labels.insert(labels.end(), term.after.begin(), term.after.end());
  return labels;
}

std::vector<int> implied_output(const std::vector<std::vector<int>>& operands, std::size_t axes) {
  std::array<int, EinsumEquation::kFirstEllipsis> counts{};
  for (const auto& labels : operands) {
    for (const int label : labels) {
      if (label < EinsumEquation::kFirstEllipsis) ++counts[static_cast<std::size_t>(label)];
    }
  }
  std::vector<int> output = spread({}, axes);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 1) output.push_back(static_cast<int>(i));
  }
  return output;
}

void check_output(const EinsumEquation& equation, std::string_view text) {
  for (const int label : equation.output) {
    if (std::count(equation.output.begin(), equation.output.end(), label) > 1)
      bad_input("the output of equation \"{}\" names an index twice", text);
    const bool known = std::any_of(
        equation.operands.begin(), equation.operands.end(), [label](const auto& labels) {
          return std::find(labels.begin(), labels.end(), label) != labels.end();
        });
    if (!known) bad_input("the output of equation \"{}\" names an index of no operand", text);
  }
}

}  // namespace

EinsumEquation EinsumEquation::read(std::string_view given, std::span<const std::size_t> ranks) {
  if (given.size() > kLongestEquation)
    bad_input("an equation of {} characters, {} are the most", given.size(), kLongestEquation);
  std::string text(given);
  std::erase(text, ' ');
  const auto arrow = text.find("->");
  std::string_view left = std::string_view(text).substr(0, arrow);
  EinsumEquation equation;
  std::size_t most = 0;  // axes of "..."
  for (const std::size_t rank : ranks) {
    const auto comma = left.find(',');
    const bool last = equation.operands.size() + 1 == ranks.size();
    if ((comma == std::string_view::npos) != last)
      bad_input("equation \"{}\" does not name {} operands", text, ranks.size());
    const Term term = term_of(left.substr(0, comma));
    const std::size_t letters = term.before.size() + term.after.size();
    if (term.ellipsis ? letters > rank : letters != rank) {
      bad_input("operand {} of equation \"{}\" has rank {}", equation.operands.size(), text, rank);
    }
    most = std::max(most, rank - letters);
    equation.operands.push_back(spread(term, rank - letters));
    left = last ? std::string_view() : left.substr(comma + 1);
  }
  if (arrow == std::string::npos) {
    equation.output = implied_output(equation.operands, most);
  } else {
    const Term term = term_of(std::string_view(text).substr(arrow + 2));
    equation.output = spread(term, term.ellipsis ? most : 0);
  }
  if (equation.output.size() > kMaxRank)
    bad_input("equation \"{}\" has an output of rank {}", text, equation.output.size());
  check_output(equation, text);
  return equation;
}

}  // namespace tenon
