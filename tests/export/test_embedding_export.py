"""Decoders exported with --embeddings, computed by ONNX Runtime, beside the pooled states of transformers."""

import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from tenon_program import MODELS, ROOT, refuse, succeed

RECORDED = np.load(MODELS / "embeddings.npz")
NAMES = sorted({name.rsplit(".", 1)[0] for name in RECORDED})

# Two float32 implementations: see tests/models/pooling_test.cpp.
ATOL = 1e-4


def export(name, pooling, folder, *flags):
    succeed("export", MODELS / name, folder, "--embeddings", pooling, *flags)
    return folder / "model.onnx"


def compute(path, ids, mask):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    model = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return model.run(["sentence_embedding"], {"input_ids": ids, "attention_mask": mask})[0]


def padded(name, length=12):
    """The recorded texts, each on the right, on the left and amid padding, and a row of padding alone."""
    expected = np.load(MODELS / name / "expected.npz")
    ids, masks = [], []
    for row, kept in zip(expected["left_ids"], expected["left_mask"]):
        text = row[kept != 0]
        for left in (0, length - len(text), (length - len(text)) // 2):
            ids.append(np.ones(length, np.int64))
            masks.append(np.zeros(length, np.int64))
            ids[-1][left:left + len(text)] = text
            masks[-1][left:left + len(text)] = 1
    return np.array(ids + [ids[0]]), np.array(masks + [np.zeros(length, np.int64)])


@pytest.mark.parametrize("pooling", ["mean", "last"])
@pytest.mark.parametrize("name", NAMES)
def test_pooled_states(tmp_path, name, pooling):
    made = compute(export(name, pooling, tmp_path), *padded(name))
    np.testing.assert_allclose(made[:-1], np.repeat(RECORDED[f"{name}.{pooling}"], 3, axis=0), rtol=0, atol=ATOL)
    assert not made[-1].any()


def test_ports(tmp_path):
    model = onnx.load(export("llama-gqa", "mean", tmp_path))
    onnx.checker.check_model(model, full_check=True)

    def ports(values):
        return [(one.name, one.type.tensor_type.elem_type,
                 [dim.dim_param or dim.dim_value for dim in one.type.tensor_type.shape.dim]) for one in values]

    sizes = ["batch_size", "sequence_length"]
    assert ports(model.graph.input) == [("input_ids", TensorProto.INT64, sizes), ("attention_mask", TensorProto.INT64, sizes)]
    assert ports(model.graph.output) == [("sentence_embedding", TensorProto.FLOAT, ["batch_size", 32])]


@pytest.mark.parametrize("opset", [18, 25])
def test_opsets(tmp_path, opset):
    onnx.checker.check_model(onnx.load(export("neox-parallel", "last", tmp_path, "--opset", opset)), full_check=True)


def test_half_weights_give_floats(tmp_path):
    made = compute(export("llama-gqa", "mean", tmp_path, "--dtype", "fp16"), *padded("llama-gqa"))
    assert made.dtype == np.float32
    wanted = np.repeat(RECORDED["llama-gqa.mean"], 3, axis=0)
    # 12 sums in a row, each rounded to half: 12 * 2^-11 of states of order 2.
    np.testing.assert_allclose(made[:-1], wanted, rtol=0, atol=12 * 2**-11 * 2)


def test_pictures_have_no_states_to_pool(tmp_path):
    pictures = ROOT / "tests/models_images/pipeline"
    assert "--embeddings" in refuse(2, "export", pictures, tmp_path / "out", "--embeddings", "mean")
    assert "--embeddings" in refuse(2, "build", pictures, "-o", tmp_path / "out.tenon", "--embeddings", "mean")
