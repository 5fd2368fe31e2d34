"""Traces and the log, as clients set them: the settings answer as Triton's do, and they act."""

import json
import time

import pytest

from serving import serving
from tenon_program import DEMO

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
SUMS = {"inputs": [{"name": "A", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]},
                   {"name": "B", "datatype": "FP32", "shape": [1, 4], "data": [1, 1, 1, 1]},
                   {"name": "ID", "datatype": "INT64", "shape": [1], "data": [1]}]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("traces")


@pytest.fixture(scope="module")
def traced(sums, folder):
    with serving(sums, DEMO / "llama-verse", "--trace-dir", folder, "--threads", 1) as running:
        yield running


@pytest.fixture(autouse=True)
def as_at_the_start(traced):
    yield
    names = ("trace_level", "trace_rate", "trace_count", "log_frequency", "trace_file")
    traced.v2("POST", "/v2/trace/setting", {name: None for name in names})
    for model in ("sums", "llama-verse"):
        traced.v2("POST", f"/v2/models/{model}/trace/setting", {})
    traced.v2("POST", "/v2/logging", {"log_info": True, "log_warning": True, "log_error": True, "log_verbose_level": 0,
                                      "log_format": "default", "log_file": ""})


def spans_of(path, lines=1):
    """Each line's spans; the line is written when the answer has been given."""
    end = time.monotonic() + 10
    while time.monotonic() < end and (not path.exists() or path.read_bytes().count(b"\n") < lines):
        time.sleep(0.01)
    return [json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"] for line in path.read_text().splitlines()]


def test_trace_settings(traced):
    start = {"trace_level": ["OFF"], "trace_rate": "1000", "trace_count": "-1", "log_frequency": "0",
             "trace_file": "traces.jsonl", "trace_mode": "opentelemetry"}
    assert traced.v2("GET", "/v2/trace/setting") == start
    assert traced.v2("GET", "/v2/models/sums/trace/setting") == start
    changed = traced.v2("POST", "/v2/models/sums/trace/setting", {"trace_rate": "5", "trace_level": ["TIMESTAMPS"]})
    assert changed == {**start, "trace_rate": "5", "trace_level": ["TIMESTAMPS"]}
    assert traced.v2("GET", "/v2/trace/setting") == start
    assert traced.v2("POST", "/v2/trace/setting", {"trace_count": "7"})["trace_count"] == "7"
    assert traced.v2("POST", "/v2/models/sums/trace/setting", {"trace_rate": None})["trace_rate"] == "1000"
    error = traced.v2("GET", "/v2/models/none/trace/setting", code=400)["error"]
    assert error == "Request for unknown model : none"


@pytest.mark.parametrize("body", [
    {"trace_level": ["OFF", "TIMESTAMPS"]}, {"trace_level": ["TENSORS"]}, {"trace_level": "MAX"}, {"trace_level": [5]},
    {"trace_rate": "x"}, {"trace_rate": 5}, {"trace_rate": "0"}, {"trace_rate": "99999999999"}, {"trace_count": "-2"},
    {"log_frequency": "-1"}, {"trace_file": "../x"}, {"trace_file": "/etc/passwd"}, {"trace_file": ".."},
    {"trace_file": "a/b"}, {"trace_file": ""}, {"trace_mode": "triton"}, {"other": "1"}, [], "x", 5])
def test_trace_refusals(traced, body):
    before = traced.v2("GET", "/v2/trace/setting")
    assert traced.v2("POST", "/v2/trace/setting", json.dumps(body), 400)["error"]
    assert traced.v2("GET", "/v2/trace/setting") == before


def test_spans_of_an_inference(traced, folder):
    traced.v2("POST", "/v2/models/sums/trace/setting",
              {"trace_level": ["TIMESTAMPS"], "trace_rate": "1", "trace_file": "sums.jsonl"})
    traced.v2("POST", "/v2/models/sums/infer", SUMS, headers={"traceparent": TRACE, "X-Request-Id": "mine"})
    (spans,) = spans_of(folder / "sums.jsonl")
    whole, *phases = spans
    assert whole["traceId"] == "4bf92f3577b34da6a3ce929d0e0e4736" and whole["parentSpanId"] == "00f067aa0ba902b7"
    assert whole["kind"] == 2 and whole["name"] == "sums"
    attributes = {one["key"]: one["value"]["stringValue"] for one in whole["attributes"]}
    assert attributes["tenon.request_id"] == "mine" and attributes["tenon.model_version"] == "1"
    assert {phase["name"] for phase in phases} <= {"input", "queue", "infer", "output"}
    assert "infer" in [phase["name"] for phase in phases]
    assert all(phase["parentSpanId"] == whole["spanId"] and phase["traceId"] == whole["traceId"] for phase in phases)
    begin, end = int(whole["startTimeUnixNano"]), int(whole["endTimeUnixNano"])
    assert abs(time.time() - end / 1e9) < 60
    for phase in phases:
        assert begin <= int(phase["startTimeUnixNano"]) <= int(phase["endTimeUnixNano"]) <= end
    end = time.monotonic() + 5
    while time.monotonic() < end and not any('"mine"' in line for line in traced.log):
        time.sleep(0.01)
    (line,) = [json.loads(line) for line in traced.log if '"mine"' in line]
    assert line["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"


def test_spans_of_a_text(traced, folder):
    traced.v2("POST", "/v2/models/llama-verse/trace/setting",
              {"trace_level": ["TIMESTAMPS"], "trace_rate": "1", "trace_file": "text.jsonl"})
    traced.v1("POST", "/v1/completions", {"model": "llama-verse", "prompt": "The night is", "max_tokens": 5})
    ((whole, *_),) = spans_of(folder / "text.jsonl")
    assert whole["events"][0]["name"] == "first_token"
    begin, end = int(whole["startTimeUnixNano"]), int(whole["endTimeUnixNano"])
    assert begin < int(whole["events"][0]["timeUnixNano"]) <= end
    counts = {one["key"]: one["value"].get("intValue") for one in whole["attributes"]}
    assert counts["gen_ai.usage.output_tokens"] == "5" and int(counts["gen_ai.usage.input_tokens"]) > 0
    assert "parentSpanId" not in whole and len(whole["traceId"]) == 32


def test_rate_count_and_files(traced, folder):
    traced.v2("POST", "/v2/trace/setting", {"trace_level": ["TIMESTAMPS"], "trace_rate": "3", "trace_count": "4",
                                            "log_frequency": "2", "trace_file": "rate"})
    for _ in range(20):
        traced.v2("POST", "/v2/models/sums/infer", SUMS)
    assert len(spans_of(folder / "rate.1", 2)) == 2
    assert len(spans_of(folder / "rate.0", 2)) == 2
    assert not (folder / "rate.2").exists()
    assert traced.v2("GET", "/v2/trace/setting")["trace_count"] == "0"


def test_a_sampled_trace_is_written_out_of_turn(traced, folder):
    traced.v2("POST", "/v2/trace/setting", {"trace_level": ["TIMESTAMPS"], "trace_file": "sampled"})
    traced.v2("POST", "/v2/models/sums/infer", SUMS, headers={"traceparent": TRACE})
    traced.v2("POST", "/v2/models/sums/infer", SUMS, headers={"traceparent": TRACE[:-2] + "01"})
    assert len(spans_of(folder / "sampled")) == 1


@pytest.mark.parametrize("header", ["", "x", TRACE + ", " + TRACE, TRACE.upper(), "ff" + TRACE[2:], "00-" + "0" * 32 + TRACE[35:],
                                    "a" * 20000])
def test_malformed_traceparent(traced, header):
    traced.v2("POST", "/v2/models/sums/infer", SUMS, headers={"traceparent": header})


def test_log_settings(traced, folder):
    start = {"log_file": "", "log_info": True, "log_warning": True, "log_error": True, "log_verbose_level": 0,
             "log_format": "default"}
    assert traced.v2("GET", "/v2/logging") == start
    changed = traced.v2("POST", "/v2/logging", {"log_file": "log.jsonl", "log_verbose_level": 1, "log_format": "ISO8601"})
    assert changed == {**start, "log_file": "log.jsonl", "log_verbose_level": 1, "log_format": "ISO8601"}
    traced.v2("GET", "/v2", headers={"X-Request-Id": "written"})
    traced.v2("POST", "/v2/logging", {"log_info": False})
    traced.v2("GET", "/v2", headers={"X-Request-Id": "hidden"})
    traced.v2("POST", "/v2/logging", {"log_info": True, "log_file": ""})
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    (line,) = [line for line in lines if line.get("id") == "written"]
    assert line["time"].endswith("Z") and line["status"] == 200
    assert "hidden" not in (folder / "log.jsonl").read_text()


@pytest.mark.parametrize("body", [{"log_info": 1}, {"log_verbose_level": -1}, {"log_verbose_level": "1"}, {"log_format": "x"},
                                  {"log_file": "../x"}, {"log_file": "/tmp/x"}, {"other": True}, [], {"log_info": [True]}])
def test_log_refusals(traced, body):
    before = traced.v2("GET", "/v2/logging")
    assert traced.v2("POST", "/v2/logging", json.dumps(body), 400)["error"]
    assert traced.v2("GET", "/v2/logging") == before


def test_without_a_folder(server):
    assert "--trace-dir" in server.v2("POST", "/v2/trace/setting", {"trace_level": ["TIMESTAMPS"]}, 400)["error"]
    assert server.v2("GET", "/v2/trace/setting")["trace_level"] == ["OFF"]
    assert "--trace-dir" in server.v2("POST", "/v2/logging", {"log_file": "x"}, 400)["error"]


def test_triton_client(traced):
    client_of = pytest.importorskip("tritonclient.http")
    client = client_of.InferenceServerClient(f"127.0.0.1:{traced.http}")
    assert client.update_trace_settings("sums", {"trace_rate": "9"})["trace_rate"] == "9"
    assert client.get_trace_settings()["trace_rate"] == "1000"
    assert client.update_log_settings({"log_verbose_level": 2})["log_verbose_level"] == 2
    assert client.get_log_settings()["log_verbose_level"] == 2
