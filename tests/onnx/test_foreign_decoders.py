"""Decoders as other tools write them, in forms that only a rewrite of the graph can run: Tenon reads the file, moves
the cache inside, and answers as ONNX Runtime does.

Quantised files are compared with a twin whose weights this test dequantises with numpy and whose activations stay
float32, run by ONNX Runtime; what ONNX Runtime's integer kernels gave is recorded beside the file, and Tenon may be
no further from it than that twin."""

import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "onnx_fixtures"))
import check
from tenon_program import MODELS, ROOT, json_of

FIXTURES = ROOT / "tests/onnx_fixtures"
# Float32 in other orders over two layers of width 32: see tests/models.
TOLERANCE = 1e-4
EXACT = {
    "genai-llama-fp32": "llama-theta-5e5",
    "optimum-llama-merged-14": "llama-gqa",
    "optimum-llama-two-files-14": "llama-gqa",
}


def compare(model, reference, code=0):
    return json_of("verify", model, "--reference", reference, "--precision", "fp32", "--atol", TOLERANCE, code=code)


def layers_with_cache(model, folder):
    made = json_of("build", model, "-o", folder / "x.tenon", "--precision", "fp32", "-O1", "--no-verify")
    return made["parts"]["model"]["layers"]


@pytest.mark.parametrize("name", EXACT)
def test_float_decoder(name, tmp_path):
    found = compare(FIXTURES / name, MODELS / EXACT[name] / "expected.npz")
    assert found["passed"] is True
    assert layers_with_cache(FIXTURES / name, tmp_path) == 2


def unpacked(graph, node):
    """[K, N] of a MatMulNBits node without zero points."""
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    k, n, block = given["K"], given["N"], given["block_size"]
    packed = values[node.input[1]].reshape(n, -1)
    numbers = np.stack([packed & 15, packed >> 4], -1).reshape(n, -1).astype(np.float32) - 8
    scales = values[node.input[2]].reshape(n, -1)
    return (numbers * np.repeat(scales, block, 1))[:, :k].T.copy()


def int4_twin(model):
    for node in model.graph.node:
        if node.op_type != "MatMulNBits":
            continue
        name = node.input[1] + "_float"
        model.graph.initializer.append(numpy_helper.from_array(unpacked(model.graph, node), name))
        node.CopyFrom(helper.make_node("MatMul", [node.input[0], name], node.output, node.name))
    return model


def int8_twin(model):
    """DynamicQuantizeLinear gives its input, 1 and 0; MatMulInteger multiplies floats."""
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    new = []
    for node in model.graph.node:
        if node.op_type == "DynamicQuantizeLinear":
            one = numpy_helper.from_array(np.float32(1), node.output[1])
            model.graph.initializer.append(one)
            node = helper.make_node("Identity", node.input, node.output[:1], node.name)
        elif node.op_type == "MatMulInteger":
            right = node.input[1]
            if right in values:
                zero = values[node.input[3]].astype(np.float32)
                right += "_float"
                if all(tensor.name != right for tensor in model.graph.initializer):
                    numbers = values[node.input[1]].astype(np.float32) - zero
                    model.graph.initializer.append(numpy_helper.from_array(numbers, right))
            node = helper.make_node("MatMul", [node.input[0], right], node.output, node.name)
        new.append(node)
    del model.graph.node[:]
    model.graph.node.extend(new)
    return model


TWINS = {"genai-llama-int4": int4_twin, "optimum-llama-int8": int8_twin}


@pytest.mark.parametrize("name", TWINS)
def test_quantised_decoder(name, tmp_path):
    path = next((FIXTURES / name).glob("*.onnx"))
    recorded = np.load(FIXTURES / name / "onnxruntime.npz")
    onnx.save(TWINS[name](onnx.load(path)), tmp_path / "twin.onnx")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    twin = onnxruntime.InferenceSession(tmp_path / "twin.onnx", options, providers=["CPUExecutionProvider"])
    logits = check.plain_logits(twin, recorded["ids"])
    np.savez(tmp_path / "twin.npz", ids=recorded["ids"], logits=logits)
    assert compare(FIXTURES / name, tmp_path / "twin.npz")["passed"] is True
    assert layers_with_cache(FIXTURES / name, tmp_path) == 2
    # Rounding of activations to integers is all that separates both from the recording.
    apart = float(np.abs(logits - recorded["logits"]).max())
    assert apart < 0.1 * float(np.abs(logits).max())
    found = compare(FIXTURES / name, FIXTURES / name / "onnxruntime.npz", code=1)
    assert found["metrics"]["max_abs"] <= apart + TOLERANCE
