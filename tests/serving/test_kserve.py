"""KServe v2: metadata, inference as JSON and as bytes, repository, generation."""

import json
import struct

import numpy as np
import pytest

from tenon_program import DEMO, json_of

A = [[1.5, 2, 3, 4], [5, 6, 7, -8.25]]
IDS = [41, 7]


def tensor(name, datatype, shape, data=None, **parameters):
    made = {"name": name, "datatype": datatype, "shape": shape}
    if data is not None:
        made["data"] = data
    if parameters:
        made["parameters"] = parameters
    return made


def sums_request(**changes):
    body = {"inputs": [tensor("A", "FP32", [2, 4], A), tensor("B", "FP32", [2, 4], [1] * 8),
                       tensor("ID", "INT64", [2], IDS)]}
    body.update(changes)
    return body


def test_server(server):
    assert server.v2("GET", "/v2/health/live") is None
    assert server.v2("GET", "/v2/health/ready") is None
    about = server.v2("GET", "/v2")
    assert about["name"] == "tenon" and "binary_tensor_data" in about["extensions"]


def test_metadata(server):
    found = server.v2("GET", "/v2/models/sums")
    assert found == server.v2("GET", "/v2/models/sums/versions/1")
    assert found["platform"] == "tenon" and found["versions"] == ["1"]
    assert {one["name"]: (one["datatype"], one["shape"]) for one in found["inputs"]} == {
        "A": ("FP32", [-1, 4]), "B": ("FP32", [-1, 4]), "ID": ("INT64", [-1])}
    config = server.v2("GET", "/v2/models/sums/config")
    assert config["input"][0]["data_type"] == "TYPE_FP32"
    assert "is not found" in server.v2("GET", "/v2/models/nothing", code=404)["error"]
    assert "version 2" in server.v2("GET", "/v2/models/sums/versions/2", code=404)["error"]
    server.v2("GET", "/v2/models/sums/ready")


@pytest.mark.parametrize("data", [A, [x for row in A for x in row]])
def test_infer_json(server, data):
    request = sums_request(id="first")
    request["inputs"][0]["data"] = data
    answer = server.v2("POST", "/v2/models/sums/infer", request)
    assert answer["id"] == "first" and answer["model_name"] == "sums" and answer["model_version"] == "1"
    outputs = {one["name"]: one for one in answer["outputs"]}
    assert outputs["SUM"]["data"] == [x + 1 for row in A for x in row]
    assert outputs["SUM"]["shape"] == [2, 4]
    assert outputs["SHIFTED"]["data"] == [42, 8]


def test_infer_binary(server):
    a = np.array(A, np.float32).tobytes()
    ids = np.array(IDS, np.int64).tobytes()
    head = json.dumps({
        "inputs": [tensor("A", "FP32", [2, 4], binary_data_size=len(a)), tensor("B", "FP32", [2, 4], [0.5] * 8),
                   tensor("ID", "INT64", [2], binary_data_size=len(ids))],
        "outputs": [{"name": "SHIFTED", "parameters": {"binary_data": True}}, {"name": "SUM"}],
    }).encode()
    status, headers, body = server.ask(server.http, "POST", "/v2/models/sums/infer", head + a + ids,
                                       {"Inference-Header-Content-Length": str(len(head))})
    assert status == 200, body
    size = int(headers["Inference-Header-Content-Length"])
    answer = json.loads(body[:size])
    assert [one["name"] for one in answer["outputs"]] == ["SHIFTED", "SUM"]
    assert answer["outputs"][0]["parameters"]["binary_data_size"] == 16
    assert np.frombuffer(body[size:], np.int64).tolist() == [42, 8]
    assert answer["outputs"][1]["data"] == [x + 0.5 for row in A for x in row]


def test_classification(server):
    request = sums_request(outputs=[{"name": "SUM", "parameters": {"classification": 2}}])
    (output,) = server.v2("POST", "/v2/models/sums/infer", request)["outputs"]
    assert output["datatype"] == "BYTES" and output["shape"] == [2, 2]
    assert output["data"] == ["5.000000:3", "4.000000:2", "8.000000:2", "7.000000:1"]


def run_ids(prompt, count):
    return json_of("run", DEMO / "llama-verse", "-p", prompt, "--temperature", 0, "--precision", "fp32",
                   "--max-new-tokens", count, "--threads", 1)


def test_text_by_infer_and_generate(server):
    wanted = run_ids("The night is", 24)["text"]
    parameters = {"max_tokens": 24, "temperature": 0}
    answer = server.v2("POST", "/v2/models/llama-verse/infer", {
        "inputs": [tensor("text_input", "BYTES", [1], ["The night is"])], "parameters": parameters})
    assert answer["outputs"][0]["data"] == [wanted]
    body = {"text_input": "The night is", "parameters": parameters}
    assert server.v2("POST", "/v2/models/llama-verse/generate", body)["text_output"] == wanted
    events = server.events(server.http, "/v2/models/llama-verse/generate_stream", body)
    assert len(events) > 5
    assert "".join(json.loads(event)["text_output"] for event in events) == wanted


