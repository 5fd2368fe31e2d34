"""Tensors of many clients in one run: the same answers as alone, on time, in order, and no more than there is room for."""

import concurrent.futures
import threading
import time

import numpy as np
import pytest
import tritonclient.http
from tensor_models import WIDTH, infer, quick_graph, serving_repository, slow_graph

SECOND = 1000000
CONFIGS = {
    "joined": (quick_graph(), f"max_batch_size: 8 dynamic_batching {{ preferred_batch_size: [4] "
                              f"max_queue_delay_microseconds: {20 * SECOND} }}"),
    "delayed": (quick_graph(), "max_batch_size: 8 dynamic_batching { max_queue_delay_microseconds: 300000 }"),
    "timed": (quick_graph(), f"max_batch_size: 8 dynamic_batching {{ max_queue_delay_microseconds: {20 * SECOND} "
                             "default_queue_policy { default_timeout_microseconds: 400000 allow_timeout_override: true } }"),
    "levels": (slow_graph(), "max_batch_size: 1 dynamic_batching { priority_levels: 2 default_priority_level: 2 "
                             "priority_queue_policy { key: 2 value { max_queue_size: 20 } } }"),
    "twice": (slow_graph(), "max_batch_size: 4 instance_group { count: 2 } dynamic_batching { }"),
    "plain": (quick_graph(), None),
}


@pytest.fixture(scope="module")
def batching(tmp_path_factory):
    with serving_repository(tmp_path_factory.mktemp("batching"), CONFIGS) as running:
        yield running


def stats(server, model):
    return server.v2("GET", f"/v2/models/{model}/stats")["model_stats"][0]


def batches(server, model):
    return {one["batch_size"]: one["compute_infer"]["count"] for one in stats(server, model)["batch_stats"]}


def rows(n, columns=3, start=0):
    return np.arange(start, start + n * columns, dtype=np.float32).reshape(n, columns)


def at_once(tasks):
    with concurrent.futures.ThreadPoolExecutor(len(tasks)) as pool:
        return [future.result() for future in [pool.submit(task) for task in tasks]]


def test_preferred_sizes(batching):
    # 20 s would pass if four did not go at once.
    begin = time.monotonic()
    answers = at_once([lambda i=i: infer(batching, "joined", {"X": rows(1, start=i)}) for i in range(8)])
    assert time.monotonic() - begin < 15
    for i, (status, _, outputs) in enumerate(answers):
        assert status == 200 and (outputs["Y"] == 2 * rows(1, start=i)).all()
    assert batches(batching, "joined") == {4: 2}
    found = stats(batching, "joined")
    assert found["inference_count"] == 8 and found["execution_count"] == 2


def test_delay(batching):
    begin = time.monotonic()
    assert infer(batching, "delayed", {"X": rows(2)})[0] == 200
    assert time.monotonic() - begin >= 0.3
    # Others join in the meantime, but for those of another shape.
    answers = at_once([lambda i=i: infer(batching, "delayed", {"X": rows(1, 2 + i % 2)}) for i in range(6)])
    assert all((answers[i][2]["Y"] == 2 * rows(1, 2 + i % 2)).all() for i in range(6))
    made = batches(batching, "delayed")
    assert made.pop(2) >= 1 and sum(size * count for size, count in made.items()) <= 6
    assert max(made, default=2) <= 3 + 3


@pytest.mark.parametrize("asked, expected", [(None, 0.4), (150000, 0.15), (2 * SECOND, 0.4)])
def test_queue_timeout(batching, asked, expected):
    parameters = {} if asked is None else {"timeout": asked}
    begin = time.monotonic()
    status, _, error = infer(batching, "timed", {"X": rows(1)}, parameters)
    took = time.monotonic() - begin
    assert status in (429, 503) and "timeout expired" in error
    # 50 ms late at most, and what a request takes at all on a busy machine.
    assert expected <= took < expected + 0.5


def test_many_clients(batching):
    questions = [np.random.default_rng(i).standard_normal((1, WIDTH)).astype(np.float32) for i in range(32)]
    alone = [infer(batching, "twice", {"X": one})[2]["Y"] for one in questions[:4]]

    def ask(x):
        client = tritonclient.http.InferenceServerClient(f"127.0.0.1:{batching.http}")
        given = tritonclient.http.InferInput("X", x.shape, "FP32")
        given.set_data_from_numpy(x)
        return client.infer("twice", [given]).as_numpy("Y")

    answers = at_once([lambda x=x: ask(x) for x in questions])
    for x, answer, single in zip(questions, answers, alone):
        # 60 products of 1024 terms each, in any order: errors of 2^-24 a term grow with the root of their number.
        assert np.abs(answer - single).max() <= 60 * WIDTH**0.5 * 2.0**-24 * 8 * np.abs(single).max()
    assert max(batches(batching, "twice")) > 1


def test_without_configuration(batching):
    config = batching.v2("GET", "/v2/models/plain/config")
    assert config["max_batch_size"] == 4 and "dynamic_batching" in config
    assert config["input"][0]["dims"] in ([-1], ["-1"])
    assert config["instance_group"][0]["count"] == 1
    assert batching.v2("GET", "/v2/models/plain")["inputs"][0]["shape"] == [-1, -1]
    # The limit is not the user's: more rows run by themselves.
    assert (infer(batching, "plain", {"X": rows(9)})[2]["Y"] == 2 * rows(9)).all()
    status, _, error = infer(batching, "joined", {"X": rows(9)})
    assert status == 400 and "batch-size must be <= 8" in error
