"""Bodies, connections and clients as HTTP allows them, and as it does not."""

import gzip
import json
import socket
import struct
import threading
import time
import zlib

import numpy as np
import pytest

from test_edge import good, infer, post

MODEL = "/v2/models/sums/infer"


def binary(**changes):
    a = np.arange(4, dtype=np.float32).tobytes()
    head = json.dumps({"inputs": [
        {"name": "A", "datatype": "FP32", "shape": [1, 4], "parameters": {"binary_data_size": len(a)}},
        {"name": "B", "datatype": "FP32", "shape": [1, 4], "data": [1, 1, 1, 1]},
        {"name": "ID", "datatype": "INT64", "shape": [1], "data": [1]}], **changes}).encode()
    return head + a, {"Inference-Header-Content-Length": str(len(head))}


@pytest.mark.parametrize("name, pack", [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_packed_requests(server, name, pack):
    headers = {"Content-Encoding": name}
    status, _, body = server.ask(server.http, "POST", MODEL, pack(json.dumps(infer()).encode()), headers)
    assert status == 200, body
    # The length of the JSON is that of the body as it is.
    plain, fields = binary()
    status, _, body = server.ask(server.http, "POST", MODEL, pack(plain), {**headers, **fields})
    assert status == 200, body
    assert json.loads(body)["outputs"][0]["data"] == [1, 2, 3, 4]


@pytest.mark.parametrize("name, unpack", [("gzip", gzip.decompress), ("deflate", zlib.decompress)])
def test_packed_answers(server, name, unpack):
    rows = 4096
    body = {"inputs": [{"name": "A", "datatype": "FP32", "shape": [rows, 4], "data": [1] * rows * 4},
                       {"name": "B", "datatype": "FP32", "shape": [rows, 4], "data": [1] * rows * 4},
                       {"name": "ID", "datatype": "INT64", "shape": [rows], "data": [1] * rows}],
            "outputs": [{"name": "SUM", "parameters": {"binary_data": True}}]}
    status, headers, packed = server.ask(server.http, "POST", MODEL, body, {"Accept-Encoding": name})
    assert status == 200 and headers["Content-Encoding"] == name and headers["Vary"] == "Accept-Encoding"
    whole = unpack(packed)
    assert len(packed) < len(whole) // 10
    tail = whole[int(headers["Inference-Header-Content-Length"]):]
    assert np.array_equal(np.frombuffer(tail, np.float32), np.full(rows * 4, 2, np.float32))
    for accepted in ("", "br", "identity", f"{name};q=0"):
        _, headers, _ = server.ask(server.http, "POST", MODEL, body, {"Accept-Encoding": accepted})
        assert headers["Content-Encoding"] is None
    _, headers, _ = server.ask(server.http, "POST", MODEL, infer(), {"Accept-Encoding": name})
    assert headers["Content-Encoding"] is None  # too short to be worth it


def test_bombs(server):
    before = server.resident()
    for name, bomb in (("gzip", gzip.compress(b"\0" * (256 << 20), 9)), ("deflate", zlib.compress(b"\0" * (256 << 20), 9))):
        status, _, body = server.ask(server.http, "POST", MODEL, bomb, {"Content-Encoding": name})
        assert status == 413, body
    assert server.resident() - before < 128 << 20
    good(server)


@pytest.mark.parametrize("name, body, code", [
    ("gzip", b"no gzip", 400), ("gzip", gzip.compress(b"{}")[:-3], 400), ("gzip", zlib.compress(b"{}"), 400),
    ("deflate", gzip.compress(b"{}"), 400), ("gzip", gzip.compress(b"{}") + b"more", 400), ("br", b"x", 415),
    ("gzip, gzip", gzip.compress(gzip.compress(b"{}")), 415), ("zstd", b"x", 415)])
def test_malformed_packing(server, name, body, code):
    assert server.ask(server.http, "POST", MODEL, body, {"Content-Encoding": name})[0] == code
    good(server)


def test_triton_client_packs(server):
    client_of = pytest.importorskip("tritonclient.http")
    client = client_of.InferenceServerClient(f"127.0.0.1:{server.http}")
    inputs = [client_of.InferInput("A", [400, 4], "FP32"), client_of.InferInput("B", [400, 4], "FP32"),
              client_of.InferInput("ID", [400], "INT64")]
    for one, dtype in zip(inputs, (np.float32, np.float32, np.int64)):
        one.set_data_from_numpy(np.ones(one.shape(), dtype))
    for packed in ("gzip", "deflate"):
        answer = client.infer("sums", inputs, request_compression_algorithm=packed, response_compression_algorithm=packed)
        assert np.array_equal(answer.as_numpy("SUM"), np.full((400, 4), 2, np.float32))


def test_three_million_chunks(server):
    before = server.resident()
    with socket.create_connection(("127.0.0.1", server.http), timeout=120) as connection:
        connection.sendall(post(b"Transfer-Encoding: chunked\r\nConnection: close\r\n"))
        try:
            for _ in range(300):
                connection.sendall(b"1\r\n[\r\n" * 10_000)
            connection.sendall(b"0\r\n\r\n")
        except OSError:  # it may refuse before the end
            pass
        answer = connection.recv(4096)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 413 ")), answer[:200]
    assert server.resident() - before < 64 << 20
    good(server)


def test_endless_header(server):
    """A gigabyte of header is read no further than the limit."""
    before = server.resident()
    sent = 0
    with socket.create_connection(("127.0.0.1", server.http), timeout=60) as connection:
        try:
            connection.sendall(b"GET /v2 HTTP/1.1\r\nX: ")
            for _ in range(1024):
                connection.sendall(b"a" * (1 << 20))
                sent += 1 << 20
        except OSError:
            pass
    assert sent < 64 << 20
    assert server.resident() - before < 64 << 20
    good(server)


def test_pipelined_inferences(server):
    """Answers come in the order of the questions, also when quick ones stand behind slow ones."""
    requests = b""
    for i in range(20):
        body = json.dumps({**infer(data=[i, i, i, i]), "id": f"n{i}"}).encode()
        requests += post(b"Content-Length: %d\r\n" % len(body), body)
        requests += b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    requests += b"GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = server.raw(server.http, requests, 60)
    assert answer.count(b"HTTP/1.1 200 OK") == 41
    places = [answer.index(b'"id":"n%d"' % i) for i in range(20)]
    assert places == sorted(places)


def test_keep_alive_after_refusals(server):
    """What is refused by its content alone does not end the connection."""
    bad = json.dumps({"inputs": 5}).encode()
    one = post(b"Content-Length: %d\r\n" % len(bad), bad)
    last = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = server.raw(server.http, one * 3 + b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n" + last)
    assert answer.count(b"HTTP/1.1 400 ") == 3 and answer.count(b"HTTP/1.1 404 ") == 1
    assert answer.count(b"HTTP/1.1 200 ") == 1


def test_half_close(server):
    """A client that closes its side in the middle of a body is let go."""
    with socket.create_connection(("127.0.0.1", server.http), timeout=20) as connection:
        connection.sendall(post(b"Content-Length: 100\r\n", b"abc"))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass
    good(server)


def test_clients_that_reset(server):
    for sent in (b"", b"G", b"POST /v2/models/sums/infer HTTP/1.1\r\n", post(b"Content-Length: 100\r\n", b"abc"),
                 post(b"Transfer-Encoding: chunked\r\n", b"5\r\nab")):
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", server.http)) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.sendall(sent)
    good(server)


@pytest.mark.parametrize("target", ["/v2/models/%00", "/v2/models/a%00b/infer", "/v2/models/%2e%2e/config", "/%2e%2e/%2e%2e/etc/passwd",
                                    "/v2/models/..%2f..%2fetc%2fpasswd", "/v2/models/a%5cb%2f", "/v2/models/%ff%0a"])
def test_hostile_targets(server, target):
    for port in (server.http, server.openai, server.metrics):
        answer = server.raw(port, f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 404 ")), answer[:100]
        assert b"root:" not in answer
    good(server)


def test_large_payload(server):
    """Megabytes in, megabytes out, as numbers that come back as they are; one byte too many is refused."""
    rows = 1 << 20
    values = np.arange(rows * 4, dtype=np.float32).reshape(rows, 4)
    ids = np.arange(rows, dtype=np.int64)
    tensors = [("A", "FP32", values), ("B", "FP32", np.zeros_like(values)), ("ID", "INT64", ids)]
    head = json.dumps({"inputs": [{"name": name, "datatype": kind, "shape": list(data.shape),
                                   "parameters": {"binary_data_size": data.nbytes}} for name, kind, data in tensors],
                       "parameters": {"binary_data_output": True}}).encode()
    body = head + b"".join(data.tobytes() for _, _, data in tensors)
    status, headers, answer = server.ask(server.http, "POST", MODEL, body,
                                         {"Inference-Header-Content-Length": str(len(head))})
    assert status == 200, answer[:200]
    tail = answer[int(headers["Inference-Header-Content-Length"]):]
    assert np.array_equal(np.frombuffer(tail, np.float32, rows * 4), values.ravel())
    assert np.array_equal(np.frombuffer(tail, np.int64, rows, values.nbytes), ids + 1)
    size = (64 << 20) + 1  # refused by its length alone
    answer = server.raw(server.http, f"POST {MODEL} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 413 ")
    good(server)


def test_cancelled_inferences(server):
    """Clients that leave at once, many together, leave nothing behind."""
    def count():
        (line,) = (line for line in server.ask(server.metrics, "GET", "/metrics")[2].decode().splitlines()
                   if line.startswith("nv_inference_request_failure{model=\"llama-verse\"") and "CANCELED" in line)
        return int(line.split()[-1])

    before = count()
    body = json.dumps({"text_input": "The night is", "max_tokens": 400, "ignore_eos": True}).encode()

    def leave():
        with socket.create_connection(("127.0.0.1", server.http)) as connection:
            connection.sendall(b"POST /v2/models/llama-verse/generate_stream HTTP/1.1\r\nHost: x\r\n"
                               b"Content-Length: %d\r\n\r\n" % len(body) + body)
            assert connection.recv(100).startswith(b"HTTP/1.1 200 ")

    threads = [threading.Thread(target=leave) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    end = time.monotonic() + 20
    while count() < before + 8 and time.monotonic() < end:
        time.sleep(0.02)
    assert count() == before + 8
    good(server)
