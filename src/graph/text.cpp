#include "graph/text.h"

#include <charconv>
#include <sstream>

#include "base/error.h"
#include "graph/op_schema.h"

namespace tenon::graph {
namespace {

constexpr std::int64_t kMaxWritten = 64;

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out + "\"";
}

std::string type_of(const Value& value) {
  return fmt::format("{}{}", dtype_name(value.dtype), to_string(value.shape));
}

std::string constant_text(const Value& value) {
  std::string text = fmt::format("constant {} {}", quoted(value.name), type_of(value));
  if (element_count(value.constant->shape()) > kMaxWritten) return text + "\n";
  const Tensor numbers = converted(value.constant->load().view(), DType::f64);
  text += " =";
  for (const double number : numbers.as<double>()) text += fmt::format(" {}", number);
  return text + "\n";
}

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
      if (line_[at_] == '\\') ++at_;
      if (at_ < line_.size()) text += line_[at_++];
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
  std::size_t used = 0;
  try {
    const double number = std::stod(word, &used);
    if (used == word.size()) return number;
  } catch (const std::exception&) {
    used = 0;
  }
  bad_input("'{}' is not a number", word);
}

std::int64_t parse_int(const std::string& word) {
  std::int64_t number = 0;
  const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (code != std::errc() || end != word.data() + word.size())
    bad_input("'{}' is not an integer", word);
  return number;
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
    if (kind == "input") return read_input(words);
    if (kind == "constant") return read_constant(words);
    if (kind == "node") return read_node(words);
    if (kind == "output") return graph_.mark_output(value(words.string()), last_);
    bad_input("'{}' is not input, constant, node or output", kind);
  }
  ValueId value(const std::string& name) {
    last_ = name;
    const auto found = graph_.find_value(name);
    if (!found) bad_input("value \"{}\" is not defined", name);
    return *found;
  }
  void read_input(Words& words) {
    const std::string name = words.string();
    const DType type = parse_dtype(words.word());
    graph_.add_input(name, type, words.shape());
  }
  void read_constant(Words& words) {
    const std::string name = words.string();
    const DType type = parse_dtype(words.word());
    const auto shape = constant_shape(words.shape());
    if (!shape) bad_input("a constant's shape must be numbers");
    Tensor values(DType::f64, *shape);
    auto numbers = values.as<double>();
    std::fill(numbers.begin(), numbers.end(), 0.0);
    if (words.take('=')) {
      for (double& number : numbers) number = parse_number(words.word());
    }
    graph_.add_constant(name, converted(values.view(), type));
  }
  void read_node(Words& words) {
    Node node;
    node.name = words.string();
    if (words.peek() == 'i') {
      words.word();
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
      outputs.push_back(words.take('-') ? "" : words.string());
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
  std::string last_;
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
      const Value& value = graph.value(node.inputs[i]);
      line += quoted(value.name);
      if (value.constant && !written[static_cast<std::size_t>(node.inputs[i])]) {
        text += constant_text(value);
        written[static_cast<std::size_t>(node.inputs[i])] = true;
      }
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
  for (const ValueId output : graph.outputs())
    text += fmt::format("output {}\n", quoted(graph.value(output).name));
  return text;
}

Graph from_text(std::string_view text) { return Reader().read(text); }

}  // namespace tenon::graph
