"""The edge itself: keys, limits, hostile requests, clients that go, the end in order."""

import base64
import json
import signal
import socket
import threading
import time

import pytest

from serving import serving
from tenon_program import DEMO, run

KEY = "a-key-of-the-test"
BODY = {"model": "llama-verse", "prompt": "The night is", "max_tokens": 4, "temperature": 0}


def good(server):
    """The next good request is right."""
    answer = server.v2("POST", "/v2/models/sums/infer", {"inputs": [
        {"name": "A", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]},
        {"name": "B", "datatype": "FP32", "shape": [1, 4], "data": [1, 1, 1, 1]},
        {"name": "ID", "datatype": "INT64", "shape": [1], "data": [1]}]})
    assert {one["name"]: one["data"] for one in answer["outputs"]} == {"SUM": [2, 3, 4, 5], "SHIFTED": [2]}


def infer(**changes):
    a = {"name": "A", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4], **changes}
    return {"inputs": [a, {"name": "B", "datatype": "FP32", "shape": [1, 4], "data": [1, 1, 1, 1]},
                       {"name": "ID", "datatype": "INT64", "shape": [1], "data": [1]}]}


def hostile_json():
    yield "empty", b""
    yield "list", b"[]"
    yield "nested 120", b'{"inputs":' + b"[" * 120 + b"]" * 120 + b"}"
    yield "nested 10^6", b"[" * 10**6
    yield "nested objects", b'{"a":' * 10**5
    yield "cut off", b'{"inputs": [{'
    yield "NaN", json.dumps(infer()).replace("[1, 2, 3, 4]", "[NaN, 2, 3, 4]").encode()
    yield "1e999", json.dumps(infer()).replace("[1, 2, 3, 4]", "[1e999, 2, 3, 4]").encode()
    yield "1e39 as FP32", json.dumps(infer()).replace("[1, 2, 3, 4]", "[1e39, 2, 3, 4]").encode()
    yield "key twice", b'{"inputs": [], "inputs": []}'
    yield "lone surrogate", b'{"id": "\\ud800", "inputs": []}'
    yield "not UTF-8", b'{"id": "\xff", "inputs": []}'
    yield "shape product wraps", infer(shape=[2**4, 2**60 + 2])
    yield "shape huge", infer(shape=[2**62])
    yield "shape larger than memory", infer(shape=[2**40, 4])
    yield "shape negative", infer(shape=[-1, 4])
    yield "shape float", infer(shape=[1.0, 4])
    yield "shape empty", infer(shape=[])
    yield "shape of 100", infer(shape=[1] * 100)
    yield "data shorter", infer(data=[1, 2, 3])
    yield "data longer", infer(data=[1, 2, 3, 4, 5])
    yield "data nested wrong", infer(data=[[1, 2], [3, 4]])
    yield "data ragged", infer(data=[[1, 2, 3, 4], 5])
    yield "data of strings", infer(data=["1", "2", "3", "4"])
    yield "data null", infer(data=None)
    yield "datatype unknown", infer(datatype="COMPLEX")
    yield "datatype wrong", infer(datatype="INT64")
    yield "BYTES for numbers", infer(datatype="BYTES", data=["a", "b", "c", "d"])
    body = infer()
    body["inputs"][2]["data"] = [2**63]
    yield "int64 2^63", body
    body = infer()
    body["inputs"].append(body["inputs"][0])
    yield "input twice", body
    body = infer()
    body["inputs"][0] = {**body["inputs"][0], "name": "X"}
    yield "unknown input", body
    yield "input missing", {"inputs": infer()["inputs"][:1]}
    yield "unknown output", {**infer(), "outputs": [{"name": "X"}]}
    yield "output twice", {**infer(), "outputs": [{"name": "SUM"}, {"name": "SUM"}]}
    yield "timeout negative", {**infer(), "parameters": {"timeout": -1}}
    yield "binary and data", infer(parameters={"binary_data_size": 16})
    yield "binary larger than the body", {"inputs": [
        {"name": "A", "datatype": "FP32", "shape": [1, 4], "parameters": {"binary_data_size": 16}}]}
    yield "binary negative", {"inputs": [
        {"name": "A", "datatype": "FP32", "shape": [1, 4], "parameters": {"binary_data_size": -1}}]}
    yield "shared memory", {"inputs": [
        {"name": "A", "datatype": "FP32", "shape": [1, 4], "parameters": {"shared_memory_region": "x"}}]}


@pytest.mark.parametrize("name, body", list(hostile_json()), ids=lambda value: value if isinstance(value, str) else "")
def test_hostile_inference(server, name, body):
    before = server.resident()
    begin = time.monotonic()
    error = server.v2("POST", "/v2/models/sums/infer", body, 400)
    assert isinstance(error["error"], str) and 0 < len(error["error"]) < 1000
    assert time.monotonic() - begin < 5
    assert server.resident() - before < 64 << 20
    good(server)