def test_bytes_as_binary(server):
    text = "The night is".encode()
    blob = struct.pack("<I", len(text)) + text
    head = json.dumps({"inputs": [tensor("text_input", "BYTES", [1], binary_data_size=len(blob))],
                       "parameters": {"max_tokens": 8, "temperature": 0, "binary_data_output": True}}).encode()
    status, headers, body = server.ask(server.http, "POST", "/v2/models/llama-verse/infer", head + blob,
                                       {"Inference-Header-Content-Length": str(len(head))})
    assert status == 200, body
    tail = body[int(headers["Inference-Header-Content-Length"]):]
    assert tail[4:].decode() == run_ids("The night is", 8)["text"]
    assert struct.unpack("<I", tail[:4])[0] == len(tail) - 4


def test_picture(server):
    request = {"inputs": [tensor("prompt", "BYTES", [1], ["a cat"])],
               "parameters": {"steps": 2, "seed": 3, "binary_data_output": True}}
    status, headers, body = server.ask(server.http, "POST", "/v2/models/pictures/infer", request)
    assert status == 200, body
    size = int(headers["Inference-Header-Content-Length"])
    (output,) = json.loads(body[:size])["outputs"]
    assert output["datatype"] == "UINT8" and output["shape"][0] == 1 and output["shape"][3] == 3
    assert len(body) - size == int(np.prod(output["shape"]))


def test_statistics_and_metrics(server):
    def count():
        (stats,) = server.v2("GET", "/v2/models/sums/stats")["model_stats"]
        return stats["inference_stats"]["success"]["count"], stats["inference_stats"]["fail"]["count"]

    before = count()
    server.v2("POST", "/v2/models/sums/infer", sums_request())
    assert count() == (before[0] + 1, before[1])
    status, _, text = server.ask(server.metrics, "GET", "/metrics")
    lines = text.decode().splitlines()
    assert status == 200
    assert f'nv_inference_request_success{{model="sums",version="1"}} {before[0] + 1}' in lines
    assert any(line.startswith('nv_inference_request_failure{model="sums",version="1",reason="REJECTED"}')
               for line in lines)
    assert any(line.startswith('vllm:generation_tokens_total{model_name="llama-verse"') for line in lines)


def test_repository(server):
    index = {one["name"]: one for one in server.v2("POST", "/v2/repository/index")}
    assert index["sums"]["state"] == "READY"
    server.v2("POST", "/v2/repository/models/sums/unload")
    try:
        assert "no available versions" in server.v2("POST", "/v2/models/sums/infer", sums_request(), 404)["error"]
        index = {one["name"]: one for one in server.v2("POST", "/v2/repository/index", {})}
        assert index["sums"]["state"] == "UNAVAILABLE" and index["sums"]["reason"] == "unloaded"
    finally:
        server.v2("POST", "/v2/repository/models/sums/load")
    server.v2("POST", "/v2/models/sums/infer", sums_request())
    server.v2("POST", "/v2/repository/models/other/load", code=404)
    server.v2("POST", "/v2/repository/models/sums/load", {"parameters": {"file:1/model.onnx": "AAAA"}}, 400)


def test_triton_client(server):
    client_of = pytest.importorskip("tritonclient.http")
    client = client_of.InferenceServerClient(f"127.0.0.1:{server.http}")
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("sums")
    assert client.get_model_metadata("sums")["name"] == "sums"
    assert client.get_model_config("sums")["max_batch_size"] == 4
    inputs = []
    for name, values in (("A", np.array(A, np.float32)), ("B", np.ones((2, 4), np.float32)),
                         ("ID", np.array(IDS, np.int64))):
        one = client_of.InferInput(name, list(values.shape), "INT64" if name == "ID" else "FP32")
        one.set_data_from_numpy(values, binary_data=name != "B")
        inputs.append(one)
    outputs = [client_of.InferRequestedOutput("SUM", binary_data=True),
               client_of.InferRequestedOutput("SHIFTED", binary_data=False)]
    answer = client.infer("sums", inputs, outputs=outputs, request_id="7")
    assert answer.get_response()["id"] == "7"
    assert np.array_equal(answer.as_numpy("SUM"), np.array(A, np.float32) + 1)
    assert answer.as_numpy("SHIFTED").tolist() == [42, 8]
    with pytest.raises(Exception, match="is not found"):
        client.infer("nothing", inputs)
    text = client_of.InferInput("text_input", [1], "BYTES")
    text.set_data_from_numpy(np.array([b"The night is"], object))
    answer = client.infer("llama-verse", [text], parameters={"max_tokens": 8, "temperature": 0})
    assert answer.as_numpy("text_output")[0].decode() == run_ids("The night is", 8)["text"]
