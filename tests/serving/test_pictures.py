"""Pictures of several clients: shared runs, memory, usage, traces."""

import concurrent.futures
import contextlib
import json
import resource
import shutil
import time

import pytest

from serving import serving
from tenon_program import ROOT

PICTURES = ROOT / "tests/models_images/pipeline"


def body(**fields):
    return {"model": "pictures", "prompt": "a cat", "steps": 4, "seed": 3, **fields}


def draw(server, fields, code=200):
    return server.v1("POST", "/v1/images/generations", fields, code)


def stats(server):
    return server.v2("GET", "/v2/models/pictures/stats")["model_stats"][0]


def calls(server):
    """Calls of the unet by the pictures in them."""
    return {one["batch_size"]: one["compute_infer"]["count"] for one in stats(server)["batch_stats"]}


def metric(server, name, more=""):
    _, _, content = server.ask(server.metrics, "GET", "/metrics")
    (line,) = [one for one in content.decode().splitlines() if one.startswith(name + '{model="pictures"') and more in one]
    return float(line.split()[-1])


def pending(server):
    return metric(server, "nv_inference_pending_request_count")


def cancelled(server):
    return metric(server, "nv_inference_request_failure", 'reason="CANCELED"')


@contextlib.contextmanager
def busy(server):
    """While a long drawing is under way; it ends with the block."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", server.openai, timeout=120)
    connection.request("POST", "/v1/images/generations", json.dumps(body(
        prompt="a house", steps=200, stream=True, scheduler="euler", size="128x128")))
    answer = connection.getresponse()
    assert answer.status == 200 and answer.readline().startswith(b"event: ")
    try:
        yield
    finally:
        connection.close()
        answer.close()


def behind_a_long_one(server, questions):
    """Answers of requests that came while another one was drawn."""
    with concurrent.futures.ThreadPoolExecutor(len(questions)) as pool:
        with busy(server):
            answers = [pool.submit(draw, server, one) for one in questions]
            end = time.monotonic() + 60
            while pending(server) < len(questions) + 1:
                assert time.monotonic() < end
                time.sleep(0.002)
            time.sleep(0.2)  # from where they are counted into the queue
            assert not any(one.done() for one in answers)
        return [one.result()["data"] for one in answers]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("repository")
    shutil.copytree(PICTURES, made / "pictures/1")
    (made / "pictures/config.pbtxt").write_text('name: "pictures" max_batch_size: 4')
    return made


@pytest.fixture(scope="module")
def sharing(folder):
    with serving(folder, "--precision", "fp32", "--threads", 1, "--batch-invariant", "--no-access-log") as running:
        yield running


def test_equal_sizes_of_two_clients_share_their_steps(sharing):
    questions = [body(), body(prompt="a hat", seed=8, guidance=3)]
    alone = [draw(sharing, one)["data"] for one in questions]
    before = calls(sharing)
    assert set(before) == {1}
    for _ in range(5):  # a machine that stands still may keep one of them out of the queue for long
        assert behind_a_long_one(sharing, questions) == alone
        made = calls(sharing).get(2, 0)
        if made > 0:
            break
    # The steps of both were one call each: as many as one of them took alone.
    assert made == before[1] / 2


def test_what_is_of_another_size_waits_its_turn(sharing):
    questions = [body(), body(size="64x64"), body(steps=3), body(scheduler="euler")]
    alone = [draw(sharing, one)["data"] for one in questions]
    before = calls(sharing)
    assert behind_a_long_one(sharing, questions) == alone
    made = calls(sharing)
    assert {size: count for size, count in made.items() if size > 1} == {
        size: count for size, count in before.items() if size > 1}


def test_a_request_of_several_pictures_is_a_batch(sharing):
    before = calls(sharing).get(3, 0)
    one, three = draw(sharing, body()), draw(sharing, body(n=3))
    assert len(three["data"]) == 3
    assert calls(sharing)[3] > before
    # Usage: the tokens of the prompt, and the places of the latents, which grow with the pictures.
    for answer, count in ((one, 1), (three, 3)):
        width, height = map(int, answer["size"].split("x"))
        usage = answer["usage"]
        assert usage["input_tokens"] == one["usage"]["input_tokens"] > 0
        assert usage["output_tokens"] == count * one["usage"]["output_tokens"] > 0
        assert width * height % (usage["output_tokens"] // count) == 0
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    longer = draw(sharing, body(prompt="a cat and a dog in a house"))["usage"]
    assert longer["input_tokens"] > one["usage"]["input_tokens"]
    assert longer["input_tokens_details"] == {"image_tokens": 0, "text_tokens": longer["input_tokens"]}


def data_bytes(server):
    for line in open(f"/proc/{server.process.pid}/status"):
        if line.startswith("VmData:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no VmData")


def test_what_memory_has_no_room_for_is_refused():
    """A limit of the process stands for a machine that is full: refused before a step, and others go on."""
    with serving(f"pictures={PICTURES}", "--precision", "fp32", "--threads", 1, "--no-access-log") as server:
        small = draw(server, body())["data"]
        process = server.process.pid
        resource.prlimit(process, resource.RLIMIT_DATA, (data_bytes(server) + (96 << 20),) * 2)
        large = body(size="1024x1024", n=10, steps=200)
        begin = time.monotonic()
        status, headers, content = server.ask(server.openai, "POST", "/v1/images/generations", json.dumps(large))
        assert status == 503 and int(headers["Retry-After"]) >= 1
        message = json.loads(content)["error"]["message"]
        assert "10 pictures of 1024 x 1024" in message and "MB are free" in message and "smaller" in message
        assert time.monotonic() - begin < 30
        infer = {"inputs": [{"name": "prompt", "datatype": "BYTES", "shape": [1], "data": ["a cat"]}],
                 "parameters": {"size": "1024x1024", "n": 10}}
        assert "MB are free" in server.v2("POST", "/v2/models/pictures/infer", infer, 503)["error"]
        for fields in ({"size": "4096x4096"}, {"n": 11}, {"width": 10**9}):
            draw(server, body(**fields), 400)
        assert draw(server, body())["data"] == small
        assert server.process.poll() is None


def test_traces(folder, tmp_path):
    with serving(f"pictures={PICTURES}", "--precision", "fp32", "--threads", 1, "--trace-dir", tmp_path) as server:
        server.v2("POST", "/v2/models/pictures/trace/setting",
                  {"trace_level": ["TIMESTAMPS"], "trace_rate": "1", "trace_file": "pictures.jsonl"})
        draw(server, body(), 200)
        server.v1("POST", "/v1/images/generations", body(scheduler="unheard of"), 400)
        end = time.monotonic() + 10
        lines = []
        while len(lines) < 2:
            assert time.monotonic() < end
            time.sleep(0.02)
            if (tmp_path / "pictures.jsonl").exists():
                lines = (tmp_path / "pictures.jsonl").read_text().splitlines()
    spans = [json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"] for line in lines]
    whole, *phases = spans[0]
    assert whole["name"] == "pictures" and "status" not in whole
    names = [phase["name"] for phase in phases]
    assert "infer" in names and "output" in names and set(names) <= {"queue", "infer", "output"}
    assert all(phase["parentSpanId"] == whole["spanId"] for phase in phases)
    assert spans[1][0]["status"]["code"] == 2


def test_a_client_that_goes_ends_its_drawing_only(sharing):
    before = cancelled(sharing)
    wanted = draw(sharing, body())["data"]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with busy(sharing):
            answer = pool.submit(draw, sharing, body())
        assert answer.result()["data"] == wanted
    end = time.monotonic() + 30
    while cancelled(sharing) == before:
        assert time.monotonic() < end
        time.sleep(0.02)
