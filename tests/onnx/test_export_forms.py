"""Checks the sample files that onnx_test writes with tools that are not ours: the ONNX checker with
full shape inference, and ONNX Runtime against numpy in float64.

TENON_ONNX_SAMPLES names the folder they lie in; without it, TENON_ONNX_TEST names the onnx_test program that
writes them (default: build/release/bin/onnx_test)."""

import os
import pathlib
import subprocess

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

ROOT = pathlib.Path(__file__).resolve().parents[2]
OPSETS = (17, 18, 21, 23, 24, 25)
IR = {17: 8, 18: 8, 21: 10, 23: 11, 24: 12, 25: 13}

# The unit roundoff of the type a sample computes in.
ROUNDOFF = {"fp32": 2.0**-24, "fp16": 2.0**-11, "bf16": 2.0**-8}


def erf(x):
    import math

    return np.vectorize(math.erf)(x)


def ramp(shape, start, step):
    return (start + step * np.arange(int(np.prod(shape)))).reshape(shape)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rms_norm(x):
    return x / np.sqrt(np.mean(x * x, -1, keepdims=True) + 1e-3) * ramp((8,), 0.5, 0.25)


def layer_norm(x):
    centred = x - x.mean(-1, keepdims=True)
    normal = centred / np.sqrt(np.mean(centred**2, -1, keepdims=True) + 1e-3)
    return normal * ramp((8,), 0.5, 0.25) + ramp((8,), -1, 0.25)


def group_norm(x):
    groups = x.reshape(x.shape[0], 3, -1)
    centred = groups - groups.mean(-1, keepdims=True)
    normal = (centred / np.sqrt(np.mean(centred**2, -1, keepdims=True) + 1e-3)).reshape(x.shape)
    return normal * ramp((6, 1, 1), 0.5, 0.25) + ramp((6, 1, 1), -1, 0.25)


def rotary(x, cos, sin, positions=None, flat=False, interleaved=False, rotated=8):
    shape = x.shape
    if flat:
        x = x.reshape(*shape[:2], 3, 8)
    else:
        x = x.transpose(0, 2, 1, 3)
    if positions is not None:
        cos, sin = cos[positions], sin[positions]
    cos, sin = cos[:, :, None], sin[:, :, None]
    turning, rest = x[..., :rotated], x[..., rotated:]
    if interleaved:
        a, b = turning[..., ::2], turning[..., 1::2]
        turned = np.stack([a * cos - b * sin, b * cos + a * sin], -1).reshape(turning.shape)
    else:
        a, b = turning[..., : rotated // 2], turning[..., rotated // 2 :]
        turned = np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)
    x = np.concatenate([turned, rest], -1)
    return x.reshape(shape) if flat else x.transpose(0, 2, 1, 3)


REFERENCE = {
    "gelu": lambda x: x * 0.5 * (1 + erf(x / np.sqrt(2))),
    "gelu_tanh": lambda x: x * 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "swish": lambda x: x * sigmoid(x),
    "swish_alpha": lambda x: x * sigmoid(1.5 * x),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "cast": lambda x: x,
    "rms_norm": rms_norm,
    "layer_norm": layer_norm,
    "group_norm": group_norm,
    "rotary": rotary,
    "rotary_flat": lambda *a: rotary(*a, flat=True),
    "rotary_partial": lambda *a: rotary(*a, rotated=4),
    "rotary_interleaved": lambda *a: rotary(*a, interleaved=True),
    "rotary_flat_interleaved_partial": lambda *a: rotary(*a, flat=True, interleaved=True, rotated=4),
    "rotary_ready": rotary,
    "reduce_mean": lambda x: x.mean(-1, keepdims=True),
    "reduce_max_all": lambda x: x.max(),
    "reduce_sum": lambda x: x.sum((1, 2)),
    "split_even": lambda x: np.concatenate([x[..., 4:], x[..., :4]], -1),
    "split_uneven": lambda x: np.concatenate([x[..., 6:], x[..., :3]], -1),
    "split_sizes": lambda x: x[..., 3:],
    "pad": lambda x: np.pad(x, [(0, 0), (2, 3), (1, 0)], constant_values=2),
    "constant_of_shape": lambda x: x + 1.5,
    "linear": lambda x: x @ ramp((32, 24), -1, 1 / 512),
}

