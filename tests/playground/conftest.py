"""A browser, and a server with a model of each kind for it."""

import pathlib
import shutil
import sys

import onnx
import pytest
from onnx import TensorProto, helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "serving"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from serving import serving
from tenon_program import DEMO, ROOT


@pytest.fixture(scope="session")
def doubler(tmp_path_factory):
    """DOUBLE = A + A"""
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in ("A", "DOUBLE")]
    graph = helper.make_graph([helper.make_node("Add", ["A", "A"], ["DOUBLE"])], "doubler", value[:1], value[1:])
    path = tmp_path_factory.mktemp("models") / "doubler.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


@pytest.fixture(scope="session")
def server(doubler):
    sources = [DEMO / "llama-verse", DEMO / "neox-instruct", f"pictures={ROOT / 'tests/models_images/pipeline'}", doubler]
    with serving(*sources, "--precision", "fp32", "--threads", 1) as running:
        yield running


@pytest.fixture(scope="session")
def chromium():
    from page import start_chromium

    if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
        pytest.skip("chromium and chromium-driver are not installed")
    driver = start_chromium()
    yield driver
    driver.quit()


@pytest.fixture
def page(chromium, server):
    from page import Page

    made = Page(chromium, f"http://127.0.0.1:{server.openai}/")
    made.size(1280, 900)
    made.prefer(scheme="light", motion="no-preference")
    made.open()
    yield made
    chromium.execute_script("sessionStorage.clear()")
    chromium.get("about:blank")
