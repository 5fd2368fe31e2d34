"""Exported ONNX beside what transformers answered for the same checkpoint, computed by ONNX Runtime.

Names and layout are those that users of optimum know; expected.npz is described in tests/models/README.md.
"""

import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from tenon_program import DEMO, MODELS, json_of, refuse, succeed

INDEX = json.loads((MODELS / "index.json").read_text())
WRONG = "llama-wrong-rotary"  # its recording is of the right model
NAMES = [name for name in INDEX if name != WRONG]

# Two float32 implementations that sum in another order: a few 1e-6 on logits of order 2.
ATOL = 1e-4


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """Exports a checkpoint, once for each set of flags."""
    made = {}

    def make(name, *flags):
        if (name, flags) not in made:
            folder = tmp_path_factory.mktemp("export") / "onnx"
            succeed("export", MODELS / name, folder, *flags)
            made[name, flags] = folder
        return made[name, flags]

    return make


def session(model):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def forward(model, ids, mask, positions, cache=None):
    """Outputs by name. Without a cache the past is of length 0."""
    feeds = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
    for value in model.get_inputs()[3:]:
        if cache is not None:
            feeds[value.name] = cache[value.name.replace("past_key_values", "present")]
        else:
            dtype = np.float16 if value.type == "tensor(float16)" else np.float32
            feeds[value.name] = np.zeros((len(ids), value.shape[1], 0, value.shape[3]), dtype)
    return dict(zip([value.name for value in model.get_outputs()], model.run(None, feeds)))


def plain(model, ids):
    positions = np.broadcast_to(np.arange(ids.shape[1]), ids.shape).copy()
    return forward(model, ids, np.ones_like(ids), positions)["logits"]


def decode(model, ids, steps):
    """Logits of the last position of the prompt and after each of the tokens that follow one by one."""
    start = ids.shape[1] - steps + 1
    made = forward(model, ids[:, :start], np.ones((1, start), np.int64), np.arange(start)[None])
    rows = [made["logits"][0, -1]]
    for at in range(start, ids.shape[1]):
        made = forward(model, ids[:, at:at + 1], np.ones((1, at + 1), np.int64), np.array([[at]]), made)
        rows.append(made["logits"][0, -1])
    return np.array(rows)


def errors(model, expected, cached=True):
    """The greatest difference of each kind of run."""
    mask = expected["left_mask"]
    left = forward(model, expected["left_ids"], mask, expected["left_position_ids"])["logits"]
    found = {
        "plain": plain(model, expected["ids"]) - expected["logits"],
        "left padding": (left - expected["left_logits"])[mask == 1],
    }
    if "long_ids" in expected:
        found["long"] = plain(model, expected["long_ids"]) - expected["long_logits"]
    if cached:
        wanted = expected["decode_step_logits"]
        found["decode"] = decode(model, expected["decode_ids"], len(wanted)) - wanted
    return {kind: float(np.abs(values.astype(np.float64)).max()) for kind, values in found.items()}


def expect_close(model, name, bound=ATOL, cached=True):
    found = errors(model, np.load(MODELS / name / "expected.npz"), cached)
    assert all(error <= bound for error in found.values()), f"{name}: {found}, allowed {bound}"


def layout(model):
    """(name, element type, dims) of each input or output."""
    def one(value):
        tensor = value.type.tensor_type
        return value.name, tensor.elem_type, [dim.dim_param or dim.dim_value for dim in tensor.shape.dim]

    return [one(value) for value in model.graph.input], [one(value) for value in model.graph.output]


def expected_layout(config, element, past=True):
    heads = config["num_attention_heads"]
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    cache = [config.get("num_key_value_heads") or heads, head_dim]
    whole = "past_sequence_length + sequence_length" if past else "sequence_length"
    inputs = [
        ("input_ids", TensorProto.INT64, ["batch_size", "sequence_length"]),
        ("attention_mask", TensorProto.INT64, ["batch_size", whole]),
        ("position_ids", TensorProto.INT64, ["batch_size", "sequence_length"]),
    ]
    outputs = [("logits", element, ["batch_size", "sequence_length", config["vocab_size"]])]
    if past:
        for layer in range(config["num_hidden_layers"]):
            for kind in ("key", "value"):
                inputs.append((f"past_key_values.{layer}.{kind}", element,
                               ["batch_size", cache[0], "past_sequence_length", cache[1]]))
                outputs.append((f"present.{layer}.{kind}", element, ["batch_size", cache[0], whole, cache[1]]))
    return inputs, outputs


def config_of(name):
    path = MODELS / name / "config.json"
    return json.loads((path if path.exists() else MODELS / "llama-gqa/config.json").read_text())


def check_file(folder, opset, name, element=TensorProto.FLOAT, past=True):
    path = folder / "model.onnx"
    onnx.checker.check_model(path, full_check=True)
    model = onnx.load(path, load_external_data=False)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", opset)]
    assert all(node.domain == "" for node in model.graph.node)
    assert layout(model) == expected_layout(config_of(name), element, past)


