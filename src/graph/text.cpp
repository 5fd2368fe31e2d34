#include "graph/text.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <sstream>

#include "base/error.h"
#include "graph/op_schema.h"

namespace tenon::graph {
namespace {

constexpr std::int64_t kMaxWritten = 64;

std::string type_of(const Value& value) {
  return fmt::format("{}{}", dtype_name(value.dtype), to_string(value.shape));
}

// Integers in all their digits, floats in the fewest that give them back.
std::string numbers_text(const Tensor& tensor) {
  std::string text;
  const auto append = [&](const auto& numbers) {
    for (const auto number : numbers) text += fmt::format(" {}", number);
  };
  if (tensor.dtype() == DType::f64) {
    append(tensor.as<double>());
  } else if (is_float(tensor.dtype())) {
    append(converted(tensor.view(), DType::f32).as<float>());
  } else {
    append(converted(tensor.view(), DType::i64).as<std::int64_t>());
  }
  return text;
}

std::string constant_text(const Value& value) {
  std::string text = fmt::format("constant {} {}", quoted(value.name), type_of(value));
  if (element_count(value.constant->shape()) <= kMaxWritten)
    text += " =" + numbers_text(value.constant->load());
  return text + "\n";
}

// Stands for the values of a large constant, which the text leaves out, without their memory.
class ZeroSource final : public TensorSource {
 public:
  using TensorSource::TensorSource;
  void read(std::int64_t begin, std::int64_t end, std::byte* out) const override {
    const auto elements = static_cast<std::size_t>((end - begin) * row_count());
    std::fill_n(out, elements * dtype_size(dtype()), std::byte{0});
  }
};

// Cuts a line into words, quoted strings, [lists] and single signs.
class Words {
 public:
  explicit Words(std::string_view line) : line_(line) {}

  bool done() {
    while (at_ < line_.size() && line_[at_] == ' ') ++at_;
    return at_ == line_.size();
  }
  char peek() { return done() ? '\0' : line_[at_]; }
  bool take(char wanted) {
    if (peek() != wanted) return false;
    ++at_;
    return true;
  }
  void expect(char wanted) {
    if (!take(wanted)) bad_input("'{}' was expected at column {}", wanted, at_ + 1);
  }
  std::string string() {
    expect('"');
    std::string text;
    while (at_ < line_.size() && line_[at_] != '"') {
      const bool escaped = line_[at_] == '\\';
      if (escaped) ++at_;
      if (at_ == line_.size()) break;
      text += escaped && line_[at_] == 'n' ? '\n' : line_[at_];
      ++at_;
    }
    if (at_ == line_.size()) bad_input("a string does not end");
    ++at_;
    return text;
  }
  std::string word() {
    done();
    const std::size_t start = at_;
    while (at_ < line_.size() &&
           std::string_view(" ,()[]=\"").find(line_[at_]) == std::string_view::npos)
      ++at_;
    return std::string(line_.substr(start, at_ - start));
  }
  DimShape shape() {
    expect('[');
    DimShape dims;
    const std::size_t start = at_;
    int depth = 0;
    std::size_t piece = start;
    for (; at_ < line_.size(); ++at_) {
      const char c = line_[at_];
      if (c == '(') ++depth;
      if (c == ')') --depth;
      if ((c == ',' && depth == 0) || c == ']') {
        const std::string_view text = line_.substr(piece, at_ - piece);
        piece = at_ + 1;
        const bool empty = text.find_first_not_of(' ') == std::string_view::npos;
        if (!empty) {
          const auto dim = Dim::parse(text);
          if (!dim) bad_input("'{}' is not a size", text);
          dims.push_back(*dim);
        }
        if (c == ']') break;
      }
    }
    expect(']');
    return dims;
  }

