"""Writes the node test cases of the `onnx` package that concern our operators, as files.

    python record.py OUT_DIR

OUT_DIR gets cases.txt, one case a line: its name, the relative and the absolute tolerance; and for
each case NAME/model.onnx with NAME/test_data_set_0/input_K.pb and output_K.pb, TensorProto files in
the order of the graph's inputs and outputs. Cases are left out, with the count of each reason on
standard output, when they use another operator, an element type or a form of value that the
project does not have, or an opset that it does not read. An absent optional input of a
case has no file, because the graph does not name it. Inputs that decide the shape of the result
(SHAPE_INPUTS) become initializers of the model: the project computes shapes before it runs.
"""

import argparse
import collections
import pathlib

import numpy
import onnx
from onnx import TensorProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases

OLDEST_OPSET = 9
NEWEST_OPSET = 25

OPS = frozenset(
    """
    Abs Neg Sign Exp Log Sqrt Reciprocal Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Erf
    Floor Ceil Round Not IsNaN IsInf Identity Cast CastLike Clip Relu Sigmoid Tanh Gelu Swish
    HardSigmoid HardSwish LeakyRelu ThresholdedRelu Elu Celu Selu Softplus Softsign Mish Softmax
    LogSoftmax
    Add Sub Mul Div Pow Mod Min Max Sum And Or Xor BitwiseAnd BitwiseOr BitwiseXor Equal Greater
    GreaterOrEqual Less LessOrEqual Where PRelu
    MatMul Gemm RotaryEmbedding Attention
    LayerNormalization RMSNormalization GroupNormalization InstanceNormalization BatchNormalization
    ReduceMean ReduceSum ReduceProd ReduceMax ReduceMin ReduceL1 ReduceL2 ReduceSumSquare
    ReduceLogSum ReduceLogSumExp ArgMax ArgMin CumSum TopK
    Shape Size Reshape Flatten Transpose Squeeze Unsqueeze Expand Tile ConstantOfShape Constant
    Range EyeLike
    Gather GatherElements GatherND ScatterND ScatterElements Slice Split Concat Pad Trilu OneHot
    Conv ConvTranspose MaxPool AveragePool LpPool GlobalAveragePool GlobalMaxPool GlobalLpPool
    Resize Upsample GridSample DepthToSpace SpaceToDepth
    LRN MeanVarianceNormalization LpNormalization Einsum
    """.split()
)

TYPES = frozenset(
    (
        TensorProto.FLOAT,
        TensorProto.FLOAT16,
        TensorProto.BFLOAT16,
        TensorProto.DOUBLE,
        TensorProto.INT8,
        TensorProto.UINT8,
        TensorProto.INT16,
        TensorProto.INT32,
        TensorProto.INT64,
        TensorProto.BOOL,
    )
)

# Places of the inputs that decide shapes.
SHAPE_INPUTS = {
    "Reshape": [1],
    "Expand": [1],
    "Tile": [1],
    "Slice": [1, 2, 3, 4],
    "Squeeze": [1],
    "Unsqueeze": [1],
    "Pad": [1, 3],
    "Range": [0, 1, 2],
    "TopK": [1],
    "ConstantOfShape": [0],
    "OneHot": [1],
    "Split": [1],
    "CumSum": [1],
    "Resize": [2, 3],
    "Upsample": [1],
    **{
        f"Reduce{name}": [1]
        for name in "Mean Sum Prod Max Min L1 L2 SumSquare LogSum LogSumExp".split()
    },
}


def reason_to_skip(case):
    """Why the case is not one of ours; None when it is."""
    model = case.model
    if case.name.endswith("_expanded") or "_expanded_" in case.name:
        return "the function form of another case"
    for opset in model.opset_import:
        if opset.domain not in ("", "ai.onnx"):
            return "another operator domain"
        if opset.version > NEWEST_OPSET:
            return "a newer opset"
        if opset.version < OLDEST_OPSET:
            return "an older opset"
    if any(node.op_type not in OPS for node in model.graph.node):
        return "another operator"
    for value in (*model.graph.input, *model.graph.output):
        if not value.type.HasField("tensor_type"):
            return "a value that is not a tensor"
        if value.type.tensor_type.elem_type not in TYPES:
            return "another element type"
    return None


def as_proto(value, name):
    """The tensor under the name of its graph value."""
    if isinstance(value, TensorProto):
        proto = TensorProto()
        proto.CopyFrom(value)
        proto.name = name
        return proto
    return numpy_helper.from_array(numpy.asarray(value), name)


def fix_shape_inputs(graph, inputs):
    """Moves those inputs into the model; returns the values of the others."""
    fixed = {
        node.input[place]
        for node in graph.node
        for place in SHAPE_INPUTS.get(node.op_type, [])
        if place < len(node.input)
    }
    rest = []
    for value, info in zip(inputs, list(graph.input), strict=True):
        if info.name in fixed:
            graph.initializer.append(as_proto(value, info.name))
            graph.input.remove(info)
        else:
            rest.append(value)
    return rest


def write_case(case, folder):
    """model.onnx and one folder for its data set."""
    folder.mkdir(parents=True, exist_ok=True)
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    graph = model.graph
    (first_inputs, first_outputs), *more = case.data_sets
    assert not more, f"{case.name} has {len(more) + 1} data sets"
    data_sets = [(fix_shape_inputs(graph, first_inputs), first_outputs)]
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    for index, (inputs, outputs) in enumerate(data_sets):
        data = folder / f"test_data_set_{index}"
        data.mkdir(exist_ok=True)
        for kind, values, infos in (("input", inputs, graph.input), ("output", outputs, graph.output)):
            for place, (value, info) in enumerate(zip(values, infos, strict=True)):
                proto = as_proto(value, info.name)
                (data / f"{kind}_{place}.pb").write_bytes(proto.SerializeToString())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out_dir", type=pathlib.Path)
    out_dir = parser.parse_args().out_dir
    out_dir.mkdir(parents=True, exist_ok=True)
    skipped = collections.Counter()
    lines = []
    for case in sorted(collect_testcases(), key=lambda case: case.name):
        reason = reason_to_skip(case)
        if reason:
            skipped[reason] += 1
            continue
        write_case(case, out_dir / case.name)
        lines.append(f"{case.name} {case.rtol} {case.atol}\n")
    (out_dir / "cases.txt").write_text("".join(lines))
    print(f"onnx {onnx.__version__}: {len(lines)} cases written")
    for reason, count in skipped.most_common():
        print(f"  {count} left out: {reason}")


if __name__ == "__main__":
    main()
