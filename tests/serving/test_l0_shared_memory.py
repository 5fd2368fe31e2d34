"""System shared memory over REST: what clients lend is used within its bounds, whatever they do to it."""

import json
import os
import struct
import threading
import uuid

import numpy as np
import pytest

from serving import serving

PREFIX = f"/tenon-test-{os.getpid()}-"
VALUES = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float32)


@pytest.fixture(scope="module")
def lent(sums):
    with serving(sums, "--shared-memory-prefix", PREFIX, "--threads", 1) as running:
        yield running


class Object:
    """An object in /dev/shm that goes with the test."""

    def __init__(self, size, content=b""):
        self.key = PREFIX + uuid.uuid4().hex
        self.path = f"/dev/shm{self.key}"
        with open(self.path, "xb") as file:
            file.write(content)
            file.truncate(size)

    def bytes(self):
        with open(self.path, "rb") as file:
            return file.read()

    def resize(self, size):
        os.truncate(self.path, size)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.unlink(self.path)


@pytest.fixture(autouse=True)
def nothing_left(lent):
    yield
    lent.v2("POST", "/v2/systemsharedmemory/unregister")
    assert lent.v2("GET", "/v2/systemsharedmemory/status") == []


def register(server, name, key, size, offset=0, code=200):
    return server.v2("POST", f"/v2/systemsharedmemory/region/{name}/register",
                     {"key": key, "offset": offset, "byte_size": size}, code)


def place(region, size, offset=0):
    return {"shared_memory_region": region, "shared_memory_byte_size": size, "shared_memory_offset": offset}


def question(a=None, total=None, **changes):
    """A comes from the region "in", SUM goes to "out", unless told otherwise."""
    return {"inputs": [{"name": "A", "datatype": "FP32", "shape": [2, 4], "parameters": a or place("in", 32), **changes},
                       {"name": "B", "datatype": "FP32", "shape": [2, 4], "data": [1] * 8},
                       {"name": "ID", "datatype": "INT64", "shape": [2], "data": [1, 2]}],
            "outputs": [{"name": "SUM", "parameters": total or place("out", 32)}, {"name": "SHIFTED"}]}


def infer(server, body, code=200):
    return server.v2("POST", "/v2/models/sums/infer", body, code)


def test_inputs_and_outputs(lent):
    with Object(100, b"\0" * 4 + VALUES.tobytes()) as given, Object(64) as taken:
        register(lent, "in", given.key, 96, offset=4)
        register(lent, "out", taken.key, 64)
        answer = infer(lent, question(total=place("out", 32, 16)))
        total, shifted = answer["outputs"]
        assert "data" not in total and total["parameters"]["shared_memory_region"] == "out"
        assert total["parameters"]["shared_memory_byte_size"] == 32
        assert shifted["data"] == [2, 3]
        assert np.array_equal(np.frombuffer(taken.bytes(), np.float32, 8, 16).reshape(2, 4), VALUES + 1)
        assert taken.bytes()[:16] == taken.bytes()[48:] == b"\0" * 16


def test_input_and_output_in_one_region(lent):
    with Object(64, VALUES.tobytes()) as both:
        register(lent, "in", both.key, 64)
        infer(lent, question(total=place("in", 32)))
        assert np.array_equal(np.frombuffer(both.bytes(), np.float32, 8).reshape(2, 4), VALUES + 1)


def test_status_and_unregister(lent):
    with Object(64) as one:
        register(lent, "a", one.key, 32)
        register(lent, "b", one.key, 32, offset=32)
        listed = lent.v2("GET", "/v2/systemsharedmemory/status")
        assert {region["name"] for region in listed} == {"a", "b"}
        assert lent.v2("GET", "/v2/systemsharedmemory/region/b/status") == [
            {"name": "b", "key": one.key, "offset": 32, "byte_size": 32}]
        error = register(lent, "a", one.key, 32, code=409)
        assert error["error"] == "shared memory region 'a' already in manager"
        lent.v2("POST", "/v2/systemsharedmemory/region/a/unregister")
        lent.v2("POST", "/v2/systemsharedmemory/region/a/unregister")  # no error, as with Triton
        error = lent.v2("GET", "/v2/systemsharedmemory/region/a/status", code=404)
        assert error["error"] == "Unable to find system shared memory region: 'a'"
        register(lent, "a", one.key, 32)


