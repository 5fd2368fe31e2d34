"""Model repositories for the tests of batching and of sequences."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from serving import serving

WIDTH = 1024


def save(folder, graph):
    (folder / "1").mkdir(parents=True)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, folder / "1" / "model.onnx")


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def slow_graph(layers=60):
    """Y = X W W ... : some ten milliseconds a row, from one matrix."""
    matrix = np.random.default_rng(3).standard_normal((WIDTH, WIDTH)).astype(np.float32) / WIDTH**0.5
    names = ["X"] + [f"h{i}" for i in range(layers - 1)] + ["Y"]
    nodes = [helper.make_node("MatMul", [names[i], "W"], [names[i + 1]]) for i in range(layers)]
    return helper.make_graph(nodes, "slow", [value("X", TensorProto.FLOAT, ["n", WIDTH])],
                             [value("Y", TensorProto.FLOAT, ["n", WIDTH])], [numpy_helper.from_array(matrix, "W")])


def quick_graph():
    """Y = X + X, of as many columns as the request has."""
    return helper.make_graph([helper.make_node("Add", ["X", "X"], ["Y"])], "quick",
                             [value("X", TensorProto.FLOAT, ["n", "columns"])],
                             [value("Y", TensorProto.FLOAT, ["n", "columns"])])


def counting_graph():
    """SUM of what a sequence has sent, and the controls as the model sees them."""
    return helper.make_graph(
        [helper.make_node("Add", ["STATE", "X"], ["SUM"]),
         helper.make_node("Add", ["STATE", "X"], ["NEXT"]),
         helper.make_node("Concat", ["START", "READY", "END"], ["SEEN"], axis=1),
         helper.make_node("Identity", ["CORRID"], ["ID"])],
        "counting",
        [value(name, TensorProto.FLOAT, ["n", 1]) for name in ("X", "STATE", "START", "READY", "END")]
        + [value("CORRID", TensorProto.INT64, ["n", 1])],
        [value("SUM", TensorProto.FLOAT, ["n", 1]), value("NEXT", TensorProto.FLOAT, ["n", 1]),
         value("SEEN", TensorProto.FLOAT, ["n", 3]), value("ID", TensorProto.INT64, ["n", 1])])


def repository(folder, models):
    """A folder of models: name -> (graph, text of config.pbtxt)."""
    for name, (graph, config) in models.items():
        save(folder / name, graph)
        if config is not None:
            (folder / name / "config.pbtxt").write_text(f'name: "{name}"\n{config}')
    return folder


def serving_repository(folder, models, *arguments):
    return serving(repository(folder, models), "--precision", "fp32", "--no-access-log", *arguments)


def infer(server, model, arrays, parameters=None, connection=None):
    """(status, headers, outputs by name or the error) of one request, tensors as bytes."""
    import json

    kinds = {"float32": "FP32", "int64": "INT64"}
    head = {"inputs": [{"name": name, "datatype": kinds[str(array.dtype)], "shape": list(array.shape),
                        "parameters": {"binary_data_size": array.nbytes}} for name, array in arrays.items()],
            "parameters": {"binary_data_output": True, **(parameters or {})}}
    text = json.dumps(head).encode()
    body = text + b"".join(array.tobytes() for array in arrays.values())
    status, headers, answer = server.ask(server.http, "POST", f"/v2/models/{model}/infer", body,
                                         {"Inference-Header-Content-Length": str(len(text))})
    if status != 200:
        return status, headers, json.loads(answer)["error"]
    size = int(headers["Inference-Header-Content-Length"])
    outputs, at = {}, size
    for one in json.loads(answer[:size])["outputs"]:
        dtype = {"FP32": np.float32, "INT64": np.int64}[one["datatype"]]
        length = one["parameters"]["binary_data_size"]
        outputs[one["name"]] = np.frombuffer(answer[at:at + length], dtype).reshape(one["shape"])
        at += length
    return status, headers, outputs
