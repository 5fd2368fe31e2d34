"""Programs that others wrote to ask such servers: curl, AIPerf."""

import json
import pathlib
import shutil
import subprocess

import pytest
from tenon_program import DEMO, ROOT


def program(name):
    """From the PATH or from the tools that `scripts/setup --long` installs."""
    found = shutil.which(name) or shutil.which(name, path=ROOT / f".venv-{name}/bin")
    if found is None:
        pytest.skip(f"{name} is not installed: scripts/setup --long does it")
    return found


def curl(*arguments):
    made = subprocess.run([program("curl"), "-sS", *map(str, arguments)], capture_output=True, timeout=120)
    assert made.returncode == 0, made.stderr
    return made.stdout


def test_curl_infers_as_the_open_inference_protocol_shows(server):
    body = {"inputs": [{"name": "A", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]},
                       {"name": "B", "shape": [1, 4], "datatype": "FP32", "data": [[1, 1, 1, 1]]},
                       {"name": "ID", "shape": [1], "datatype": "INT64", "data": [41]}]}
    answer = json.loads(curl("-d", json.dumps(body), f"http://127.0.0.1:{server.http}/v2/models/sums/infer"))
    outputs = {output["name"]: output["data"] for output in answer["outputs"]}
    assert outputs == {"SUM": [2, 3, 4, 5], "SHIFTED": [42]}


def test_curl_reads_a_stream_as_it_comes(server):
    body = {"model": "llama-verse", "prompt": "The", "max_tokens": 8, "temperature": 0, "stream": True}
    lines = curl("-N", "-H", "Content-Type: application/json", "-d", json.dumps(body),
                 f"http://127.0.0.1:{server.openai}/v1/completions").decode().split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    streamed = "".join(json.loads(line[len("data: "):])["choices"][0]["text"] for line in lines[:-2])
    whole = server.v1("POST", "/v1/completions", {**body, "stream": False})
    assert streamed == whole["choices"][0]["text"]


def test_curl_is_told_with_an_exit_code_that_a_model_is_unknown(server):
    made = subprocess.run([program("curl"), "-sS", "-f", f"http://127.0.0.1:{server.http}/v2/models/nobody"],
                          capture_output=True, timeout=60)
    assert made.returncode == 22  # an HTTP error


def test_aiperf_profiles_chats(server, tmp_path):
    command = [program("aiperf"), "profile", "--model", "neox-instruct", "--tokenizer", DEMO / "neox-instruct",
               "--url", f"http://127.0.0.1:{server.openai}", "--endpoint-type", "chat", "--streaming",
               "--request-count", 6, "--concurrency", 2, "--synthetic-input-tokens-mean", 24,
               "--output-tokens-mean", 12, "--extra-inputs", "ignore_eos:true", "--ui", "none",
               "--artifact-dir", tmp_path]
    made = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert made.returncode == 0, made.stdout[-3000:] + made.stderr[-3000:]
    report = json.loads(next(pathlib.Path(tmp_path).rglob("profile_export_aiperf.json")).read_text())
    assert report["request_count"]["avg"] == 6
    assert report.get("error_request_count", {"avg": 0})["avg"] == 0
    assert report["time_to_first_token"]["avg"] > 0
    assert report["output_sequence_length"]["avg"] == pytest.approx(12, abs=1)  # words cut elsewhere count anew
