#include "onnx/importer.h"

#include <map>
#include <optional>

#include "base/error.h"
#include "base/interrupt.h"
#include "graph/op_schema.h"
#include "onnx-ml.pb.h"
#include "onnx/known_sizes.h"
#include "onnx/scope.h"
#include "onnx/symbols.h"
#include "onnx/tensor_reader.h"
#include "onnx/types.h"
#include "onnx/upgrade.h"
#include "onnx/versions.h"

namespace tenon::onnx {

using graph::Graph;
using graph::kNoValue;
using graph::ValueId;
using ::onnx::AttributeProto;
using ::onnx::FunctionProto;
using ::onnx::GraphProto;
using ::onnx::ModelProto;
using ::onnx::NodeProto;

namespace {

constexpr int kMaxDepth = 16;                 // functions and branches inside each other
constexpr int kMaxOperands = 1 << 16;         // inputs or outputs of one node
constexpr std::size_t kLongestPrefix = 1024;  // of the names of values in functions

class Importer {
 public:
  Importer(std::shared_ptr<const ModelProto> model, const std::filesystem::path& folder,
           const ReadOptions& options)
      : model_(std::move(model)), tensors_(folder, model_), options_(options) {}

  Graph run() {
    check_model(*model_);
    const GraphProto& main = model_->graph();
    graph_.name = main.name();
    collect_names(main.node(), names_);
    for (const FunctionProto& function : model_->functions()) {
      collect_names(function.node(), names_);
      functions_.emplace(function_key(function), &function);
    }
    for (const auto& output : main.output()) names_.read.insert(output.name());
    Scope scope;
    scope.opset = standard_opset(model_->opset_import());
    add_initializers(main, scope);
    add_inputs(main, scope);
    import_nodes(main.node(), scope, 0);
    add_outputs(main, scope);
    // Products of integers whose scale has moved into the weight since.
    if (writes_integers(main)) graph_.tidy();
    fix_known_sizes(graph_);
    return std::move(graph_);
  }

 private:
  template <typename Named>
  static std::string function_key(const Named& function) {
    if constexpr (std::is_same_v<Named, NodeProto>) {
      return standard_domain(function.domain()) + "\n" + function.op_type() + "\n" +
             function.overload();
    } else {
      return standard_domain(function.domain()) + "\n" + function.name() + "\n" +
             function.overload();
    }
  }

  void add_initializers(const GraphProto& graph, Scope& scope) {
    if (graph.sparse_initializer_size() > 0) {
      bad_input("sparse initializer {} is not supported",
                graph.sparse_initializer(0).values().name());
    }
    for (const auto& tensor : graph.initializer()) {
      if (tensor.name().empty()) bad_input("an initializer has no name");
      if (!scope.tensors.emplace(tensor.name(), &tensor).second) {
        bad_input("two initializers are named {}", tensor.name());
      }
      names_.written.insert(tensor.name());
    }
  }

  static bool writes_integers(const GraphProto& graph) {
    return std::any_of(graph.node().begin(), graph.node().end(),
                       [](const NodeProto& node) { return node.op_type() == "MatMulInteger"; });
  }

  // Decoders of two branches, without and with a cache. The second is taken, which starts from a
  // cache of length 0 as well; the input that chooses goes.
  bool takes_cache_branch(const ::onnx::ValueInfoProto& input, Scope& scope) {
    if (input.name() != "use_cache_branch" ||
        from_onnx(input.type().tensor_type().elem_type()) != DType::boolean)
      return false;
    Tensor yes(DType::boolean, {1});
    yes.as<bool>()[0] = true;
    names_.written.insert(input.name());
    scope.define(input.name(), graph_.add_constant(input.name(), std::move(yes)));
    return true;
  }

  // The mask of such a decoder is as long as the tokens of its first branch; that of the second
  // covers the cache too.
  DimShape declared_shape(const GraphProto& graph, const ::onnx::ValueInfoProto& input) {
    DimShape shape = shapes_.read(input.type().tensor_type().shape(), input.name());
    const bool merged =
        std::any_of(graph.input().begin(), graph.input().end(),
                    [](const auto& other) { return other.name() == "use_cache_branch"; });
    if (!merged || input.name() != "attention_mask" || shape.size() != 2) return shape;
    for (const auto& past : graph.input()) {
      if (!past.name().starts_with("past_key_values.") || !past.type().tensor_type().has_shape())
        continue;
      const DimShape cache = shapes_.read(past.type().tensor_type().shape(), past.name());
      if (cache.size() == 4) shape[1] = cache[2] + shape[1];
      break;
    }
    return shape;
  }