@pytest.mark.parametrize("length", ["-1", "99999999999", "x", "5.0", "18446744073709551616"])
def test_hostile_header_length(server, length):
    status, _, body = server.ask(server.http, "POST", "/v2/models/sums/infer", json.dumps(infer()),
                                 {"Inference-Header-Content-Length": length})
    assert status == 400 and b"Inference-Header-Content-Length" in body
    good(server)


def test_hostile_bytes(server):
    for blob in (b"\xff\xff\xff\xff", b"\x01", b"\x04\0\0\0abcdX", b""):
        head = json.dumps({"inputs": [{"name": "text_input", "datatype": "BYTES", "shape": [1],
                                       "parameters": {"binary_data_size": len(blob)}}]}).encode()
        status, _, body = server.ask(server.http, "POST", "/v2/models/llama-verse/infer", head + blob,
                                     {"Inference-Header-Content-Length": str(len(head))})
        assert status == 400, body
    good(server)


def post(head, body=b""):
    return b"POST /v2/models/sums/infer HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n" + body


HOSTILE_HTTP = {
    "chunk size overflow": (post(b"Transfer-Encoding: chunked\r\n", b"FFFFFFFFFFFFFFFF\r\nx"), 413),
    "chunk size no number": (post(b"Transfer-Encoding: chunked\r\n", b"zz\r\nx"), 400),
    "length twice": (post(b"Content-Length: 3\r\nContent-Length: 4\r\n", b"abcd"), 400),
    "length and chunks": (post(b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), 400),
    "length negative": (post(b"Content-Length: -1\r\n"), 400),
    "length huge": (post(b"Content-Length: 99999999999\r\n"), 413),
    "length beyond 64 bits": (post(b"Content-Length: 99999999999999999999999\r\n"), 400),
    "gzip": (post(b"Connection: close\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n", b"\x1f\x8b\0\0"), 400),
    "long header": (post(b"X: " + b"a" * 10**6 + b"\r\n"), 431),
    "many headers": (post(b"".join(b"X-%d: 1\r\n" % i for i in range(10**5))), 431),
    "long target": (b"GET /" + b"a" * 10**6 + b" HTTP/1.1\r\n\r\n", 431),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "NUL in a header": (post(b"X: a\0b\r\n"), 400),
    "TRACE": (b"TRACE /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 405),
    "CONNECT": (b"CONNECT example.org:80 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
    "unknown method": (b"BREW /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 405),
    "NUL in the path": (b"GET /v2/models/%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400),
    "two slashes": (b"GET //v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
    "dots": (b"GET /v2/models/..%2f..%2fetc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400),
    "plain dots": (b"GET /v2/models/../../etc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400),
    "broken escape": (b"GET /v2/models/%g HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400),
}


@pytest.mark.parametrize("name", HOSTILE_HTTP)
def test_hostile_http(server, name):
    request, code = HOSTILE_HTTP[name]
    before = server.resident()
    answer = server.raw(server.http, request)
    assert answer.startswith(b"HTTP/1.1 %d " % code), answer[:200]
    assert server.resident() - before < 64 << 20
    good(server)


def test_pipelining_and_reuse(server):
    one = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    last = one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    answer = server.raw(server.http, one * 3 + last)
    assert answer.count(b"HTTP/1.1 200 OK") == 4


def test_expect_continue(server):
    body = json.dumps(infer()).encode()
    head = b"Content-Length: %d\r\nExpect: 100-continue\r\nConnection: close\r\n" % len(body)
    answer = server.raw(server.http, post(head, body))
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


def test_request_ids(server):
    _, headers, _ = server.ask(server.http, "GET", "/v2", headers={"X-Request-Id": "mine-1"})
    assert headers["X-Request-Id"] == "mine-1"
    _, headers, _ = server.ask(server.http, "GET", "/v2", headers={"X-Request-Id": "mine\t1; x"})
    assert headers["X-Request-Id"] not in ("", "mine\t1; x")
    end = time.monotonic() + 5
    while time.monotonic() < end and not any('"mine-1"' in line for line in server.log):
        time.sleep(0.01)
    (line,) = [json.loads(line) for line in server.log if '"mine-1"' in line]
    assert line["status"] == 200 and line["path"] == "/v2" and line["method"] == "GET"


def running(server):
    _, _, text = server.ask(server.metrics, "GET", "/metrics")
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.decode().splitlines()
               if line.startswith(("vllm:num_requests_running{", "vllm:num_requests_waiting{")))


def test_client_that_goes(server):
    """The sequences of a client that has gone end, streaming or not."""
    for stream in (True, False):
        body = json.dumps({**BODY, "max_tokens": 480, "n": 4, "ignore_eos": True, "temperature": 1, "stream": stream})
        with socket.create_connection(("127.0.0.1", server.openai)) as connection:
            connection.sendall(f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}"
                               .encode())
            if stream:
                assert connection.recv(100).startswith(b"HTTP/1.1 200 OK")
            end = time.monotonic() + 10
            while running(server) == 0 and time.monotonic() < end:
                pass
            assert running(server) > 0
        end = time.monotonic() + 10
        while running(server) > 0 and time.monotonic() < end:
            time.sleep(0.01)
        assert running(server) == 0
    good(server)


def test_many_at_once(server):
    """Answers under load are those of an idle server."""
    wanted = server.v1("POST", "/v1/completions", BODY)["choices"][0]["text"]
    found = []
    threads = [threading.Thread(target=lambda: found.append(
        server.v1("POST", "/v1/completions", BODY)["choices"][0]["text"])) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [wanted] * 32


def test_overload_is_refused(sums):
    """More than may wait: 429 with Retry-After, and the others are answered."""
    with serving(DEMO / "llama-verse", "--max-queue", 1, "--threads", 1, "--cache-tokens", 512) as server:
        statuses = []

        def ask():
            body = {**BODY, "max_tokens": 300, "ignore_eos": True}
            status, headers, _ = server.ask(server.openai, "POST", "/v1/completions", json.dumps(body))
            statuses.append((status, headers["Retry-After"]))

        threads = [threading.Thread(target=ask) for _ in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {status for status, _ in statuses} <= {200, 429}
        assert any(status == 200 for status, _ in statuses)
        assert any(status == 429 for status, _ in statuses)
        assert all(retry is not None for status, retry in statuses if status == 429)


def test_keys(tmp_path, sums):
    keys = tmp_path / "keys"
    keys.write_text(f"# who may ask\n{KEY}\n")
    with serving(sums, "--api-key-file", keys, key=KEY) as server:
        paths = {server.http: ["/v2", "/v2/health/ready", "/v2/models/sums", "/v2/models/sums/infer", "/nothing",
                               "/v2/repository/models/sums/load"],
                 server.openai: ["/v1/models", "/v1/completions", "/v1/chat/completions", "/v1/images/generations",
                                 "/v1/embeddings", "/openapi.json", "/health/ready"],
                 server.metrics: ["/metrics"]}
        wrong = [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Bearer {KEY}x"}, {"X-API-Key": KEY[:-1]},
                 {"Authorization": f"Basic {KEY}"}, {"Authorization": "Bearer "}]
        for port, names in paths.items():
            for path in names:
                for method in ("GET", "POST", "PUT"):
                    for headers in wrong:
                        assert server.ask(port, method, path, headers=headers)[0] == 401, (path, headers)
        assert server.ask(server.http, "GET", "/v2/health/live")[0] == 200
        assert server.ask(server.openai, "GET", "/health")[0] == 200
        assert server.ask(server.http, "GET", "/v2", headers={"X-API-Key": KEY})[0] == 200
        twice = (f"GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {KEY}\r\n"
                 f"Authorization: Bearer {KEY}\r\n\r\n")
        assert server.raw(server.http, twice.encode()).startswith(b"HTTP/1.1 401 ")
        basic = base64.b64encode(f"me:{KEY}".encode()).decode()
        assert server.ask(server.http, "GET", "/v2", headers={"Authorization": f"Basic {basic}"})[0] == 200
        for accepts, wanted in (("text/html", 'Basic realm="tenon"'), ("*/*", "Bearer")):
            assert server.ask(server.http, "GET", "/", headers={"Accept": accepts})[1]["WWW-Authenticate"] == wanted
        assert server.ask(server.metrics, "GET", "/metrics", headers={"Authorization": f"bearer {KEY}"})[0] == 200
    assert KEY not in "".join(server.log)


def test_end_loses_no_answer(sums):
    """SIGTERM in the middle of a stream: it goes on to its end, and nobody new gets in."""
    with serving(DEMO / "llama-verse", "--precision", "fp32", "--threads", 1) as server:
        body = json.dumps({**BODY, "max_tokens": 200, "ignore_eos": True, "stream": True})
        with socket.create_connection(("127.0.0.1", server.openai)) as connection:
            connection.sendall(f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}"
                               .encode())
            answer = connection.recv(100)
            server.process.send_signal(signal.SIGTERM)
            while piece := connection.recv(65536):
                answer += piece
        assert b"data: [DONE]" in answer and answer.endswith(b"0\r\n\r\n")
        assert server.process.wait(30) == 0
        with pytest.raises(OSError):
            server.ask(server.http, "GET", "/v2/health/live")


def test_bad_starts(tmp_path, sums):
    empty = tmp_path / "keys"
    empty.write_text("# none\n")
    ports = ["--http-port", 0, "--grpc-port", 0, "--openai-port", 0, "--metrics-port", 0]
    for arguments, code, words in [
        ([tmp_path / "missing"], 3, "does not exist"),
        ([f"../x={sums}"], 2, "cannot be the name"),
        ([sums, sums], 2, "two models"),
        ([sums, "--api-key-file", empty], 3, "holds no key"),
        ([sums, "--host", "nowhere"], 2, "no address"),
        ([sums, "--tls-certificate", empty], 2, "belong together"),
        ([tmp_path], 3, ""),
    ]:
        result = run("serve", *arguments, *ports)
        assert result.returncode == code and words in result.stderr, result.stderr
