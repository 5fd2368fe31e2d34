"""`tenon bench --server` on `tenon serve`: every protocol that both speak."""

import pytest

from serving import serving
from tenon_program import DEMO, ROOT, json_of

NEW = 8


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    import onnx
    from onnx import TensorProto, helper

    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in ("A", "DOUBLE")]
    graph = helper.make_graph([helper.make_node("Add", ["A", "A"], ["DOUBLE"])], "doubler", value[:1], value[1:])
    doubler = tmp_path_factory.mktemp("models") / "doubler.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), doubler)
    with serving(DEMO / "neox-instruct", DEMO / "llama-verse", f"pictures={ROOT / 'tests/models_images/pipeline'}",
                 doubler, "--precision", "fp32", "--threads", 1) as running:
        yield running


def bench(server, port, *arguments):
    return json_of("bench", "--server", f"http://127.0.0.1:{port}", "--prompt-tokens", 24, "--new-tokens", NEW,
                   "--requests", 4, *arguments)


@pytest.mark.parametrize("load", [["--concurrency", "1,3"], ["--request-rate", 20]])
@pytest.mark.parametrize("api, model", [("openai-chat", "neox-instruct"), ("openai", "llama-verse")])
def test_text(server, api, model, load):
    result = bench(server, server.openai, "--api", api, "--model", model, *load)
    for level in result["levels"]:
        assert (level["sent"], level["completed"], level["failed"]) == (4, 4, 0), level["errors"]
        assert level["tokens_counted_by"] == "usage" and level["output_tokens"] == 4 * NEW
        assert level["prompt_tokens_per_request"]["max"] <= 48
        assert 0 < level["ttft_ms"]["min"] <= level["e2e_ms"]["max"]


def test_generate(server):
    result = bench(server, server.http, "--api", "kserve-generate", "--model", "llama-verse", "--concurrency", 2)
    level, = result["levels"]
    assert level["completed"] == 4 and level["failed"] == 0, level["errors"]
    assert level["pieces"] > 4


def test_tensors(server):
    result = bench(server, server.http, "--api", "kserve", "--model", "doubler", "--shape", "A:16,4",
                   "--concurrency", "1,4")
    for level in result["levels"]:
        assert level["completed"] == 4 and level["failed"] == 0, level["errors"]


def test_pictures(server):
    result = bench(server, server.openai, "--api", "images", "--model", "pictures", "--extra", '{"steps": 2}',
                   "--concurrency", 2)
    level, = result["levels"]
    assert level["completed"] == 4 and level["failed"] == 0, level["errors"]