 private:
  std::string_view line_;
  std::size_t at_ = 0;
};

double parse_number(const std::string& word) {
  double number = 0;
  const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (code != std::errc() || end != word.data() + word.size())
    bad_input("'{}' is not a number", word);
  return number;
}

std::int64_t parse_int(const std::string& word) {
  std::int64_t number = 0;
  const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (code != std::errc() || end != word.data() + word.size())
    bad_input("'{}' is not an integer", word);
  return number;
}

// What an integer type can hold.
std::pair<std::int64_t, std::int64_t> range_of(DType type) {
  if (type == DType::boolean) return {0, 1};
  if (type == DType::u8) return {0, 255};
  if (type == DType::i64)
    return {std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()};
  const std::int64_t half = std::int64_t{1} << (8 * dtype_size(type) - 1);
  return {-half, half - 1};
}

// The words that are left, as a tensor of the type.
Tensor parse_numbers(Words& words, DType type, const Shape& shape) {
  std::vector<std::string> parts;
  while (!words.done()) {
    parts.push_back(words.word());
    if (parts.back().empty()) bad_input("'{}' is not a number", words.peek());
  }
  if (static_cast<std::int64_t>(parts.size()) != element_count(shape))
    bad_input("{} numbers, the shape {} needs {}", parts.size(), to_string(shape),
              element_count(shape));
  if (is_float(type)) {
    Tensor values(DType::f64, shape);
    std::transform(parts.begin(), parts.end(), values.as<double>().begin(), parse_number);
    return converted(values.view(), type);
  }
  const auto [least, most] = range_of(type);
  Tensor values(DType::i64, shape);
  auto numbers = values.as<std::int64_t>();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    numbers[i] = parse_int(parts[i]);
    if (numbers[i] < least || numbers[i] > most)
      bad_input("{} does not fit into {}", numbers[i], dtype_name(type));
  }
  return converted(values.view(), type);
}

DType parse_type(const std::string& word) {
  try {
    return parse_dtype(word);
  } catch (const Error& error) {
    bad_input("{}", error.message());
  }
}

Attribute parse_scalar(Words& words) {
  if (words.peek() == '"') return words.string();
  std::string word = words.word();
  if (!word.empty() && word.back() == 'f' && word != "inf") {
    word.pop_back();
    return static_cast<float>(parse_number(word));
  }
  return parse_int(word);
}

Attribute parse_attribute(Words& words) {
  if (!words.take('[')) return parse_scalar(words);
  std::vector<Attribute> items;
  while (!words.take(']')) {
    items.push_back(parse_scalar(words));
    words.take(',');
  }
  const auto collect = [&]<typename T>(std::vector<T> list) {
    for (const Attribute& item : items) {
      const T* one = std::get_if<T>(&item);
      if (one == nullptr) bad_input("a list holds different types");
      list.push_back(*one);
    }
    return Attribute(list);
  };
  if (items.empty() || std::holds_alternative<std::int64_t>(items[0]))
    return collect(std::vector<std::int64_t>{});
  if (std::holds_alternative<float>(items[0])) return collect(std::vector<float>{});
  return collect(std::vector<std::string>{});
}

class Reader {
 public:
  Graph read(std::string_view text) {
    std::istringstream lines{std::string(text)};
    std::string line;
    for (int number = 1; std::getline(lines, line); ++number) {
      with_context(fmt::format("line {}", number), [&] { read_line(line); });
    }
    return std::move(graph_);
  }

