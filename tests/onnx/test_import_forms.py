"""Old operator forms: models of old opsets are read and written again by onnx_test, and ONNX Runtime must compute
the same from both files.

TENON_ONNX_TEST names the onnx_test program (default: build/release/bin/onnx_test)."""

import os
import pathlib
import shutil
import subprocess

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parents[2]
F = TensorProto.FLOAT
MS = "com.microsoft"


def node(op, inputs, outputs, domain="", **attributes):
    return helper.make_node(op, inputs, outputs, name=f"/model/{op}_{outputs[0]}", domain=domain, **attributes)


def tensor(name, values, dtype=np.float32):
    return numpy_helper.from_array(np.asarray(values, dtype), name)


def model(opset, nodes, constants=(), shape=("batch", 4, 6), functions=(), rank=None, extra=()):
    inputs = [helper.make_tensor_value_info("x", F, shape)]
    inputs += [helper.make_tensor_value_info(name, kind, dims) for name, kind, dims in extra]
    output = helper.make_tensor_value_info("y", F, None)
    graph = helper.make_graph(nodes, "old", inputs, [output], list(constants))
    imports = [helper.make_opsetid("", opset), helper.make_opsetid(MS, 1)]
    imports += [helper.make_opsetid("local", 1)] if functions else []
    return helper.make_model(graph, opset_imports=imports, ir_version=8, functions=functions)


def branch(name, op):
    out = helper.make_tensor_value_info(f"{name}_out", F, None)
    return helper.make_graph([node(op, ["x"], [f"{name}_out"])], name, [], [out])


def local_function():
    body = [
        helper.make_node("Constant", [], ["f"], value_float=0.5),
        helper.make_node("Mul", ["a", "f"], ["half"], name="mul"),
    ]
    leaky = helper.make_node("LeakyRelu", ["half"], ["b"], name="leaky")
    leaky.attribute.append(onnx.AttributeProto(name="alpha", type=onnx.AttributeProto.FLOAT, ref_attr_name="slope"))
    return helper.make_function("local", "Half", ["a"], ["b"], [*body, leaky], [helper.make_opsetid("", 18)], ["slope"])


def scale(n):
    return tensor("scale", np.linspace(0.5, 2, n))