# Roundings that follow each other in the computation, and the largest magnitude on the way.
STEPS = 32
SIZES = {
    "batch_size": 2, "sequence_length": 5, "positions": 11, "height": 4, "width": 3,
}


@pytest.fixture(scope="session")
def samples(tmp_path_factory):
    given = os.environ.get("TENON_ONNX_SAMPLES")
    if given:
        return pathlib.Path(given)
    program = pathlib.Path(os.environ.get("TENON_ONNX_TEST", ROOT / "build/release/bin/onnx_test"))
    if not program.exists():
        pytest.skip(f"{program} is not built")
    folder = tmp_path_factory.mktemp("samples")
    subprocess.run(
        [program, "--gtest_filter=Samples.*"],
        check=True, stdout=subprocess.DEVNULL, env={**os.environ, "TENON_ONNX_SAMPLES": str(folder)},
    )
    return folder


def types_of(name):
    if name == "linear":
        return ["fp32", "fp16", "bf16"]
    both = {"gelu", "gelu_tanh", "swish", "swish_alpha", "cast", "rms_norm", "layer_norm", "group_norm", "rotary",
            "reduce_mean", "constant_of_shape"}
    return ["fp32", "fp16"] if name in both else ["fp32"]


CASES = [(name, kind, opset) for name in REFERENCE for kind in types_of(name) for opset in OPSETS]


def feeds_of(model):
    random = np.random.default_rng(7)
    feeds = {}
    for value in model.graph.input:
        shape = [SIZES[d.dim_param] if d.dim_param else d.dim_value for d in value.type.tensor_type.shape.dim]
        kind = value.type.tensor_type.elem_type
        if kind == onnx.TensorProto.INT64:
            feeds[value.name] = random.integers(0, SIZES["positions"], shape)
        else:
            dtype = np.float16 if kind == onnx.TensorProto.FLOAT16 else np.float32
            feeds[value.name] = random.standard_normal(shape).astype(dtype)
    return feeds


@pytest.mark.parametrize("name,kind,opset", CASES)
def test_file_is_valid(samples, name, kind, opset):
    path = samples / name / f"{kind}-{opset}" / "model.onnx"
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(path)
    assert model.ir_version == IR[opset]
    assert [(o.domain, o.version) for o in model.opset_import] == [("", opset)]
    assert [o.name for o in model.graph.output] == ["y"]
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    assert len(inferred.graph.node) == len(model.graph.node)


@pytest.mark.parametrize("name,kind,opset", [c for c in CASES if c[1] != "bf16"])
def test_values_are_right(samples, name, kind, opset):
    path = samples / name / f"{kind}-{opset}" / "model.onnx"
    model = onnx.load(path)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented as error:
        pytest.skip(f"ONNX Runtime has no kernel: {error}")
    feeds = feeds_of(model)
    (found,) = session.run(None, feeds)
    wide = [v.astype(np.float64) if v.dtype.kind == "f" else v for v in feeds.values()]
    expected = REFERENCE[name](*wide)
    assert found.shape == expected.shape
    bound = STEPS * ROUNDOFF[kind] * max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(found.astype(np.float64), expected, rtol=0, atol=bound)


@pytest.mark.parametrize("kind,dtype", [("fp32", np.float32), ("fp16", np.float16)])
def test_external_weights_are_exact_and_aligned(samples, kind, dtype):
    path = samples / "linear" / f"{kind}-17" / "model.onnx"
    model = onnx.load(path, load_external_data=False)
    (weight,) = model.graph.initializer
    place = {entry.key: entry.value for entry in weight.external_data}
    assert place["location"] == "model.onnx_data"
    assert int(place["offset"]) % 4096 == 0
    weight = numpy_helper.to_array(onnx.load(path).graph.initializer[0])
    step = np.float32(1 / 512)
    values = np.empty(32 * 24, np.float32)
    value = np.float32(-1)
    for i in range(values.size):
        values[i], value = value, value + step
    np.testing.assert_array_equal(weight, values.reshape(32, 24).astype(dtype))


def test_nodes_are_named_by_module(samples):
    model = onnx.load(samples / "gelu" / "fp32-17" / "model.onnx")
    names = [node.name for node in model.graph.node]
    assert names[-1] == "/model/layers.0/act/Gelu"
    assert all(name.startswith("/model/layers.0/act/Gelu/") for name in names[:-1])