  // Files of old IR versions list the weights among the inputs.
  void add_inputs(const GraphProto& graph, Scope& scope) {
    for (const auto& input : graph.input()) {
      if (scope.tensors.contains(input.name())) continue;
      with_context(fmt::format("input {}", input.name()), [&] {
        const auto& type = input.type();
        if (!type.has_tensor_type()) bad_input("only tensors are supported as inputs");
        const auto dtype = from_onnx(type.tensor_type().elem_type());
        if (!dtype) {
          bad_input("element type {} is not supported",
                    onnx_type_name(type.tensor_type().elem_type()));
        }
        if (!type.tensor_type().has_shape()) {
          bad_input("the shape is missing, its rank at least is needed");
        }
        if (takes_cache_branch(input, scope)) return;
        const DimShape shape = declared_shape(graph, input);
        names_.written.insert(input.name());
        scope.define(input.name(), graph_.add_input(input.name(), *dtype, shape));
      });
    }
  }

  void add_outputs(const GraphProto& graph, Scope& scope) {
    for (const auto& output : graph.output()) {
      with_context(fmt::format("output {}", output.name()), [&] {
        ValueId id = present(lookup(output.name(), scope), output.name());
        const graph::Value& value = graph_.value(id);
        const bool computed = value.producer != graph::kNoNode;
        if (value.name != output.name() && (!computed || graph_.is_output(id))) {
          graph::Node copy;
          copy.name = output.name() + "/Identity";
          copy.op = &graph::find_op("Identity");
          copy.inputs = {id};
          id = graph_.node(graph_.add_node(std::move(copy))).outputs[0];
        }
        graph_.mark_output(id, output.name());
      });
    }
    if (graph_.outputs().empty()) bad_input("the graph has no outputs");
  }

  ValueId lookup(const std::string& name, Scope& scope) {
    for (Scope* level = &scope; level != nullptr; level = level->outer) {
      if (const auto found = level->values.find(name); found != level->values.end()) {
        return found->second;
      }
      if (const auto tensor = level->tensors.find(name); tensor != level->tensors.end()) {
        const ValueId id =
            graph_.add_constant(level->prefix + name, tensors_.read(*tensor->second));
        level->values.emplace(name, id);
        return id;
      }
    }
    bad_input(
        "{} is read, but no input, initializer or earlier node has that name: it is missing, "
        "or the nodes form a cycle or are out of order",
        name.substr(0, 200));
  }

  // A function's input may have been left out by the call.
  static ValueId present(ValueId id, const std::string& name) {
    if (id == kNoValue) bad_input("{} is read, but the call leaves it out", name.substr(0, 200));
    return id;
  }

  template <typename Nodes>
  void import_nodes(const Nodes& nodes, Scope& scope, int depth) {
    if (depth > kMaxDepth) {
      bad_input(
          "functions and branches lie more than {} deep in each other, or a function calls "
          "itself",
          kMaxDepth);
    }
    for (const NodeProto& node : nodes) {
      check_interrupt();
      // A node with thousands of operands costs as much as many nodes.
      node_count_ += 1 + (node.input_size() + node.output_size()) / 16;
      if (node_count_ > options_.max_nodes) {
        bad_input("more than {} nodes, with functions and branches put in place",
                  options_.max_nodes);
      }
      import_node(node, scope, depth);
    }
  }

  void import_node(const NodeProto& node, Scope& scope, int depth) {
    if (const auto found = functions_.find(function_key(node)); found != functions_.end()) {
      return with_context(describe_node(node),
                          [&] { inline_function(node, *found->second, scope, depth); });
    }
    const std::string domain = standard_domain(node.domain());
    if (domain.empty() && node.op_type() == "If") {
      return with_context(describe_node(node), [&] { take_branch(node, scope, depth); });
    }
    // Inference adds the node to its errors by itself.
    OldNode old(graph_, names_);
    const bool done = with_context(describe_node(node), [&] {
      if (domain.empty() && node.op_type() == "Constant") {
        add_constant(node, scope);
        return true;
      }
      fill(old, node, scope);
      upgrade(old);
      if (!old.tensors.empty()) {
        bad_input("attribute {} is a tensor, which {} does not take", old.tensors.begin()->first,
                  old.op);
      }
      graph::find_op(old.op);
      return false;
    });
    if (!done) add_node(node, old, scope);
  }

