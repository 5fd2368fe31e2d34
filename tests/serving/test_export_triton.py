"""`tenon serve --export-triton`: what is written is read by Triton's own messages, ONNX Runtime and tenon."""

import pathlib
import sys

import numpy as np
import onnxruntime
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from models import scale_model
from serving import serving
from tenon_program import DEMO, MODELS, json_of, refuse

PICTURES = pathlib.Path(__file__).resolve().parents[1] / "models_images/pipeline"
SIZES = {"TYPE_INT64": np.int64, "TYPE_INT32": np.int32, "TYPE_FP32": np.float32, "TYPE_FP16": np.float16,
         "TYPE_BOOL": np.bool_}
NAMES = {np.int64: "INT64", np.int32: "INT32", np.float32: "FP32", np.bool_: "BOOL"}


def read_config(folder):
    return text_format.Parse((folder / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())


def numpy_type(tensor):
    return SIZES[model_config_pb2.DataType.Name(tensor.data_type)]


def full_dims(config, tensor):
    return ([-1] if config.max_batch_size else []) + list(tensor.dims)


def inputs_of(config):
    """Values of the shapes of the configuration; sizes that a request chooses are 2."""
    rng = np.random.default_rng(0)
    made = {}
    for tensor in config.input:
        shape = [2 if size < 0 else size for size in full_dims(config, tensor)]
        if tensor.name == "attention_mask":
            shape[-1] = 4  # past and new tokens
        kind = numpy_type(tensor)
        made[tensor.name] = (np.ones(shape, kind) if tensor.name == "attention_mask" else
                             rng.integers(0, 2, shape).astype(kind) if kind != np.float32 else
                             rng.standard_normal(shape).astype(kind))
    return made


def check_model(folder):
    """The configuration says what the ONNX file is. The answers of ONNX Runtime to inputs of its shapes."""
    config = read_config(folder)
    assert config.name == folder.name and config.backend == "onnxruntime"
    session = onnxruntime.InferenceSession(folder / "1" / config.default_model_filename)
    types = {"tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(float)": np.float32,
             "tensor(float16)": np.float16, "tensor(bool)": np.bool_}
    for have, said in ((session.get_inputs(), config.input), (session.get_outputs(), config.output)):
        assert [one.name for one in have] == [one.name for one in said]
        for one, tensor in zip(have, said):
            assert [size if isinstance(size, int) else -1 for size in one.shape] == full_dims(config, tensor)
            assert types[one.type] == numpy_type(tensor)
    return config, dict(zip([one.name for one in session.get_outputs()], session.run(None, inputs_of(config))))


def ask(server, config, inputs):
    body = {"inputs": [{"name": name, "datatype": NAMES[value.dtype.type], "shape": list(value.shape),
                        "data": value.ravel().tolist()} for name, value in inputs.items()]}
    answer = server.v2("POST", f"/v2/models/{config.name}/infer", body)
    return {one["name"]: np.array(one["data"]).reshape(one["shape"]) for one in answer["outputs"]}


def test_round_trip(tmp_path):
    scale = scale_model(tmp_path / "scale.onnx", 3)
    folder = tmp_path / "triton"
    written = json_of("serve", DEMO / "llama-verse", f"pictures={PICTURES}", scale, "--export-triton", folder)
    names = written["models"]
    assert {"llama-verse", "scale", "pictures_text_encoder", "pictures_unet", "pictures_vae_decoder"} <= set(names)
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    wanted = {name: check_model(folder / name) for name in names}
    assert wanted["llama-verse"][0].max_batch_size == 8
    assert wanted["scale"][0].max_batch_size == 0  # nobody knows whether its rows are independent
    with serving(folder, "--precision", "fp32", "--threads", 1) as server:
        for config, outputs in wanted.values():
            answers = ask(server, config, inputs_of(config))
            for name, value in outputs.items():
                # fp32 sums in another order: tests/export holds the graphs themselves to 1e-5.
                error = np.abs(answers[name] - value).max() / max(np.abs(value).max(), 1)
                assert error < 1e-4, (config.name, name, error)


def test_plans(tmp_path):
    folder = tmp_path / "triton"
    json_of("serve", DEMO / "llama-verse", f"pictures={PICTURES}", "--export-triton", folder,
            "--export-triton-backend", "tensorrt")
    readme = (folder / "README.md").read_text()
    for name in ("llama-verse", "pictures_unet"):
        config = read_config(folder / name)
        assert config.platform == "tensorrt_plan" and config.default_model_filename == "model.plan"
        assert list((folder / name / "1").iterdir()) == []
        assert f"trtexec --onnx={name}/onnx/model.onnx --saveEngine={name}/1/model.plan" in readme
        session = onnxruntime.InferenceSession(folder / name / "onnx/model.onnx")
        # The shapes of each profile fit the model.
        line = readme[readme.index(f"--onnx={name}/"):].split("\n```")[0]
        for flag in ("--minShapes=", "--optShapes=", "--maxShapes="):
            shapes = dict(one.split(":") for one in line[line.index(flag) + len(flag):].split(" ")[0].split("\n")[0].split(","))
            for one in session.get_inputs():
                sizes = [int(size) for size in shapes[one.name].split("x")]
                assert len(sizes) == len(one.shape)
                assert all(isinstance(want, str) or want == size for want, size in zip(one.shape, sizes))
    assert "execution_accelerators" in readme
    assert "give its ONNX file" in refuse(3, "serve", folder, "--http-port", 0, "--grpc-port", 0, "--openai-port", 0, "--metrics-port", 0)


def test_appears_whole_or_not_at_all(tmp_path):
    folder = tmp_path / "triton"
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    refuse(3, "serve", scale_model(tmp_path / "a.onnx", 2), broken, "--export-triton", folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "broken.onnx"]
    folder.mkdir()
    assert "is there already" in refuse(2, "serve", tmp_path / "a.onnx", "--export-triton", folder)
    assert "two models" in refuse(2, "serve", tmp_path / "a.onnx", f"a={tmp_path / 'a.onnx'}", "--export-triton", tmp_path / "b")
