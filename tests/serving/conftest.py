"""One server for most tests, with a model of each kind."""

import pathlib
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from serving import serving
from tenon_program import DEMO, ROOT

PICTURES = ROOT / "tests/models_images/pipeline"


def sum_model(path):
    """SUM = A + B and SHIFTED = ID + 1, on sizes that the request chooses."""
    shape = ["n", 4]
    graph = helper.make_graph(
        [helper.make_node("Add", ["A", "B"], ["SUM"]), helper.make_node("Add", ["ID", "one"], ["SHIFTED"])],
        "sums",
        [helper.make_tensor_value_info("A", TensorProto.FLOAT, shape),
         helper.make_tensor_value_info("B", TensorProto.FLOAT, shape),
         helper.make_tensor_value_info("ID", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("SUM", TensorProto.FLOAT, shape),
         helper.make_tensor_value_info("SHIFTED", TensorProto.INT64, ["n"])],
        [helper.make_tensor("one", TensorProto.INT64, [1], [1])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


@pytest.fixture(scope="session")
def sums(tmp_path_factory):
    return sum_model(tmp_path_factory.mktemp("sums") / "sums.onnx")


@pytest.fixture(scope="session")
def server(sums):
    sources = [DEMO / "llama-verse", DEMO / "neox-instruct", f"pictures={PICTURES}", sums]
    with serving(*sources, "--precision", "fp32", "--threads", 1) as running:
        yield running