MODELS = {
    "squeeze_9": model(9, [node("Unsqueeze", ["x"], ["u"], axes=[0, 2]), node("Squeeze", ["u"], ["y"], axes=[2])]),
    "reduce_sum_11": model(11, [node("ReduceSum", ["x"], ["y"], axes=[1], keepdims=0)]),
    "reduce_mean_13": model(13, [node("ReduceMean", ["x"], ["y"], axes=[-1])]),
    "reduce_l2_11": model(11, [node("ReduceL2", ["x"], ["y"], axes=[1, 2])]),
    "reduce_max_all_12": model(12, [node("ReduceMax", ["x"], ["y"], keepdims=0)]),
    "split_11": model(11, [node("Split", ["x"], ["a", "b"], axis=2, split=[2, 4]),
                           node("Concat", ["b", "a"], ["y"], axis=2)]),
    "split_even_13": model(13, [node("Split", ["x"], ["a", "b", "c"], axis=2),
                                node("Concat", ["c", "a", "b"], ["y"], axis=2)]),
    "clip_9": model(9, [node("Clip", ["x"], ["y"], min=-0.5)]),
    "clip_both_10": model(10, [node("Clip", ["x"], ["y"], min=-0.5, max=0.25)]),
    "pad_10": model(10, [node("Pad", ["x"], ["y"], pads=[0, 1, 2, 0, 0, 1], value=1.5)]),
    "pad_reflect_9": model(9, [node("Pad", ["x"], ["y"], mode="reflect", pads=[0, 1, 2, 0, 0, 1])]),
    "slice_9": model(9, [node("Slice", ["x"], ["y"], starts=[1, -3], ends=[3, 1000], axes=[1, 2])]),
    "slice_no_axes_9": model(9, [node("Slice", ["x"], ["y"], starts=[0, 1], ends=[1, 3])]),
    "top_k_9": model(9, [node("TopK", ["x"], ["y", "indices"], k=2, axis=1)]),
    "softmax_1_11": model(11, [node("Softmax", ["x"], ["y"])]),
    "softmax_2_11": model(11, [node("Softmax", ["x"], ["y"], axis=2)]),
    "softmax_0_9": model(9, [node("Softmax", ["x"], ["y"], axis=0)]),
    "log_softmax_1_11": model(11, [node("LogSoftmax", ["x"], ["y"], axis=1)]),
    "softmax_13": model(13, [node("Softmax", ["x"], ["y"], axis=1)]),
    "dropout_9": model(9, [node("Dropout", ["x"], ["d", "mask"], ratio=0.9), node("Neg", ["d"], ["y"])]),
    "dropout_13": model(13, [node("Dropout", ["x", "ratio"], ["y"])], [tensor("ratio", 0.5)]),
    "batch_norm_9": model(
        9, [node("BatchNormalization", ["x", "scale", "b", "m", "v"], ["y"],
                 epsilon=1e-3, momentum=0.8)],
        [scale(4), tensor("b", [0, 1, 2, 3]), tensor("m", [1, 0, -1, 0]), tensor("v", [1, 2, 3, 4])]),
    "mean_13": model(13, [node("Exp", ["x"], ["e"]), node("Mean", ["x", "e", "x"], ["y"])]),
    "scatter_10": model(10, [node("Scatter", ["x", "i", "u"], ["y"], axis=0)],
                        [tensor("i", [[[0, 1]]], np.int64), tensor("u", [[[7, 8]]])]),
    "constant_of_shape_9": model(
        9, [node("Shape", ["x"], ["s"]),
            node("ConstantOfShape", ["s"], ["c"], value=tensor("", [2.5])), node("Add", ["x", "c"], ["y"])]),
    "constant_of_shape_int_9": model(
        9, [node("Shape", ["x"], ["s"]), node("ConstantOfShape", ["s"], ["c"], value=tensor("", [3], np.int64)),
            node("Cast", ["c"], ["f"], to=F), node("Add", ["x", "f"], ["y"])]),
    "constants_13": model(
        13, [node("Constant", [], ["i"], value_ints=[0, 2]), node("Gather", ["x", "i"], ["g"], axis=1),
             node("Constant", [], ["f"], value_float=2.0), node("Mul", ["g", "f"], ["m"]),
             node("Constant", [], ["fs"], value_floats=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), node("Add", ["m", "fs"], ["y"])]),
    "if_constant_13": model(
        13, [node("If", ["c"], ["y"], then_branch=branch("yes", "Exp"), else_branch=branch("no", "Neg"))],
        [tensor("c", True, np.bool_)]),
    "if_shape_13": model(
        13, [node("Shape", ["x"], ["s"]), node("Gather", ["s", "one"], ["d"]), node("Equal", ["d", "four"], ["c"]),
             node("If", ["c"], ["y"], then_branch=branch("yes", "Exp"), else_branch=branch("no", "Neg"))],
        [tensor("one", 1, np.int64), tensor("four", 4, np.int64)]),
    "function_18": model(18, [helper.make_node("Half", ["x"], ["h"], name="call", domain="local", slope=0.25),
                              node("Exp", ["h"], ["y"])], functions=[local_function()]),
    "simplified_norm": model(17, [node("SimplifiedLayerNormalization", ["x", "scale"], ["y"], epsilon=1e-3, axis=-1)],
                             [scale(6)]),
    "skip_simplified_norm": model(
        17, [node("SkipSimplifiedLayerNormalization", ["x", "skip", "scale"], ["n", "", "", "sum"], MS, epsilon=1e-3),
             node("Add", ["n", "sum"], ["y"])], [scale(6)], extra=[("skip", F, ("batch", 4, 6))]),
    "skip_norm": model(
        17, [node("SkipLayerNormalization", ["x", "skip", "scale", "beta", "bias"], ["y"], MS, epsilon=1e-3)],
        [scale(6), tensor("beta", range(6)), tensor("bias", range(6))], extra=[("skip", F, ("batch", 4, 6))]),
    "bias_gelu": model(17, [node("BiasGelu", ["x", "b"], ["y"], MS)], [tensor("b", range(6))]),
    "fast_gelu": model(17, [node("FastGelu", ["x", "b"], ["y"], MS)], [tensor("b", range(6))]),
    "ms_gelu": model(17, [node("Gelu", ["x"], ["y"], MS)]),
    "quick_gelu": model(17, [node("QuickGelu", ["x"], ["y"], MS)]),
    "fused_matmul": model(17, [node("FusedMatMul", ["x", "x"], ["y"], MS, transB=1, alpha=0.5)]),
    "rotary_ms": model(
        17, [node("RotaryEmbedding", ["x", "p", "cos", "sin"], ["y"], MS, interleaved=1)],
        [tensor("cos", np.cos(np.arange(20)).reshape(10, 2)), tensor("sin", np.sin(np.arange(20)).reshape(10, 2))],
        shape=("batch", 3, "time", 4), extra=[("p", TensorProto.INT64, ("batch", "time"))]),
    "rotary_ms_flat": model(
        17, [node("RotaryEmbedding", ["x", "p", "cos", "sin"], ["y"], MS)],
        [tensor("cos", np.cos(np.arange(20)).reshape(10, 2)), tensor("sin", np.sin(np.arange(20)).reshape(10, 2))],
        shape=("batch", 4, 8), extra=[("p", TensorProto.INT64, ("batch", 4))]),
    "upsample_9": model(9, [node("Upsample", ["x", "s"], ["y"], mode="nearest")], [tensor("s", [1, 1, 2, 3])],
                        shape=("batch", 2, 4, 6)),
    "resize_10": model(10, [node("Resize", ["x", "s"], ["y"], mode="linear")], [tensor("s", [1, 1, 2, 3])],
                       shape=("batch", 2, 4, 6)),
    "resize_sizes_11": model(
        11, [node("Resize", ["x", "roi", "s", "n"], ["y"], mode="nearest", nearest_mode="floor",
                  coordinate_transformation_mode="asymmetric")],
        [tensor("roi", []), tensor("s", []), tensor("n", [2, 2, 8, 9], np.int64)], shape=(2, 2, 4, 6)),
    "grid_sample_16": model(16, [node("GridSample", ["x", "g"], ["y"], mode="bilinear")], shape=("batch", 2, 4, 6),
                            extra=[("g", F, ("batch", 3, 3, 2))]),
}

