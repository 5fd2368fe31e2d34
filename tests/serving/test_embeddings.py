"""/v1/embeddings of a bundle that was built with --embeddings, beside what transformers computed for the same texts."""

import base64
import json
import pathlib
import sys
import threading

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from serving import serving
from tenon_program import DEMO, json_of, refuse, run, succeed

RECORDED = json.loads((pathlib.Path(__file__).parent / "embeddings.json").read_text())
TEXTS = [row["text"] for row in RECORDED]
WIDTH = 256

# Two float32 implementations. A sum of n products departs from the exact one by n * 2^-24 of its magnitudes at most:
# 3e-5 for the 512 of the widest product. Six layers of four sums, in a vector of length 1 whose largest number is below 1,
# were they all in one direction: 24 * 3e-5.
ATOL = 7.5e-4
# Errors of rounding have no direction: nearer than that they are in the whole.
COSINE = 1e-6
# The same computation with another padding sums in the same order but for attention.
SAME = 1e-5


def decoded(text):
    return np.frombuffer(base64.b64decode(text), "<f4")


WANTED = np.array([decoded(row["embedding"]) for row in RECORDED])


def near(made, wanted):
    made = np.asarray(made, np.float32)
    np.testing.assert_allclose(np.linalg.norm(made, axis=-1), 1, atol=1e-5)
    np.testing.assert_allclose(made, wanted, atol=ATOL)
    assert np.all(1 - np.sum(made.astype(float) * wanted, axis=-1) < COSINE)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("embeddings") / "verse.tenon"
    succeed("build", "--embeddings", "mean", DEMO / "llama-verse", "-o", path, "--precision", "fp32")
    return path


@pytest.fixture(scope="module")
def embedder(bundle):
    with serving(bundle, f"chat={DEMO / 'llama-verse'}", "--threads", 1) as running:
        yield running


def embed(server, value, code=200, **fields):
    return server.v1("POST", "/v1/embeddings", {"model": "verse", "input": value, **fields}, code=code)


def rows(answer):
    assert [one["index"] for one in answer["data"]] == list(range(len(answer["data"])))
    return np.array([one["embedding"] for one in answer["data"]], np.float32)


