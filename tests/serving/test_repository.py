"""Folders of models: versions, configurations, what clients may load, and what is refused."""

import base64
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest
import tritonclient.http as triton

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from models import BODY, config, factor_of, scale_model
from serving import serving
from tenon_program import DEMO, PROGRAM, run

FAST = ["--precision", "fp32", "--threads", 1]
EXPLICIT = ["--model-control-mode", "explicit"]


def factor(server, model="scale", version=None, code=200):
    path = f"/v2/models/{model}" + (f"/versions/{version}" if version else "") + "/infer"
    answer = server.v2("POST", path, BODY, code)
    if code != 200:
        return answer["error"]
    assert answer["model_name"] == model and (version is None or answer["model_version"] == str(version))
    return factor_of(answer)


def index(server):
    return {(one["name"], one.get("version", "")): (one.get("state"), one.get("reason", ""))
            for one in server.v2("POST", "/v2/repository/index")}


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "models"
    for version in (1, 2, 10):
        scale_model(made / "scale" / str(version) / "model.onnx", version)
    return made


def test_newest_version_is_served(folder):
    shutil.copytree(folder / "scale/1", folder / "scale/01")
    (folder / "notes").mkdir()
    with serving(folder, *FAST) as server:
        assert factor(server) == 10 and factor(server, version=10) == 10
        assert "version 1 is not found" in factor(server, version=1, code=404)
        assert server.v2("GET", "/v2/models/scale")["versions"] == ["10"]
        found = index(server)
        assert found["scale", "10"] == ("READY", "")
        state, reason = found["scale", "01"]
        assert state == "UNAVAILABLE" and "leading zeros" in reason


def test_versions_by_policy(folder):
    config(folder / "scale", 'version_policy { specific { versions: [ 1, 10 ] } }')
    config(folder / "other", 'name: "other" version_policy { all {} }')
    for version in (1, 2):
        scale_model(folder / f"other/{version}/model.onnx", version * 100)
    with serving(folder, *FAST) as server:
        assert server.v2("GET", "/v2/models/scale")["versions"] == ["1", "10"]
        assert [factor(server, version=v) for v in (1, 10)] == [1, 10] and factor(server) == 10
        assert [factor(server, "other", v) for v in (1, 2)] == [100, 200]
        factor(server, version=2, code=404)
        client = triton.InferenceServerClient(f"127.0.0.1:{server.http}")
        assert client.is_model_ready("scale", "1") and not client.is_model_ready("scale", "2")
        assert sorted(one["version"] for one in client.get_model_repository_index() if one["name"] == "other") == ["1", "2"]
        assert client.get_model_config("other", "1")["version_policy"] == {"all": {}}
        client.close()


def test_bundles_and_words_lie_in_the_folder(folder, tmp_path):
    shutil.copytree(DEMO / "llama-verse", folder / "verse" / "1")
    config(folder / "verse", 'backend: "tenon" parameters { key: "cache_tokens" value { string_value: "512" } }\n'
           'parameters { key: "max_queue_size" value { string_value: "3" } }\n'
           'parameters { key: "precision" value { string_value: "fp32" } }\n'
           'model_transaction_policy { decoupled: true }')
    built = run("build", folder / "scale/2/model.onnx", "-o", folder / "whole.tenon")
    assert built.returncode == 0, built.stderr
    with serving(folder, *FAST) as server:
        assert factor(server, "whole") == 2 and factor(server) == 10
        answer = server.v1("POST", "/v1/completions", {"model": "verse", "prompt": "a", "max_tokens": 2})
        assert answer["usage"]["completion_tokens"] == 2


def refused(folder, *arguments):
    result = run("serve", folder, "--http-port", 0, "--grpc-port", 0, "--openai-port", 0, "--metrics-port", 0, *FAST, *arguments, timeout=120)
    assert result.returncode in (2, 3), result.stderr
    assert len(result.stderr) < 4000
    return result.stderr