  void add_node(const NodeProto& node, OldNode& old, Scope& scope) {
    const graph::OpSchema& op = graph::find_op(old.op);
    std::vector<std::string> outputs = old.outputs;
    const auto least = static_cast<std::size_t>(op.min_outputs);
    while (outputs.size() > least && !old.needs_output(outputs.size() - 1)) outputs.pop_back();
    while (!old.inputs.empty() && old.inputs.back() == kNoValue) old.inputs.pop_back();
    graph::Node made;
    made.name = old.name;
    made.module = old.module;
    made.op = &op;
    made.inputs = old.inputs;
    made.attributes = old.attributes;
    const graph::NodeId id = graph_.add_node(std::move(made), outputs);
    const std::vector<ValueId> results = graph_.node(id).outputs;
    with_context(describe_node(node), [&] {
      for (int i = 0; i < node.output_size(); ++i) {
        const auto index = static_cast<std::size_t>(i);
        if (node.output(i).empty()) continue;
        if (index < outputs.size() && results[index] != kNoValue) {
          scope.define(node.output(i), results[index]);
        } else if (const auto other = graph_.find_value(scope.prefix + node.output(i))) {
          scope.define(node.output(i), *other);  // a rule wrote it on the way
        }
      }
    });
  }

  void fill(OldNode& old, const NodeProto& node, Scope& scope) {
    if (node.input_size() > kMaxOperands || node.output_size() > kMaxOperands) {
      bad_input("{} inputs and {} outputs, at most {} are supported", node.input_size(),
                node.output_size(), kMaxOperands);
    }
    old.domain = standard_domain(node.domain());
    old.op = node.op_type();
    old.opset = scope.opset;
    old.name =
        scope.prefix +
        (node.name().empty() ? fmt::format("{}_{}", node.op_type(), node_count_) : node.name());
    old.module = module_of(old.name);
    for (const std::string& input : node.input()) {
      old.inputs.push_back(input.empty() ? kNoValue : lookup(input, scope));
    }
    for (const std::string& output : node.output()) {
      old.outputs.push_back(output.empty() ? output : scope.prefix + output);
    }
    fill_attributes(old, node, scope);
  }

  void fill_attributes(OldNode& old, const NodeProto& node, const Scope& scope) {
    std::set<std::string> seen;
    for (const AttributeProto& given : node.attribute()) {
      if (!seen.insert(given.name()).second) bad_input("attribute {} is given twice", given.name());
      const AttributeProto* attribute = scope.resolve(given);
      if (attribute == nullptr) continue;
      if (attribute->has_g()) bad_input("operator {} is not supported", node.op_type());
      if (attribute->has_t()) {
        old.tensors.emplace(given.name(), tensors_.read(attribute->t()));
      } else {
        old.attributes.set(given.name(), plain_attribute(*attribute));
      }
    }
  }

  void add_constant(const NodeProto& node, Scope& scope) {
    if (node.output_size() != 1 || node.attribute_size() != 1) {
      bad_input("a Constant has one output and one value, found {} and {}", node.output_size(),
                node.attribute_size());
    }
    const AttributeProto* attribute = scope.resolve(node.attribute(0));
    if (attribute == nullptr) bad_input("the value is missing");
    const std::string& kind = node.attribute(0).name();
    SourcePtr source;
    if (kind == "value") {
      if (!attribute->has_t()) bad_input("attribute value is no tensor");
      source = tensors_.read(attribute->t());
    } else if (kind == "value_int" || kind == "value_ints" || kind == "value_float" ||
               kind == "value_floats") {
      source = owned_source(constant_tensor(plain_attribute(*attribute)));
    } else {
      bad_input("attribute {} is not supported", kind);
    }
    const std::string& name = node.output(0);
    scope.define(name, graph_.add_constant(scope.prefix + name, std::move(source)));
  }