def test_texts_as_transformers_has_them(embedder):
    answer = embed(embedder, TEXTS)
    assert answer["object"] == "list" and answer["model"] == "verse"
    assert all(one["object"] == "embedding" for one in answer["data"])
    near(rows(answer), WANTED)
    tokens = sum(len(row["ids"]) for row in RECORDED)
    assert answer["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}


def test_one_is_as_many(embedder):
    alone = np.concatenate([rows(embed(embedder, text)) for text in TEXTS])
    np.testing.assert_allclose(rows(embed(embedder, TEXTS)), alone, atol=SAME)


def test_ids_are_as_texts(embedder):
    ids = [row["ids"] for row in RECORDED]
    np.testing.assert_array_equal(rows(embed(embedder, ids)), rows(embed(embedder, TEXTS)))
    np.testing.assert_array_equal(rows(embed(embedder, ids[0])), rows(embed(embedder, TEXTS[0])))


def test_base64_is_as_numbers(embedder):
    coded = embed(embedder, TEXTS, encoding_format="base64")
    made = np.array([decoded(one["embedding"]) for one in coded["data"]])
    np.testing.assert_array_equal(made, rows(embed(embedder, TEXTS, encoding_format="float")))


@pytest.mark.parametrize("dimensions", [1, 10, WIDTH])
def test_dimensions(embedder, dimensions):
    made = rows(embed(embedder, TEXTS, dimensions=dimensions))
    cut = rows(embed(embedder, TEXTS))[:, :dimensions].astype(float)
    assert made.shape == (len(TEXTS), dimensions)
    # Both rounded to float32.
    np.testing.assert_allclose(made, cut / np.linalg.norm(cut, axis=1, keepdims=True), rtol=2e-6, atol=1e-7)


def test_many_from_many_clients(embedder):
    wanted = rows(embed(embedder, TEXTS))
    failures = []

    def ask():
        try:
            made = rows(embed(embedder, TEXTS * 20, user="someone"))
            np.testing.assert_allclose(made, np.tile(wanted, (20, 1)), atol=SAME)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@pytest.mark.parametrize("value, says", [
    ("", "empty"), ([], "empty"), (["a", ""], "empty"), ([[]], "empty"), (None, "missing"), (7, "list of texts"), ({}, "list of texts"),
    ([-1], "token ids"), ([2560], "0 to 2559"), ([1.5], "token ids"), ([1, "a"], "token ids"), ([["a"]], "token ids"),
    (["a", 1], "list of texts"), ("word " * 2000, "at most 512"), ([3] * 513, "at most 512"), (["a"] * 2049, "at most 2048"),
    ([[3] * 500] * 601, "300000"),
])
def test_refused_inputs(embedder, value, says):
    error = embed(embedder, value, code=400)["error"]
    assert error["type"] == "invalid_request_error" and says in error["message"]


@pytest.mark.parametrize("fields", [
    {"dimensions": 0}, {"dimensions": WIDTH + 1}, {"dimensions": "x"}, {"encoding_format": "int8"}, {"user": 5}, {"stream": True},
])
def test_refused_fields(embedder, fields):
    assert next(iter(fields)) in embed(embedder, "x", code=400, **fields)["error"]["message"]


def test_models_that_do_not_fit(embedder):
    error = embedder.v1("POST", "/v1/embeddings", {"model": "chat", "input": "x"}, code=400)["error"]
    assert "no embeddings" in error["message"] and "tenon build --embeddings" in error["message"]
    error = embedder.v1("POST", "/v1/embeddings", {"model": "nobody", "input": "x"}, code=404)["error"]
    assert error["code"] == "model_not_found"
    error = embedder.v1("POST", "/v1/completions", {"model": "verse", "prompt": "x"}, code=400)["error"]
    assert "writes no text" in error["message"]


def test_tensors_of_kserve(embedder):
    described = embedder.v2("GET", "/v2/models/verse")
    assert [one["name"] for one in described["inputs"]] == ["input_ids", "attention_mask"]
    assert [one["name"] for one in described["outputs"]] == ["sentence_embedding"]
    assert embedder.v2("GET", "/v2/models/verse/config")["max_batch_size"] > 1
    ids = RECORDED[0]["ids"]
    answer = embedder.v2("POST", "/v2/models/verse/infer", {"inputs": [
        {"name": "input_ids", "datatype": "INT64", "shape": [1, len(ids)], "data": ids},
        {"name": "attention_mask", "datatype": "INT64", "shape": [1, len(ids)], "data": [1] * len(ids)}]})
    made = np.array(answer["outputs"][0]["data"])
    near(made / np.linalg.norm(made), WANTED[0])


def test_statistics(embedder):
    def counted():
        return embedder.v2("GET", "/v2/models/verse/stats")["model_stats"][0]

    before = counted()
    embed(embedder, TEXTS)
    after = counted()
    assert after["inference_count"] - before["inference_count"] == len(TEXTS)
    assert 1 <= after["execution_count"] - before["execution_count"] <= len(TEXTS)
    assert after["inference_stats"]["success"]["count"] == before["inference_stats"]["success"]["count"] + 1


def test_a_client_that_leaves(embedder):
    import http.client
    import time

    connection = http.client.HTTPConnection("127.0.0.1", embedder.openai)
    connection.request("POST", "/v1/embeddings", json.dumps({"model": "verse", "input": [[3] * 500] * 600}))
    time.sleep(0.3)
    connection.close()
    end = time.monotonic() + 20

    def pending():
        metrics = embedder.ask(embedder.metrics, "GET", "/metrics")[2].decode()
        lines = [line for line in metrics.splitlines() if 'model="verse"' in line]
        waiting = [line for line in lines if line.startswith("nv_inference_pending_request_count")]
        cancelled = [line for line in lines if 'reason="CANCELED"' in line]
        return waiting[0].split()[-1], cancelled[0].split()[-1]

    while pending() != ("0", "1"):
        assert time.monotonic() < end, pending()
        time.sleep(0.05)


def test_openapi(embedder):
    described = embedder.v1("GET", "/openapi.json")["paths"]["/v1/embeddings"]["post"]
    schema = described["requestBody"]["content"]["application/json"]["schema"]
    assert {"model", "input", "encoding_format", "dimensions", "user"} == set(schema["properties"])
    assert "application/json" in described["responses"]["200"]["content"]


def test_openai_client(embedder):
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{embedder.openai}/v1", api_key="unused", max_retries=0)
    answer = client.embeddings.create(model="verse", input=TEXTS)  # it asks for base64
    near([one.embedding for one in answer.data], WANTED)
    assert answer.usage.prompt_tokens == sum(len(row["ids"]) for row in RECORDED)
    assert len(client.embeddings.create(model="verse", input="x", dimensions=8).data[0].embedding) == 8
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model="verse", input="")


def test_commands_say_what_it_is(bundle):
    told = json_of("inspect", bundle)
    assert told["provenance"]["conversions"]["pooling"] == "mean"
    assert [one["name"] for one in told["engines"]["model"]["outputs"]] == ["sentence_embedding"]
    message = refuse(2, "run", bundle, "-p", "hello")
    assert "gives embeddings" in message and "/v1/embeddings" in message


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_other_precisions_carry_their_evidence(tmp_path, precision):
    path = tmp_path / "verse.tenon"
    succeed("build", "--embeddings", "last", DEMO / "llama-verse", "-o", path, "--precision", precision)
    part = json_of("inspect", path)["evidence"]["parts"][0]
    assert 0 < part["metrics"]["relative_l2"] <= part["budget"]["relative_l2"]


def test_verify_compares_pooled_states(bundle, tmp_path):
    """Beside its checkpoint, and beside ONNX of it."""
    assert "passed" in succeed("verify", DEMO / "llama-verse", bundle).stdout
    succeed("export", "--embeddings", "mean", DEMO / "llama-verse", tmp_path / "mean")
    assert "passed" in succeed("verify", tmp_path / "mean", bundle).stdout
    succeed("export", "--embeddings", "last", DEMO / "llama-verse", tmp_path / "last")
    assert "sentence_embedding" in run("verify", tmp_path / "last", bundle).stdout
    assert run("verify", tmp_path / "last", bundle).returncode == 1