HOSTILE = {
    "unknown field": ("max_batch: 3", ["config.pbtxt", "line 1", "max_batch"]),
    "field twice": ('name: "scale"\nname: "scale"', ["line 2", "name"]),
    "nested": ("input {" * 10_000, ["config.pbtxt", "line 1"]),
    "100 MB": (" " * (100 << 20), ["104857600 bytes"]),
    "no text": ("\0\1\2", ["config.pbtxt"]),
    "batch -1": ("max_batch_size: -1", ["max_batch_size is -1"]),
    "batch 2^31": ("max_batch_size: 2147483648", ["line 1", "column"]),
    "dims 0": ('input { name: "X" data_type: TYPE_FP32 dims: [ 0 ] }', ["dims [0]"]),
    "dims -2": ('input { name: "X" data_type: TYPE_FP32 dims: [ -2 ] }', ["dims [-2]"]),
    "instances": ("instance_group { count: 1000000 }", ["1000000 instances"]),
    "preferred": ("max_batch_size: 2 dynamic_batching { preferred_batch_size: 4 }", ["preferred_batch_size 4"]),
    "other name": ('name: "x"', ['"x"', '"scale"']),
    "ensemble with a cycle": ('platform: "ensemble" ensemble_scheduling { step { model_name: "scale" } }', ["ensemble"]),
    "plan": ('platform: "tensorrt_plan"', ["ONNX"]),
    "missing version": ("version_policy { specific { versions: 3 } }", ["version 3", "1, 2, 10"]),
    "file name": ('default_model_filename: "../1/model.onnx"', ["default_model_filename"]),
    "unknown parameter": ('parameters { key: "cache_token" value { string_value: "1" } }', ["cache_token ", "cache_tokens"]),
    "wrong tensor": ('input { name: "Q" data_type: TYPE_FP32 dims: [ -1, 4 ] }', ["'Q'", "X"]),
    "wrong type": ('input { name: "X" data_type: TYPE_INT32 dims: [ -1, 4 ] }', ["TYPE_INT32", "'X'", "TYPE_FP32"]),
    "wrong dims": ('input { name: "X" data_type: TYPE_FP32 dims: [ -1, 5 ] }', ["'X'", "[-1, 4]", "[-1, 5]"]),
    "text only": ('parameters { key: "cache_tokens" value { string_value: "9" } }', ["write text"]),
    "decoupled": ("model_transaction_policy { decoupled: true }", ["decoupled"]),
    "warm up": ('model_warmup { name: "w" inputs { key: "Q" value { data_type: TYPE_FP32 dims: [1, 4] zero_data: true } } }',
                ["model_warmup w"]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_configuration(folder, name):
    text, words = HOSTILE[name]
    config(folder / "scale", text)
    begin = time.monotonic()
    message = refused(folder)
    assert time.monotonic() - begin < 30  # also where the machine is busy
    for word in words:
        assert word in message


def test_hostile_folders(folder):
    for name in ("CON", "a b", "a" * 200, "-x"):
        shutil.copytree(folder / "scale", folder / name)
    with serving(folder, *FAST) as server:
        assert {name for name, _ in index(server)} == {"scale"}
        assert factor(server) == 10
    (folder / "none").mkdir()
    config(folder / "none", "")
    assert "holds no folder of a version" in refused(folder)
    (folder / "none/1").mkdir()
    assert "is empty" in refused(folder)
    shutil.rmtree(folder / "none")
    shutil.copytree(folder / "scale/1", folder / "odd/-1")
    config(folder / "odd", "")
    assert "leading zeros" in refused(folder)


def test_two_models_with_one_name(folder, tmp_path):
    other = tmp_path / "other"
    scale_model(other / "scale/1/model.onnx", 3)
    message = run("serve", folder, other, "--http-port", 0, "--grpc-port", 0, "--openai-port", 0, "--metrics-port", 0, *FAST).stderr
    assert "two models have the name scale" in message
    single = scale_model(tmp_path / "scale.onnx", 3)
    message = run("serve", folder, single, "--http-port", 0, "--grpc-port", 0, "--openai-port", 0, "--metrics-port", 0, *FAST).stderr
    assert "two models have the name scale" in message


def test_flags_that_do_not_fit(folder, tmp_path):
    assert "poll" in refused(folder, "--repository-poll-secs", 1)
    assert "explicit" in refused(folder, "--load-model", "scale")
    single = scale_model(tmp_path / "x.onnx", 3)
    assert "folders of models" in refused(single, *EXPLICIT)
    assert "NAME=" in refused(f"a={folder}")


def test_goes_on_without_a_broken_model(folder):
    scale_model(folder / "bad/1/model.onnx", 1).write_bytes(b"no model")
    assert "bad" in refused(folder)
    with serving(folder, *FAST, "--no-exit-on-error", "--no-strict-readiness") as server:
        until(lambda: index(server).get(("scale", "10"), ("",))[0] == "READY")
        assert factor(server) == 10
        assert "has no available versions" in factor(server, "bad", code=404)
        state, reason = index(server)["bad", "1"]
        assert state == "UNAVAILABLE" and "model.onnx" in reason


def test_strict_readiness(folder):
    scale_model(folder / "bad/1/model.onnx", 1).write_bytes(b"no model")
    command = [PROGRAM, "serve", folder, *FAST, "--no-exit-on-error", "--http-port", 0, "--grpc-port", 0, "--openai-port", 0,
               "--metrics-port", 0, "--json"]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        from serving import Server

        ports = json.loads(process.stdout.readline())
        server = Server(process, [ports[name] for name in ("http_port", "grpc_port", "openai_port", "metrics_port")])
        until(lambda: index(server).get(("scale", "10"), ("",))[0] == "READY")
        assert server.ask(server.http, "GET", "/v2/health/live")[0] == 200
        assert server.ask(server.http, "GET", "/v2/health/ready")[0] == 400
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def test_fixed_models_take_no_parameters(folder):
    with serving(folder, *FAST) as server:
        error = server.v2("POST", "/v2/repository/models/scale/load", {"parameters": {"config": "{}"}}, 400)["error"]
        assert "--model-control-mode explicit" in error
        server.v2("POST", "/v2/repository/models/scale/unload", {"parameters": {"unload_dependents": True}})
        factor(server, code=404)
        assert server.ask(server.http, "GET", "/v2/health/ready")[0] == 200
        server.v2("POST", "/v2/repository/models/scale/load")
        assert factor(server) == 10


def test_explicit_control(folder):
    shutil.copytree(folder / "scale/2", folder / "second/2")
    with serving(folder, *FAST, *EXPLICIT, "--load-model", "second") as server:
        client = triton.InferenceServerClient(f"127.0.0.1:{server.http}")
        assert factor(server, "second") == 2
        assert not client.is_model_ready("scale")
        assert index(server)["scale", ""] == ("UNAVAILABLE", "not loaded")
        client.load_model("scale")
        assert client.is_model_ready("scale") and factor(server) == 10
        # Another configuration, which stands until the next load.
        client.load_model("scale", config='{"version_policy": {"specific": {"versions": [1, 2]}}}')
        assert server.v2("GET", "/v2/models/scale")["versions"] == ["1", "2"] and factor(server) == 2
        state, reason = index(server)["scale", "10"]
        assert state == "UNAVAILABLE" and "unloaded" in reason
        client.load_model("scale")
        assert server.v2("GET", "/v2/models/scale")["versions"] == ["10"]
        client.unload_model("scale", unload_dependents=True)
        assert not client.is_model_ready("scale")
        for name in ("nobody", "..%2Fscale", "%20", "CON", "a" * 5000):
            status, _, _ = server.ask(server.http, "POST", f"/v2/repository/models/{name}/load")
            assert status in (400, 404, 414, 431)
        # What is added while the server runs can be loaded.
        scale_model(folder / "third/1/model.onnx", 3)
        client.load_model("third")
        assert factor(server, "third") == 3
        client.close()


def test_files_of_a_client(folder, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(temporary)
    try:
        with serving(folder, *FAST, *EXPLICIT, "--load-model", "*") as server:
            content = scale_model(tmp_path / "new.onnx", 77).read_bytes()
            client = triton.InferenceServerClient(f"127.0.0.1:{server.http}")
            client.load_model("scale", config="{}", files={"file:5/model.onnx": content})
            assert server.v2("GET", "/v2/models/scale")["versions"] == ["5"] and factor(server) == 77
            client.load_model("fresh", config='{"backend": "onnxruntime"}', files={"file:1/model.onnx": content})
            assert factor(server, "fresh") == 77
            client.load_model("scale")
            assert factor(server) == 10
            encoded = base64.b64encode(content).decode()
            for parameters in ({"file:1/model.onnx": encoded}, {"config": "{}", "file:../x": encoded},
                               {"config": "{}", "file:1/../../x": encoded}, {"config": "{}", "file:model.onnx": encoded},
                               {"config": "{}", "file:1/model.onnx": "***"}, {"config": "{}", "file:1/model.onnx": 1},
                               {"config": "[]"}, {"config": "{\"x\": 1}"}, {"config": 1}, {"other": "x"},
                               {"config": '{"name": "other"}'}, {"config": '{"max_batch_size": 1, "max_batch_size": 2}'},
                               {"config": "{}", "file:1/model.onnx": base64.b64encode(b"no model").decode()}):
                error = server.v2("POST", "/v2/repository/models/scale/load", {"parameters": parameters}, 400)["error"]
                assert 0 < len(error) < 1000
                assert factor(server) == 10
            client.close()
        assert list(temporary.iterdir()) == []
    finally:
        del os.environ["TMPDIR"]
        if before is not None:
            os.environ["TMPDIR"] = before


def test_polling(folder):
    with serving(folder, *FAST, "--model-control-mode", "poll", "--repository-poll-secs", 1) as server:
        for what in ("load", "unload"):
            error = server.v2("POST", f"/v2/repository/models/scale/{what}", code=400)["error"]
            assert error == "explicit model load / unload is not allowed if polling is enabled"
        scale_model(folder / "scale/11/model.onnx", 11)  # a new version
        until(lambda: factor(server) == 11)
        assert server.v2("GET", "/v2/models/scale")["versions"] == ["11"]
        (folder / "scale/12").mkdir()  # a broken one
        (folder / "scale/12/model.onnx").write_bytes(b"no model")
        until(lambda: index(server).get(("scale", "12"), ("", ""))[0] == "UNAVAILABLE")
        assert "model.onnx" in index(server)["scale", "12"][1]
        assert factor(server) == 11 and index(server)["scale", "11"][0] == "READY"
        assert server.ask(server.http, "GET", "/v2/health/ready")[0] == 200
        scale_model(folder / "scale/12/model.onnx", 12)  # mended
        until(lambda: factor(server) == 12)
        config(folder / "scale", "version_policy { latest { num_versions: 2 } }")
        until(lambda: server.v2("GET", "/v2/models/scale")["versions"] == ["11", "12"])
        shutil.rmtree(folder / "scale/12")
        until(lambda: factor(server) == 11)
        scale_model(folder / "more/1/model.onnx", 5)  # a new model
        until(lambda: ("more", "1") in index(server))
        until(lambda: index(server)["more", "1"][0] == "READY")
        shutil.rmtree(folder / "scale")
        until(lambda: "is not found" in server.v2("POST", "/v2/models/scale/infer", BODY, 404)["error"]
              if server.ask(server.http, "GET", "/v2/models/scale/ready")[0] != 200 else False)
        assert factor(server, "more") == 5


def test_half_a_copy_is_not_taken(folder, tmp_path):
    """A file that grows for a while is read when it is whole; the log tells of no attempt before."""
    content = scale_model(tmp_path / "big.onnx", 21, extra=50_000).read_bytes()
    with serving(folder, *FAST, "--model-control-mode", "poll", "--repository-poll-secs", 1) as server:
        (folder / "scale/21").mkdir()
        with open(folder / "scale/21/model.onnx", "wb") as file:
            step = len(content) // 10 + 1
            for begin in range(0, len(content), step):
                file.write(content[begin:begin + step])
                file.flush()
                time.sleep(0.4)
                assert factor(server) == 10
                assert index(server).get(("scale", "21"), ("LOADING", ""))[0] != "UNAVAILABLE"
        until(lambda: factor(server) == 21)
        assert not any("was not loaded" in line for line in server.log)


@pytest.mark.parametrize("delay", [0.02, 0.2, 0.6])
def test_ended_while_it_loads(folder, delay):
    for i in range(20):
        scale_model(folder / f"m{i}/1/model.onnx", i, extra=20_000)
    command = [PROGRAM, "serve", folder, *FAST, "--http-port", 0, "--grpc-port", 0, "--openai-port", 0, "--metrics-port", 0, "--json"]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
        assert process.returncode in (0, 130), (process.returncode, errors)
        assert "terminate called" not in errors
    finally:
        process.kill()
        process.wait()


def test_removed_while_it_loads(folder):
    with serving(folder, *FAST, *EXPLICIT) as server:
        for i in range(10):
            scale_model(folder / "gone/1/model.onnx", 1, extra=20_000)
            connection = __import__("threading").Thread(target=shutil.rmtree, args=(folder / "gone",))
            connection.start()
            status, _, body = server.ask(server.http, "POST", "/v2/repository/models/gone/load")
            connection.join()
            assert status in (200, 400, 404), body
            if status == 200:
                server.v2("POST", "/v2/repository/models/gone/unload")
        server.v2("POST", "/v2/repository/models/scale/load")
        assert factor(server) == 10


def test_warmed_by_samples(folder):
    (folder / "scale/warmup").mkdir()
    (folder / "scale/warmup/x.bin").write_bytes(b"\0" * 32)
    one = 'model_warmup { name: "%s" count: 2 inputs { key: "X" value { data_type: TYPE_FP32 dims: [ 2, 4 ] %s } } }\n'
    samples = one % ("z", "zero_data: true") + one % ("r", "random_data: true") + one % ("f", 'input_data_file: "x.bin"')
    config(folder / "scale", samples)
    with serving(folder, *FAST) as server:
        assert factor(server) == 10
    (folder / "scale/warmup/x.bin").write_bytes(b"\0" * 31)
    assert "31 bytes, 32 were expected" in refused(folder)