  void inline_function(const NodeProto& call, const FunctionProto& function, Scope& caller,
                       int depth) {
    Scope scope;
    scope.opset = standard_opset(function.opset_import());
    if (scope.opset == 0) scope.opset = caller.opset;
    scope.prefix =
        caller.prefix +
        (call.name().empty() ? fmt::format("{}_{}", call.op_type(), node_count_) : call.name()) +
        "/";
    if (scope.prefix.size() > kLongestPrefix) {
      bad_input("the names of functions inside each other take more than {} characters",
                kLongestPrefix);
    }
    for (const AttributeProto& fallback : function.attribute_proto()) {
      scope.arguments.insert_or_assign(fallback.name(), &fallback);
    }
    for (const AttributeProto& given : call.attribute()) {
      if (const AttributeProto* value = caller.resolve(given)) {
        scope.arguments.insert_or_assign(given.name(), value);
      }
    }
    if (call.input_size() > function.input_size() || call.output_size() > function.output_size()) {
      bad_input("{} inputs and {} outputs, function {} has {} and {}", call.input_size(),
                call.output_size(), function.name(), function.input_size(), function.output_size());
    }
    for (int i = 0; i < function.input_size(); ++i) {
      const bool given = i < call.input_size() && !call.input(i).empty();
      scope.define(function.input(i), given ? lookup(call.input(i), caller) : kNoValue);
    }
    for (const std::string& output : function.output()) names_.read.insert(scope.prefix + output);
    note_reads(function.node(), scope.prefix);
    import_nodes(function.node(), scope, depth + 1);
    for (int i = 0; i < call.output_size(); ++i) {
      if (!call.output(i).empty()) caller.define(call.output(i), lookup(function.output(i), scope));
    }
  }

  // Values of a function have its prefix in the graph.
  template <typename Nodes>
  void note_reads(const Nodes& nodes, const std::string& prefix) {
    if (prefix.empty()) return;
    for (const NodeProto& node : nodes) {
      for (const std::string& input : node.input()) names_.read.insert(prefix + input);
    }
  }

  void take_branch(const NodeProto& node, Scope& outer, int depth) {
    if (node.input_size() != 1) bad_input("{} inputs, 1 was expected", node.input_size());
    const graph::Value& condition =
        graph_.value(present(lookup(node.input(0), outer), node.input(0)));
    const auto truth = known_truth(condition);
    if (!truth) {
      bad_input("operator If is not supported where its condition ({}) is known only at run time",
                condition.name);
    }
    const GraphProto* branch = nullptr;
    for (const AttributeProto& attribute : node.attribute()) {
      if (attribute.name() == (*truth ? "then_branch" : "else_branch") && attribute.has_g()) {
        branch = &attribute.g();
      }
    }
    if (branch == nullptr) bad_input("the branch that is taken is missing");
    if (branch->output_size() != node.output_size()) {
      bad_input("the branch has {} outputs, the node {}", branch->output_size(),
                node.output_size());
    }
    Scope scope;
    scope.outer = &outer;
    scope.opset = outer.opset;
    scope.prefix = outer.prefix;
    scope.arguments = outer.arguments;
    add_initializers(*branch, scope);
    for (const auto& output : branch->output()) names_.read.insert(scope.prefix + output.name());
    note_reads(branch->node(), scope.prefix);
    import_nodes(branch->node(), scope, depth + 1);
    for (int i = 0; i < node.output_size(); ++i) {
      const ValueId result = lookup(branch->output(i).name(), scope);
      if (!node.output(i).empty()) outer.define(node.output(i), result);
    }
  }

  std::shared_ptr<const ModelProto> model_;
  TensorReader tensors_;
  const ReadOptions& options_;
  ShapeReader shapes_;
  Graph graph_;
  ModelNames names_;
  std::map<std::string, const FunctionProto*> functions_;
  std::int64_t node_count_ = 0;
};

}  // namespace

Graph import_model(std::shared_ptr<const ModelProto> model, const std::filesystem::path& folder,
                   const ReadOptions& options) {
  return Importer(std::move(model), folder, options).run();
}

}  // namespace tenon::onnx