def few_bits(bits, n, k, block, zeros):
    """MatMulNBits of x [batch, 4, k] with n columns; zeros: None, "packed" or "float"."""
    random = np.random.default_rng(bits + n)
    blocks = -(-k // block)
    constants = [
        tensor("q", random.integers(0, 256, (n, blocks, block * bits // 8)), np.uint8),
        tensor("scales", random.uniform(0.01, 0.1, (n, blocks))),
    ]
    if zeros == "packed":
        constants.append(tensor("zeros", random.integers(0, 256, (n, -(-blocks * bits // 8))), np.uint8))
    if zeros == "float":
        constants.append(tensor("zeros", random.uniform(4, 12, (n, blocks))))
    names = ["x", *(constant.name for constant in constants)]
    return model(17, [node("MatMulNBits", names, ["y"], MS, K=k, N=n, bits=bits, block_size=block)], constants,
                 shape=("batch", 4, k))


MODELS |= {
    "matmul_4_bits": few_bits(4, 6, 64, 32, None),
    "matmul_4_bits_zeros": few_bits(4, 5, 40, 16, "packed"),
    "matmul_4_bits_float_zeros": few_bits(4, 5, 32, 16, "float"),
    "matmul_8_bits_zeros": few_bits(8, 3, 48, 32, "packed"),
    "quantize_13": model(
        13, [node("QuantizeLinear", ["x", "s", "z"], ["q"]), node("DequantizeLinear", ["q", "s", "z"], ["y"])],
        [tensor("s", 0.0625), tensor("z", 3, np.int8)]),
    "quantize_axis_19": model(
        19, [node("QuantizeLinear", ["x", "s", "z"], ["q"], axis=2),
             node("DequantizeLinear", ["q", "s", "z"], ["y"], axis=-1)],
        [tensor("s", np.linspace(0.01, 0.06, 6)), tensor("z", range(100, 106), np.uint8)]),
    "quantize_no_zero_10": model(
        10, [node("QuantizeLinear", ["x", "s"], ["q"]), node("DequantizeLinear", ["q", "s"], ["y"])],
        [tensor("s", 0.0625)]),
    "dequantized_weight_13": model(
        13, [node("DequantizeLinear", ["w", "s", "z"], ["f"], axis=1), node("MatMul", ["x", "f"], ["y"])],
        [tensor("w", np.arange(-15, 15).reshape(6, 5), np.int8), tensor("s", np.linspace(0.1, 0.5, 5)),
         tensor("z", range(5), np.int8)]),
}


def torch_pads():
    """The pads of torch.nn.functional.pad as torch.onnx writes them."""
    return [
        node("ConstantOfShape", ["two"], ["zeros"], value=tensor("", [0], np.int64)),
        node("Concat", ["given", "zeros"], ["all"], axis=0),
        node("Reshape", ["all", "pairs"], ["matrix"]),
        node("Slice", ["matrix", "last", "before", "first_axis", "minus"], ["turned"]),
        node("Transpose", ["turned"], ["columns"], perm=[1, 0]),
        node("Reshape", ["columns", "flat"], ["line"]),
        node("Cast", ["line"], ["pads"], to=TensorProto.INT64),
        node("Pad", ["x", "pads", "value"], ["y"], mode="constant"),
    ]


def int64s(**named):
    return [tensor(name, values, np.int64) for name, values in named.items()]


MODELS["torch_pad_13"] = model(
    13, torch_pads(),
    [*int64s(two=[2], given=[1, 2, 0, 3], pairs=[-1, 2], last=[-1], before=[-(2**63) + 1], first_axis=[0], minus=[-1],
             flat=[-1]), tensor("value", 0.5)])

def picture(opset, op, constants=(), **attributes):
    names = ["x", *(constant.name for constant in constants)]
    return model(opset, [node(op, names, ["y"], **attributes)], constants, shape=("batch", 4, 6, 7))


MODELS |= {
    "conv_11": picture(
        11, "Conv", [tensor("w", np.linspace(-1, 1, 8 * 2 * 9).reshape(8, 2, 3, 3)), tensor("b", np.arange(8))],
        group=2, auto_pad="SAME_UPPER", strides=[2, 1]),
    "convtranspose_11": picture(
        11, "ConvTranspose", [tensor("w", np.linspace(-1, 1, 4 * 2 * 6).reshape(4, 2, 2, 3))],
        group=2, strides=[2, 2], pads=[0, 1, 1, 0], output_padding=[1, 0]),
    "maxpool_9": picture(9, "MaxPool", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 0]),
    "maxpool_10": picture(10, "MaxPool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
    "averagepool_10": picture(10, "AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    "averagepool_11": picture(11, "AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 2]),
    "lppool_11": picture(11, "LpPool", kernel_shape=[2, 2], p=1),
    "globalpool_9": picture(9, "GlobalAveragePool"),
    "lrn_9": picture(9, "LRN", size=3, alpha=0.5, bias=1.5),
    "mvn_9": picture(9, "MeanVarianceNormalization", axes=[0, 2, 3]),
    "lpnormalization_9": picture(9, "LpNormalization", axis=1, p=1),
    "depthtospace_11": picture(11, "DepthToSpace", blocksize=2, mode="CRD"),
    "einsum_12": picture(12, "Einsum", [tensor("w", np.linspace(-1, 1, 28).reshape(4, 7))],
                         equation="bchw,cw->bh"),
}
SIZES = {"batch": 2, "time": 5}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    program = pathlib.Path(os.environ.get("TENON_ONNX_TEST", ROOT / "build/release/bin/onnx_test"))
    if not program.exists():
        pytest.skip(f"{program} is not built")
    path = tmp_path_factory.mktemp("forms")
    for name, proto in MODELS.items():
        onnx.save(proto, path / f"{name}.onnx")
    subprocess.run(
        [program, "--gtest_filter=Reader.RewritesAFolder"],
        check=True, stdout=subprocess.DEVNULL, env={**os.environ, "TENON_ONNX_REWRITE": str(path)},
    )
    return path


REAL = ("face-rfb-320", "magika-v3-3", "ppocr-cls", "sed-unet")


@pytest.mark.parametrize("name", REAL)
def test_real_model_computes_the_same(tmp_path, name):
    data = pathlib.Path(os.environ.get("TENON_TEST_DATA", ROOT.parent / "shared/data")) / "onnx" / name
    program = pathlib.Path(os.environ.get("TENON_ONNX_TEST", ROOT / "build/release/bin/onnx_test"))
    if not data.exists() or not program.exists():
        pytest.skip("no model or no program")
    shutil.copy(data / "model.onnx", tmp_path / "real.onnx")
    subprocess.run(
        [program, "--gtest_filter=Reader.RewritesAFolder"],
        check=True, stdout=subprocess.DEVNULL, env={**os.environ, "TENON_ONNX_REWRITE": str(tmp_path)},
    )
    refusal = tmp_path / "new/real.txt"
    assert not refusal.exists(), refusal.read_text()
    sessions = [onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
                for path in (data / "model.onnx", tmp_path / "new/real.onnx")]
    for case in sorted(data.glob("test_data_set_*")):
        feeds = {value.name: numpy_helper.to_array(onnx.load_tensor(case / f"input_{i}.pb"))
                 for i, value in enumerate(sessions[0].get_inputs())}
        names = [value.name for value in sessions[0].get_outputs()]
        assert [value.name for value in sessions[1].get_outputs()] == names
        for old, new in zip(*(session.run(names, feeds) for session in sessions)):
            # The same kernels but for fusion choices: a few thousand roundings at most.
            np.testing.assert_allclose(new, old, rtol=0, atol=2.0**-12 * max(1.0, float(np.abs(old).max())))


def compute(path, feeds):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(["y"], feeds)[0]


@pytest.mark.parametrize("name", MODELS)
def test_old_form_computes_the_same(folder, name):
    refusal = folder / "new" / f"{name}.txt"
    assert not refusal.exists(), refusal.read_text()
    new = folder / "new" / f"{name}.onnx"
    onnx.checker.check_model(str(new), full_check=True)
    random = np.random.default_rng(3)
    feeds = {}
    for value in MODELS[name].graph.input:
        shape = [SIZES[d.dim_param] if d.dim_param else d.dim_value for d in value.type.tensor_type.shape.dim]
        if value.type.tensor_type.elem_type == TensorProto.INT64:
            feeds[value.name] = random.integers(0, 10, shape)
        else:
            feeds[value.name] = random.standard_normal(shape).astype(np.float32)
    old = compute(folder / f"{name}.onnx", feeds)
    found = compute(new, feeds)
    assert found.shape == old.shape
    # Sums of at most 84 terms and a few roundings of float32, in another order.
    bound = 128 * 2.0**-24 * max(1.0, float(np.abs(old).max()))
    np.testing.assert_allclose(found, old, rtol=0, atol=bound)
