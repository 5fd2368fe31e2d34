"""Small models for repositories, and what their answers must be."""

import onnx
from onnx import TensorProto, helper


def scale_model(path, factor, extra=0):
    """Y and Z are X times the factor: an answer tells which model gave it. `extra` adds floats of weight."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = ["n", 4]
    values = [helper.make_tensor("factor", TensorProto.FLOAT, [1], [factor])]
    nodes = [helper.make_node("Mul", ["X", "factor"], ["Y"])]
    if extra:
        values.append(helper.make_tensor("weight", TensorProto.FLOAT, [4, extra], [0.0] * (4 * extra)))
        values.append(helper.make_tensor("back", TensorProto.FLOAT, [extra, 4], [0.0] * (4 * extra)))
        nodes += [helper.make_node("MatMul", ["X", "weight"], ["wide"]),
                  helper.make_node("MatMul", ["wide", "back"], ["nothing"]),
                  helper.make_node("Add", ["Y", "nothing"], ["Z"])]
    else:
        nodes.append(helper.make_node("Mul", ["X", "factor"], ["Z"]))
    graph = helper.make_graph(
        nodes, "scale", [helper.make_tensor_value_info("X", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("Y", "Z")], values)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def config(folder, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.pbtxt").write_text(text)


BODY = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}


def factor_of(answer):
    """The factor that gave this answer to BODY; all of it must be of one."""
    outputs = {one["name"]: one["data"] for one in answer["outputs"]}
    factor = outputs["Y"][0]
    assert outputs["Y"] == [factor * x for x in (1, 2, 3, 4)] and outputs["Z"] == outputs["Y"]
    return factor