@pytest.mark.parametrize("name", NAMES)
def test_opset_17(export, name):
    folder = export(name)
    check_file(folder, 17, name)
    expect_close(session(folder / "model.onnx"), name)


@pytest.mark.parametrize("opset", [18, 21, 23, 24])
@pytest.mark.parametrize("name", ["llama-gqa", "llama-yarn", "neox-parallel"])
def test_other_opsets(export, name, opset):
    folder = export(name, "--opset", str(opset))
    check_file(folder, opset, name)
    expect_close(session(folder / "model.onnx"), name)


@pytest.mark.parametrize("name", ["llama-gqa", "neox-parallel"])
def test_without_past(export, name):
    folder = export(name, "--no-past")
    check_file(folder, 17, name, past=False)
    expect_close(session(folder / "model.onnx"), name, cached=False)


@pytest.mark.parametrize("opset", [17, 23])
@pytest.mark.parametrize("name", ["llama-gqa", "neox-parallel"])
def test_float16(export, name, opset):
    """Every operator rounds its result: by 2^-11 of it, and to first order the relative errors add up on the way.
    The norms bring each branch back to order 1, so no step multiplies them. The longest way through a layer (norm,
    projection, rotary, scores, softmax, values, projection, sum; norm, projection, gate, product, projection,
    sum) takes under 32 operators, and embedding, final norm and head as many again."""
    folder = export(name, "--dtype", "fp16", "--opset", str(opset))
    check_file(folder, opset, name, TensorProto.FLOAT16)
    roundings = 32 * (config_of(name)["num_hidden_layers"] + 1)
    largest = np.abs(np.load(MODELS / name / "expected.npz")["logits"]).max()
    expect_close(session(folder / "model.onnx"), name, roundings * 2.0**-11 * largest)


def widened(path):
    """The model with float32 wherever it says bfloat16: ONNX Runtime has no bfloat16 products on a CPU."""
    model = onnx.load(path)
    bf16, f32 = TensorProto.BFLOAT16, TensorProto.FLOAT

    def widen(tensor):
        if tensor.data_type == bf16:
            values = onnx.numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))

    for tensor in model.graph.initializer:
        widen(tensor)
    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        if value.type.tensor_type.elem_type == bf16:
            value.type.tensor_type.elem_type = f32
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                widen(attribute.t)
            elif node.op_type == "Cast" and attribute.name == "to" and attribute.i == bf16:
                attribute.i = f32
    return model.SerializeToString()


def test_bfloat16_is_lossless(export):
    """These weights are bfloat16 and the scale, a power of two, too: the same graph in float32 arithmetic is as exact
    as the float32 export. Constants that must not be rounded (cosines, epsilon, mask) would break the bound."""
    folder = export("llama-head-dim", "--dtype", "bf16")
    check_file(folder, 17, "llama-head-dim", TensorProto.BFLOAT16)
    expect_close(session(widened(folder / "model.onnx")), "llama-head-dim")


def test_bfloat16_scalars(export):
    """Here the scalars of GELU are rounded where they are stored, by at most 2^-9 each: three of them a layer, and
    each moves what it scales by that share of it."""
    folder = export("neox-serial", "--dtype", "bf16")
    check_file(folder, 17, "neox-serial", TensorProto.BFLOAT16)
    largest = np.abs(np.load(MODELS / "neox-serial/expected.npz")["logits"]).max()
    bound = 3 * config_of("neox-serial")["num_hidden_layers"] * 2.0**-9 * largest
    expect_close(session(widened(folder / "model.onnx")), "neox-serial", bound)


def test_recorded_fault_shows(export):
    """The comparison can fail: the planted checkpoint is far from the recording of the right one."""
    found = errors(session(export(WRONG) / "model.onnx"), np.load(MODELS / WRONG / "expected.npz"))
    assert found["plain"] > 100 * ATOL


@pytest.mark.parametrize("name", ["llama-gqa", "meta-1"])
def test_weights_lie_outside(export, name):
    """What optimum reads: config.json beside the model, weights in model.onnx_data."""
    folder = export(name)
    assert (folder / "config.json").exists()
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    places = {
        entry.value for tensor in model.graph.initializer for entry in tensor.external_data if entry.key == "location"
    }
    assert places == {"model.onnx_data"}


def test_tokenizer_goes_along(tmp_path):
    made = json_of("export", DEMO / "llama-verse", tmp_path / "out")
    assert made["opset"] == 17 and made["dtype"] == "fp32"
    for file in ("config.json", "generation_config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json"):
        assert (tmp_path / "out" / file).read_bytes() == (DEMO / "llama-verse" / file).read_bytes()


def test_same_bytes_twice(export, tmp_path):
    first = export("llama-gqa")
    succeed("export", MODELS / "llama-gqa", tmp_path / "again", "--threads", "1")
    for file in ("model.onnx", "model.onnx_data"):
        assert (first / file).read_bytes() == (tmp_path / "again" / file).read_bytes()


def test_only_checkpoints(export, tmp_path):
    message = refuse(2, "export", export("llama-gqa"), tmp_path / "out")
    assert "only a checkpoint" in message
    assert not (tmp_path / "out").exists()
