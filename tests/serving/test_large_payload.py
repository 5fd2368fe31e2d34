"""Tensors of hundreds of megabytes, bodies in millions of pieces, and clients that never come to an end."""

import contextlib
import http.client
import json
import os
import pathlib
import socket
import threading
import time
import uuid

import numpy as np
import pytest
import tritonclient.grpc
from tensor_models import infer, quick_graph, serving_repository
from tritonclient.utils import InferenceServerException

MB = 1 << 20
LONG = os.environ.get("TENON_LONG") == "1"
LIMIT_MB = 512 if LONG else 160  # of a body
PREFIX = f"/tenon-large-{os.getpid()}-"
NEEDED = 6 << 30  # of the machine: a tensor, its answer and their copies on both sides
HEADER_S = 30  # that a header may take


def available():
    for line in open("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 0


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    if available() < NEEDED:
        pytest.skip("less than 6 GB of memory are free")
    with serving_repository(tmp_path_factory.mktemp("large"), {"quick": (quick_graph(), None)}, "--threads", 1,
                            "--max-body-mb", LIMIT_MB, "--shared-memory-prefix", PREFIX) as running:
        yield running


@pytest.fixture(autouse=True)
def memory_returns(server):
    """What a request needed is given back soon after it."""
    small(server)
    before = server.resident()
    yield
    end = time.monotonic() + 20
    while server.resident() - before > 48 * MB and time.monotonic() < end:
        time.sleep(0.1)
    assert server.resident() - before <= 48 * MB
    small(server)


def small(server):
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    status, _, outputs = infer(server, "quick", {"X": x})
    assert status == 200 and (outputs["Y"] == 2 * x).all()


def large(megabytes):
    return np.arange(megabytes * MB // 4, dtype=np.float32).reshape(1, -1)


def check(x, y):
    y = np.asarray(y).reshape(x.shape)
    for begin in range(0, x.size, 1 << 22):
        part = slice(begin, begin + (1 << 22))
        assert (y[0, part] == 2 * x[0, part]).all()


def head_of(x, length=None):
    text = json.dumps({"inputs": [{"name": "X", "datatype": "FP32", "shape": list(x.shape),
                                   "parameters": {"binary_data_size": x.nbytes}}],
                       "parameters": {"binary_data_output": True}})
    return text.ljust(length or len(text)).encode()


def post(server, head, pieces, length):
    """(status, headers, bytes) of a request whose body is sent piece by piece."""
    connection = http.client.HTTPConnection("127.0.0.1", server.http, timeout=300)
    try:
        connection.request("POST", "/v2/models/quick/infer", iter([head, *pieces]), {
            "Inference-Header-Content-Length": str(len(head)), "Content-Length": str(length)})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def test_over_http(server):
    x = large(LIMIT_MB - 12)
    head = head_of(x)
    status, headers, body = post(server, head, [memoryview(x).cast("B")], len(head) + x.nbytes)
    assert status == 200, body[:300]
    check(x, np.frombuffer(body, np.float32, offset=int(headers["Inference-Header-Content-Length"])))


def test_several_at_once(server):
    x = large(LIMIT_MB // 5)
    head = head_of(x)
    seen = []

    def ask():
        status, headers, body = post(server, head, [memoryview(x).cast("B")], len(head) + x.nbytes)
        assert status == 200
        check(x, np.frombuffer(body, np.float32, offset=int(headers["Inference-Header-Content-Length"])))
        seen.append(status)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [200] * 4


def test_the_limit_of_http(server):
    """A body of exactly the limit is taken; one byte more is refused before it is read."""
    x = large(LIMIT_MB - 1)
    head = head_of(x, MB)
    status, _, body = post(server, head, [memoryview(x).cast("B")], LIMIT_MB * MB)
    assert status == 200, body[:300]
    answer = server.raw(server.http, b"POST /v2/models/quick/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
                        % (LIMIT_MB * MB + 1))
    assert answer.startswith(b"HTTP/1.1 413 ") and str(LIMIT_MB * MB).encode() in answer, answer


def test_chunks_beyond_the_limit(server):
    """Chunks tell no length: the limit ends them."""
    piece = b"%x\r\n" % MB + b"\0" * MB + b"\r\n"
    with socket.create_connection(("127.0.0.1", server.http), timeout=60) as connection:
        connection.sendall(b"POST /v2/models/quick/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 2 * LIMIT_MB:
                connection.sendall(piece)
                sent += 1
        answer = b""
        with contextlib.suppress(OSError):
            answer = connection.recv(65536)
    assert sent < LIMIT_MB + 64  # buffers of the sockets
    assert answer == b"" or answer.startswith(b"HTTP/1.1 413 ")


def test_over_grpc(server):
    x = large(LIMIT_MB - 12)
    with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{server.grpc}") as client:
        given = tritonclient.grpc.InferInput("X", x.shape, "FP32")
        given.set_data_from_numpy(x)
        check(x, client.infer("quick", [given]).as_numpy("Y"))


def test_the_limit_of_grpc(server):
    x = large(LIMIT_MB + 1)
    with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{server.grpc}") as client:
        given = tritonclient.grpc.InferInput("X", x.shape, "FP32")
        given.set_data_from_numpy(x)
        with pytest.raises(InferenceServerException) as error:
            client.infer("quick", [given])
        assert "RESOURCE_EXHAUSTED" in error.value.status() and "larger than max" in error.value.message()


def test_over_shared_memory(server):
    """No body: beyond its limit."""
    count = 2 * LIMIT_MB * MB
    path = pathlib.Path("/dev/shm" + PREFIX + uuid.uuid4().hex)
    if os.statvfs("/dev/shm").f_bavail * os.statvfs("/dev/shm").f_frsize < 3 * count:
        pytest.skip("/dev/shm is too small")
    try:
        lent = np.memmap(path, np.float32, "w+", shape=(2, count // 4))
        lent[0] = np.arange(count // 4, dtype=np.float32)
        server.v2("POST", "/v2/systemsharedmemory/region/large/register",
                  {"key": path.name.join(["/", ""]), "offset": 0, "byte_size": 2 * count})
        place = lambda offset: {"shared_memory_region": "large", "shared_memory_byte_size": count,
                                "shared_memory_offset": offset}
        answer = server.v2("POST", "/v2/models/quick/infer", {
            "inputs": [{"name": "X", "datatype": "FP32", "shape": [1, count // 4], "parameters": place(0)}],
            "outputs": [{"name": "Y", "parameters": place(count)}]})
        assert answer["outputs"][0]["shape"] == [1, count // 4]
        check(lent[:1], lent[1:])
    finally:
        server.v2("POST", "/v2/systemsharedmemory/unregister")
        path.unlink(missing_ok=True)


def test_three_million_chunks_of_a_byte(server):
    """Read as they come, within the limits of any body; others are answered in the meantime."""
    request = b"POST /v2/models/quick/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    before, worst, answers = server.resident(), 0, []
    with socket.create_connection(("127.0.0.1", server.http), timeout=120) as connection:
        connection.sendall(request)
        piece = b"1\r\n \r\n" * 100_000
        for _ in range(30):
            connection.sendall(piece)
            worst = max(worst, server.resident())
            small(server)
            answers.append(True)
        connection.sendall(b"0\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")
    assert len(answers) == 30 and worst - before < 32 * MB


def test_slow_loris(server):
    """Hundreds of clients that send a byte now and then keep nobody else out, and are ended in their time."""
    begin = time.monotonic()
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", server.http), timeout=60)) for _ in range(300)]
        for i, one in enumerate(slow):
            one.sendall(b"POST /v2/models/quick/infer HTTP/1.1\r\nHost: x\r\n" if i % 2 else b"G")
        for turn in range(8):
            for one in slow:
                one.sendall(b"X" if turn else b"X-")
            small(server)
            time.sleep(0.05)
        assert time.monotonic() - begin < HEADER_S
        if LONG:
            for one in slow:  # a byte a while is no excuse
                with contextlib.suppress(OSError):
                    one.settimeout(2 * HEADER_S)
                    answer = one.recv(65536)
                    assert answer == b"" or answer.startswith(b"HTTP/1.1 408 ")
            assert HEADER_S - 1 < time.monotonic() - begin
    small(server)
