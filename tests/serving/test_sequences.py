"""Sequences: their requests in order, each in the state that the last one left, with the controls that the model asks for."""

import threading
import time

import numpy as np
import pytest
import tritonclient.http
from tensor_models import counting_graph, infer, serving_repository

CONTROLS = "".join(
    f'control_input {{ name: "{name}" control {{ kind: CONTROL_SEQUENCE_{name} {values} }} }}\n'
    for name, values in [("START", "fp32_false_true: [0, 1]"), ("READY", "fp32_false_true: [0, 1]"),
                         ("END", "fp32_false_true: [-1, 7]"), ("CORRID", "data_type: TYPE_INT64")])
STATE = 'state { input_name: "STATE" output_name: "NEXT" data_type: TYPE_FP32 dims: [1] }\n'


def config(strategy, idle=5000000):
    return f"max_batch_size: 4\nsequence_batching {{ max_sequence_idle_microseconds: {idle}\n{strategy}\n{CONTROLS}{STATE} }}"


MODELS = {
    "direct": (counting_graph(), config("direct { }")),
    "oldest": (counting_graph(), config("oldest { max_candidate_sequences: 2 }")),
    "short": (counting_graph(), config("direct { }", idle=200000)),
}


@pytest.fixture(scope="module")
def sequences(tmp_path_factory):
    with serving_repository(tmp_path_factory.mktemp("sequences"), MODELS) as running:
        yield running


def step(server, model, x, sequence, start=False, end=False):
    parameters = {"sequence_id": sequence, "sequence_start": start, "sequence_end": end}
    return infer(server, model, {"X": np.array([[x]], np.float32)}, parameters)


@pytest.mark.parametrize("model", ["direct", "oldest"])
def test_states_and_controls(sequences, model):
    for i, x in enumerate([1, 2, 4]):
        status, _, outputs = step(sequences, model, x, 42, start=i == 0, end=i == 2)
        assert status == 200, outputs
        assert set(outputs) == {"SUM", "SEEN", "ID"}
        assert outputs["SUM"].item() == [1, 3, 7][i]
        assert outputs["SEEN"].tolist() == [[float(i == 0), 1, 7 if i == 2 else -1]]
        assert outputs["ID"].item() == 42
    metadata = sequences.v2("GET", f"/v2/models/{model}")
    assert [one["name"] for one in metadata["inputs"]] == ["X"]


@pytest.mark.parametrize("model", ["direct", "oldest"])
def test_many_sequences(sequences, model):
    """More sequences than slots: some wait until another has ended."""
    sums, errors = {}, []

    def play(sequence):
        client = tritonclient.http.InferenceServerClient(f"127.0.0.1:{sequences.http}")
        for i in range(6):
            given = tritonclient.http.InferInput("X", [1, 1], "FP32")
            given.set_data_from_numpy(np.array([[sequence * (i + 1)]], np.float32))
            try:
                answer = client.infer(model, [given], sequence_id=sequence, sequence_start=i == 0, sequence_end=i == 5)
                sums[sequence, i] = answer.as_numpy("SUM").item()
            except Exception as error:  # noqa: BLE001: told below
                errors.append(error)

    threads = [threading.Thread(target=play, args=(100 + i,)) for i in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert sums == {(100 + s, i): (100 + s) * (i + 1) * (i + 2) / 2 for s in range(10) for i in range(6)}


def test_refusals(sequences):
    status, _, error = step(sequences, "direct", 1, 77)
    assert status == 400 and "must specify the START flag on the first request of the sequence" in error
    status, _, error = infer(sequences, "direct", {"X": np.ones((1, 1), np.float32)})
    assert status == 400 and "must specify a non-zero or non-empty correlation ID" in error
    status, _, error = infer(sequences, "direct", {"X": np.ones((2, 1), np.float32)},
                             {"sequence_id": 5, "sequence_start": True})
    assert status == 400 and "batch-size 1" in error


def test_idle_sequences_end(sequences):
    assert step(sequences, "short", 1, 9, start=True)[0] == 200
    assert step(sequences, "short", 1, 9)[2]["SUM"].item() == 2
    time.sleep(0.4)
    assert step(sequences, "short", 1, 9)[0] == 400
    # A start in the middle begins anew.
    assert step(sequences, "short", 5, 9, start=True)[2]["SUM"].item() == 5
    assert step(sequences, "short", 6, 9, start=True)[2]["SUM"].item() == 6
