"""Ten times more tensors than can be computed: each request gets an answer at its time, and good ones are those of an idle
server."""

import collections
import os

import numpy as np
import pytest
import tritonclient.grpc
from overload import check_on_time, crowd, watched_machine
from tensor_models import WIDTH, infer, serving_repository, slow_graph
from tritonclient.utils import InferenceServerException

SECONDS = 60 if os.environ.get("TENON_LONG") == "1" else 4
CLIENTS = 40  # four are computed at a time
QUEUE = "max_batch_size: 4 dynamic_batching { default_queue_policy { %s } }"
CONFIGS = {
    "full": (slow_graph(), QUEUE % "max_queue_size: 6"),
    "timed": (slow_graph(), QUEUE % "max_queue_size: 30 default_timeout_microseconds: 15000"),
}


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    with serving_repository(tmp_path_factory.mktemp("crowded"), CONFIGS, "--batch-invariant", "--threads", 1) as server:
        yield server


@pytest.fixture(scope="module")
def questions():
    return [np.random.default_rng(i).standard_normal((1, WIDTH)).astype(np.float32) for i in range(8)]


def batches(server, model):
    found = server.v2("GET", f"/v2/models/{model}/stats")["model_stats"][0]["batch_stats"]
    return {one["batch_size"]: one["compute_infer"]["count"] for one in found}


def tell(name, seen):
    print(f"{name}: {len(seen)} requests in {SECONDS} s: {dict(collections.Counter(seen))}")


@pytest.mark.parametrize("model", CONFIGS)
def test_overload(crowded, questions, model):
    idle = [infer(crowded, model, {"X": one})[2]["Y"] for one in questions]
    before = crowded.resident()

    def ask(client, turn):
        which = (client + turn) % len(questions)
        status, headers, outputs = infer(crowded, model, {"X": questions[which]})
        if status == 200:
            assert outputs["Y"].tobytes() == idle[which].tobytes()
            return "good"
        assert status in (429, 503) and int(headers["Retry-After"]) >= 1
        if "timeout expired" in outputs:
            return "late"
        assert "maximum queue size" in outputs, outputs
        return "full"

    with watched_machine() as machine:
        seen = crowd(CLIENTS, SECONDS, ask)
    tell(model, seen)
    assert 0 < seen.count("good") < len(seen) / 2 and (model != "timed" or seen.count("late") > 0)
    check_on_time(crowded, model, seen.count("late"), machine)
    assert crowded.resident() - before < 100 << 20
    assert max(batches(crowded, model)) > 1
    assert infer(crowded, model, {"X": questions[0]})[2]["Y"].tobytes() == idle[0].tobytes()


def test_overload_of_grpc(crowded, questions):
    """The same over the other protocol: UNAVAILABLE, or what is computed alone."""
    idle = [infer(crowded, "full", {"X": one})[2]["Y"] for one in questions]
    with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{crowded.grpc}") as client:

        def ask(number, turn):
            which = (number + turn) % len(questions)
            given = tritonclient.grpc.InferInput("X", questions[which].shape, "FP32")
            given.set_data_from_numpy(questions[which])
            try:
                answer = client.infer("full", [given]).as_numpy("Y")
            except InferenceServerException as error:
                assert "maximum queue size" in error.message()
                return error.status()
            assert answer.tobytes() == idle[which].tobytes()
            return "good"

        seen = crowd(CLIENTS, SECONDS / 2, ask)
    tell("grpc", seen)
    assert set(seen) == {"good", "StatusCode.UNAVAILABLE"}