 private:
  void read_line(const std::string& line) {
    Words words(line);
    if (words.done() || words.peek() == '#') return;
    const std::string kind = words.word();
    if (kind == "input") {
      read_input(words);
    } else if (kind == "constant") {
      read_constant(words);
    } else if (kind == "node") {
      read_node(words);
    } else if (kind == "output") {
      const std::string name = words.string();
      graph_.mark_output(value(name), name);
    } else {
      bad_input("'{}' is not input, constant, node or output", kind);
    }
    if (!words.done()) bad_input("more than the line's end is left at '{}'", words.peek());
  }
  ValueId value(const std::string& name) const {
    const auto found = graph_.find_value(name);
    if (!found) bad_input("value \"{}\" is not defined", name);
    return *found;
  }
  // The graph would make the name unique, and later lines would mean the other value.
  const std::string& fresh(const std::string& name) const {
    if (graph_.find_value(name)) bad_input("value \"{}\" is defined already", name);
    return name;
  }
  void read_input(Words& words) {
    const std::string name = words.string();
    const DType type = parse_type(words.word());
    DimShape shape = words.shape();
    graph_.add_input(fresh(name), type, std::move(shape));
  }
  void read_constant(Words& words) {
    const std::string name = words.string();
    const DType type = parse_type(words.word());
    const auto shape = constant_shape(words.shape());
    if (!shape) bad_input("a constant's shape must be numbers");
    element_count(*shape);
    if (words.take('=')) {
      graph_.add_constant(fresh(name), parse_numbers(words, type, *shape));
    } else {
      graph_.add_constant(fresh(name), std::make_shared<ZeroSource>(type, *shape));
    }
  }
  void read_node(Words& words) {
    Node node;
    node.name = words.string();
    if (words.peek() != '=') {
      if (words.word() != "in") bad_input("'in' or '=' was expected after the node's name");
      node.module = words.string();
    }
    words.expect('=');
    node.op = &find_op(words.word());
    words.expect('(');
    while (!words.take(')')) {
      node.inputs.push_back(words.take('-') ? kNoValue : value(words.string()));
      words.take(',');
    }
    while (!words.done() && words.peek() != '-') {
      const std::string key = words.word();
      words.expect('=');
      node.attributes.set(key, parse_attribute(words));
    }
    if (words.word() != "->") bad_input("'->' was expected before the outputs");
    std::vector<std::string> outputs;
    while (!words.done()) {
      outputs.push_back(words.take('-') ? "" : fresh(words.string()));
      if (std::count(outputs.begin(), outputs.end(), outputs.back()) > 1 && !outputs.back().empty())
        bad_input("value \"{}\" is written twice", outputs.back());
      // The type that follows is what inference says; it stands there for people.
      if (!words.done() && words.peek() != ',') {
        words.word();
        words.shape();
      }
      words.take(',');
    }
    graph_.add_node(std::move(node), outputs);
  }

  Graph graph_;
};

}  // namespace

std::string to_text(const Graph& graph) {
  std::string text;
  for (const ValueId input : graph.inputs()) {
    text +=
        fmt::format("input {} {}\n", quoted(graph.value(input).name), type_of(graph.value(input)));
  }
  const std::vector<NodeId> order = graph.order();
  std::vector<bool> written(graph.value_count(), false);
  const auto write_constant = [&](ValueId id) {
    const Value& value = graph.value(id);
    if (!value.constant || written[static_cast<std::size_t>(id)]) return;
    text += constant_text(value);
    written[static_cast<std::size_t>(id)] = true;
  };
  for (const NodeId id : order) {
    const Node& node = graph.node(id);
    std::string line = fmt::format("node {}", quoted(node.name));
    if (!node.module.empty()) line += " in " + quoted(node.module);
    line += fmt::format(" = {}(", node.op->name);
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (i > 0) line += ", ";
      if (node.inputs[i] == kNoValue) {
        line += "-";
        continue;
      }
      line += quoted(graph.value(node.inputs[i]).name);
      write_constant(node.inputs[i]);
    }
    line += ")";
    for (const auto& [name, value] : node.attributes)
      line += fmt::format(" {}={}", name, attribute_text(value));
    line += " ->";
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      line += i > 0 ? ", " : " ";
      const bool present = node.outputs[i] != kNoValue;
      line += present ? fmt::format("{} {}", quoted(graph.value(node.outputs[i]).name),
                                    type_of(graph.value(node.outputs[i])))
                      : std::string("-");
    }
    text += line + "\n";
  }
  for (const ValueId output : graph.outputs()) write_constant(output);
  for (const ValueId output : graph.outputs())
    text += fmt::format("output {}\n", quoted(graph.value(output).name));
  return text;
}

Graph from_text(std::string_view text) { return Reader().read(text); }

}  // namespace tenon::graph