@pytest.mark.parametrize("offset, size", [(0, 65), (1, 64), (64, 1), (0, 0), (2**64 - 1, 2), (2, 2**64 - 1),
                                          (2**63, 2**63), (2**64, 1), (-1, 4), (0.5, 4), ("0", 4)])
def test_registered_beyond_the_object(lent, offset, size):
    with Object(64) as one:
        assert register(lent, "in", one.key, size, offset, code=400)["error"]


@pytest.mark.parametrize("key", [
    "/etc/passwd", "/tenon-test-", PREFIX + "/../x", PREFIX + "a/b", PREFIX + "\0", PREFIX + "x" * 300, "", "x",
    "../dev/shm" + PREFIX, PREFIX + "missing", 5, None, ["a"]])
def test_hostile_keys(lent, key):
    assert register(lent, "in", key, 1, code=400)["error"]


def test_links_are_not_followed(lent, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"x" * 64)
    link = f"/dev/shm{PREFIX}link"
    os.symlink(secret, link)
    try:
        assert "Unable to open" in register(lent, "in", PREFIX + "link", 32, code=400)["error"]
    finally:
        os.unlink(link)


def test_places_beyond_the_region(lent):
    with Object(64, VALUES.tobytes()) as given, Object(64) as taken:
        register(lent, "in", given.key, 32)
        register(lent, "out", taken.key, 32)
        for bad in (place("in", 32, 1), place("in", 33), place("in", 32, 32), place("in", 32, 2**64 - 32),
                    place("in", 2**64 - 1, 1), place("in", 16), place("in", -1), place("in", 32, -1),
                    {"shared_memory_region": "in"}, {"shared_memory_byte_size": 32}, place(5, 32)):
            assert infer(lent, question(a=bad), 400)["error"], bad
        for bad in (place("out", 32, 1), place("out", 33), place("out", 32, 2**64 - 32), place("out", 31)):
            assert infer(lent, question(total=bad), 400)["error"], bad
        assert infer(lent, question(data=[1] * 8), 400)["error"]  # data and a region
        assert "Unable to find" in json.dumps(infer(lent, question(a=place("none", 32)), 404))
        assert taken.bytes() == b"\0" * 64
        infer(lent, question())


def test_object_cut_off_after_registering(lent):
    with Object(64, VALUES.tobytes()) as given, Object(64) as taken:
        register(lent, "in", given.key, 64)
        register(lent, "out", taken.key, 64)
        given.resize(8)
        assert "short" in infer(lent, question(), 400)["error"]
        given.resize(0)
        infer(lent, question(), 400)
        given.resize(64)
        infer(lent, question())
        taken.resize(0)
        assert "short" in infer(lent, question(), 400)["error"]
        assert lent.process.poll() is None


def test_object_cut_off_while_it_is_read(lent):
    size = 1 << 22
    with Object(size) as given:
        register(lent, "in", given.key, size)
        body = {"inputs": [{"name": "A", "datatype": "FP32", "shape": [size // 16, 4], "parameters": place("in", size)},
                           {"name": "B", "datatype": "FP32", "shape": [1, 4], "data": [1] * 4},
                           {"name": "ID", "datatype": "INT64", "shape": [1], "data": [1]}]}
        done = threading.Event()

        def cut():
            while not done.is_set():
                given.resize(4096)
                given.resize(size)

        cutter = threading.Thread(target=cut)
        cutter.start()
        try:
            for _ in range(30):
                lent.v2("POST", "/v2/models/sums/infer", body, 400)  # cut off, or the sizes do not fit
        finally:
            done.set()
            cutter.join()
        assert lent.process.poll() is None


def test_unregister_while_in_use(lent):
    with Object(64, VALUES.tobytes()) as given, Object(64) as taken:
        found = []

        def ask():
            for _ in range(50):
                status, _, body = lent.ask(lent.http, "POST", "/v2/models/sums/infer", question())
                found.append((status, body))

        askers = [threading.Thread(target=ask) for _ in range(3)]
        for one in askers:
            one.start()
        for _ in range(100):
            for name, thing in (("in", given), ("out", taken)):
                register(lent, name, thing.key, 64)
            for name in ("in", "out"):
                lent.v2("POST", f"/v2/systemsharedmemory/region/{name}/unregister")
        for one in askers:
            one.join()
        assert {status for status, _ in found} <= {200, 404}, found
        assert all(b"Unable to find shared memory region" in body for status, body in found if status == 404)


def test_many_regions(lent):
    with Object(8) as one:
        for i in range(256):
            register(lent, f"r{i}", one.key, 8)
        assert "no more are possible" in register(lent, "more", one.key, 8, code=503)["error"]


def test_off_by_default(server):
    for method, path in (("GET", "/v2/systemsharedmemory/status"), ("POST", "/v2/systemsharedmemory/unregister"),
                         ("GET", "/v2/systemsharedmemory/region/a/status")):
        assert "--shared-memory-prefix" in server.v2(method, path, code=400)["error"]
    assert "--shared-memory-prefix" in register(server, "a", "/a", 1, code=400)["error"]
    assert "--shared-memory-prefix" in infer(server, question(), 400)["error"]


def test_cuda_is_refused(lent):
    assert lent.v2("GET", "/v2/cudasharedmemory/status") == []
    body = {"raw_handle": {"b64": "AAAA"}, "device_id": 0, "byte_size": 4}
    assert "CPU" in lent.v2("POST", "/v2/cudasharedmemory/region/a/register", body, 400)["error"]


def test_triton_client(lent):
    client_of = pytest.importorskip("tritonclient.http")
    shm = pytest.importorskip("tritonclient.utils.shared_memory")
    client = client_of.InferenceServerClient(f"127.0.0.1:{lent.http}")
    text = struct.pack("<8f", *VALUES.ravel())
    key_in, key_out = PREFIX + "client-in", PREFIX + "client-out"
    given = shm.create_shared_memory_region("in", key_in, len(text))
    taken = shm.create_shared_memory_region("out", key_out, len(text))
    try:
        shm.set_shared_memory_region(given, [VALUES])
        client.register_system_shared_memory("in", key_in, len(text))
        client.register_system_shared_memory("out", key_out, len(text))
        assert len(client.get_system_shared_memory_status()) == 2
        inputs = [client_of.InferInput("A", [2, 4], "FP32"), client_of.InferInput("B", [2, 4], "FP32"),
                  client_of.InferInput("ID", [2], "INT64")]
        inputs[0].set_shared_memory("in", len(text))
        inputs[1].set_data_from_numpy(np.ones((2, 4), np.float32))
        inputs[2].set_data_from_numpy(np.array([1, 2], np.int64))
        outputs = [client_of.InferRequestedOutput("SUM", binary_data=True), client_of.InferRequestedOutput("SHIFTED")]
        outputs[0].set_shared_memory("out", len(text))
        answer = client.infer("sums", inputs, outputs=outputs)
        assert np.array_equal(shm.get_contents_as_numpy(taken, np.float32, [2, 4]), VALUES + 1)
        assert answer.as_numpy("SHIFTED").tolist() == [2, 3]
        client.unregister_system_shared_memory()
    finally:
        shm.destroy_shared_memory_region(given)
        shm.destroy_shared_memory_region(taken)
